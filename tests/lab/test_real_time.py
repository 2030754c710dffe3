#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real-time priority and locked memory of the heartbeats: there where permitted, a warning where
not; and who looks after their thread."""

import os
import pathlib
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import ClusterTest, main

FIFO = 1


def threads(pid):
    return [int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def real_time(pid):
    """The threads with real-time priority, and the processors that each may use."""
    return {tid: os.sched_getaffinity(tid) for tid in threads(pid)
            if os.sched_getscheduler(tid) & 0xff == FIFO}


def locked_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.split("VmLck:")[1].split()[0])


class RealTime(ClusterTest):
    def test_the_heartbeats_have_priority_and_their_memory_stays(self):
        leader, _ = self.start_cluster()
        agent = self.agent(leader)
        self.assertIn(agent.pid, real_time(agent.pid))
        self.assertLess(len(real_time(agent.pid)), len(threads(agent.pid)), "the work loop is not")
        self.assertGreater(locked_kib(agent.pid), 0)
        self.assertEqual([], agent.status()["warnings"])

    def test_two_threads_watch_over_each_other_on_processors_of_their_own(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("needs two processors")
        leader, _ = self.start_cluster()
        agent = self.agent(leader)
        bound = {tid: cpus for tid, cpus in real_time(agent.pid).items() if len(cpus) == 1}
        self.assertEqual(2, len(bound))
        self.assertIn(agent.pid, bound)
        self.assertEqual(2, len(set.union(*bound.values())))
        self.assertGreaterEqual(agent.status()["pulse"]["moves"], 0)

    def test_without_the_right_to_them_it_works_and_warns(self):
        self.make_cluster()
        for host in (self.r1, self.r2, *self.witnesses):
            agent = self.cluster.agent(host)
            agent.prefix = ["setpriv", "--bounding-set=-sys_nice,-ipc_lock",
                            "--inh-caps=-sys_nice,-ipc_lock"]
            agent.start()
        for agent in self.cluster.agents.values():
            agent.wait_ready()
        leader, _ = self.settled()
        agent = self.agent(leader)
        self.assertEqual({}, real_time(agent.pid))
        warnings = {w["what"].split(":")[0]: w["remedy"] for w in agent.status()["warnings"]}
        self.assertEqual("give hamrd CAP_SYS_NICE", warnings["no real-time priority"])
        self.assertEqual("give hamrd CAP_IPC_LOCK", warnings["memory is not locked"])
        log = pathlib.Path(agent.process.log).read_text(encoding="utf-8")
        self.assertIn("no real-time priority", log)


if __name__ == "__main__":
    main()
