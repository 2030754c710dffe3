# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of an example with a router that the agent runs: databases start once for a class, agents
anew for each test."""

import os
import shutil
import signal
import time

from .core import LabError, dump, run, wait_for
from .examples import ExampleCluster, root_of
from .mariadb import APPLICATION
from .net import Lab
from .standard import ClusterTest
from .tools import Sql, connect_error


class SupervisedTest(ClusterTest):
    """Routers 192.0.2.11 and .12, witness .13, databases .21 to .23, as in the examples.

    A class names its `example` and the `port` of writes, and has start_servers()."""

    example = ""
    port = 3306
    database_count = 3
    program = ""          # what the router's processes are called
    edits = ()
    secrets = None

    @classmethod
    def start_servers(cls):
        """Brings the databases up (again), and what the routers' hosts need from them."""

    @classmethod
    def servers_are_well(cls):
        return True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = Lab()
        cls.addClassCleanup(cls.shared.close)
        host = cls.shared.host
        cls.r1, cls.r2 = host("router1", 11), host("router2", 12)
        cls.witnesses = [host("witness1", 13)]
        cls.client, cls.observer = host("client", 50), host("observer", 51)
        cls.databases = [host(f"db{n}", 20 + n) for n in range(1, cls.database_count + 1)]
        try:
            cls.start_servers()
        except BaseException:
            dump(cls.shared)
            raise

    def setUp(self):
        # Not a lab for each test: super().setUp() is left out on purpose.
        self.lab = self.shared
        if not self.servers_are_well():
            self.start_servers()
        self.addCleanup(self._end_agents)
        self._led_before = {}

    def _end_agents(self):
        self.lab.heal()
        for host in (self.r1, self.r2, *self.witnesses):
            if host.agent is not None and host.agent.running:
                self.signal_router(host, signal.SIGCONT)
                host.agent.terminate()
            for pid in run(["ip", "netns", "pids", host.namespace]).stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            host.agent = None
            # What an agent remembers over its restart is not for the next test.
            shutil.rmtree(host.dir / "state", ignore_errors=True)

    def make_cluster(self, witness=True, **options):
        options = {"edits": self.edits, "secrets": self.secrets, **options}
        self.cluster = ExampleCluster(self.lab, self.example, [self.r1, self.r2],
                                      self.witnesses if witness else [], **options)
        return self.cluster

    def start_example(self, **options):
        """Starts the agents; returns leader and follower once both routers serve."""
        self.make_cluster(**options).start()
        for name in ("router1", "router2"):
            self.wait_serving(name)
        names = self.settled()
        self._led_before = {name: self._led(name) - (name == names[0])
                            for name in ("router1", "router2")}
        return names

    # What an agent says of its router.

    def router(self, name):
        return self.agent(name).status()["router"]

    def process(self, name):
        return self.router(name)["process"]

    def told(self, name):
        """All that a person may read of the router's trouble, in one text."""
        status = self.agent(name).status()
        process = status["router"].get("process") or {}
        return " | ".join([status["router"].get("reason", ""), process.get("last_exit", ""),
                           *(w["what"] for w in status["warnings"])])

    def wait_serving(self, name, timeout=30):
        def serving():
            status = self.agent(name).status()
            router, demotion = status["router"], status["nodes"][name]["demotion"]
            return (router["state"], router["process"]["state"], demotion) == (
                "serving", "running", 0)
        wait_for(serving, f"the router of {name} serves", timeout, lab=self.lab)

    def wait_demoted(self, name, timeout=30):
        wait_for(lambda: self.demotion(name) > 0, f"{name} is demoted", timeout, 0.1, lab=self.lab)

    def wait_takes_over(self, name, timeout=30):
        wait_for(lambda: self.agent(name).state() == "leader", f"{name} leads", timeout,
                 lab=self.lab)

    # The router's processes, whoever started them.

    def router_pids(self, host):
        pids = run(["ip", "netns", "pids", host.namespace]).stdout.split()
        found = []
        for pid in pids:
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                    name = comm.read().strip()
                with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                    zombie = stat.read().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                continue
            if name == self.program and not zombie:
                found.append(int(pid))
        return sorted(found)

    def signal_router(self, host, number):
        for pid in self.router_pids(host):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    # What the client sees.

    def sql(self, port=None, address=None, **options):
        return Sql(self.client, to=f"{address or self.cluster.vip}:{port or self.port}",
                   user=APPLICATION[0], password=APPLICATION[1], **{"timeout_ms": 1000, **options})

    def who_serves(self, port=None, address=None, timeout=20):
        """The server_id that answers a new connection through the address."""
        sql = self.sql(port, address)
        try:
            sql.wait_event("answered", timeout)
        except LabError:
            dump(self.lab)
            raise
        return max(sql.stop()["answers"].items(), key=lambda item: item[1])[0]

    def refused(self, port=None, address=None):
        return connect_error(self.client, f"{address or self.cluster.vip}:{port or self.port}") != 0

    # What every kind of router has to pass.

    def check_crash(self):
        """The leader's router is killed: leadership moves at once, and it is started again."""
        leader, follower = self.start_example()
        before = self.who_serves()
        pid = self.process(leader)["pid"]
        self.assertIn(pid, self.router_pids(self.lab.hosts[leader]))
        os.kill(pid, signal.SIGKILL)
        self.wait_takes_over(follower)
        self.assertEqual(before, self.who_serves())
        reason = self.reasons(follower, leader, "follower") or self.reasons(leader, leader,
                                                                            "follower")
        self.assertRegex(reason[-1], rf"{self.program}|router")
        self.wait_serving(leader)
        process = self.process(leader)
        self.assertNotEqual(pid, process["pid"])
        self.assertEqual(1, process["restarts"])
        self.assertIn("SIGKILL", process["last_exit"])
        self.assertEqual((follower, leader), self.settled())
        self.assertEqual(1, self.times_led(follower))

    def check_freeze(self):
        """The leader's router accepts and never greets: its host is not fit to lead."""
        leader, follower = self.start_example()
        host = self.lab.hosts[leader]
        self.signal_router(host, signal.SIGSTOP)
        self.assertFalse(self.refused(address=host.ipv4), "a frozen router's port accepts")
        self.wait_takes_over(follower)
        self.assertTrue(self.who_serves())
        self.signal_router(host, signal.SIGCONT)
        self.wait_serving(leader, 60)
        self.assertEqual((follower, leader), self.settled())
        self.assertEqual(1, self.times_led(follower))

    def check_adoption(self):
        """An agent that is killed leaves its router and the router's sessions alone, and the next
        one takes the router over; a clean stop leaves none."""
        leader, follower = self.start_example()
        host = self.lab.hosts[follower]
        pid = self.process(follower)["pid"]
        session = self.sql(address=host.ipv4, mode="persistent").wait_event("answered")
        self.agent(follower).kill()
        self.agent(follower).start().wait_ready()
        self.wait_serving(follower)
        process = self.process(follower)
        self.assertEqual((pid, True, 0), (process["pid"], process["adopted"], process["restarts"]))
        time.sleep(0.3)
        result = session.stop()
        self.assertEqual((1, 0), (result["connects"], result["failed"]))
        # The leader's agent, too: the address moves, the router stays.
        host = self.lab.hosts[leader]
        pid = self.process(leader)["pid"]
        self.agent(leader).kill()
        self.wait_takes_over(follower)
        self.assertIn(pid, self.router_pids(host))
        self.assertTrue(self.who_serves())
        self.agent(leader).start().wait_ready()
        self.wait_serving(leader)
        self.assertEqual(pid, self.process(leader)["pid"])
        self.settled()
        for name in (leader, follower):
            self.assertEqual(0, self.agent(name).terminate())
            self.assertEqual([], self.router_pids(self.lab.hosts[name]))

    def check_nobody_moves(self, change, timeout=40):
        """change() makes every router equally sick: leadership stays where it is."""
        leader, follower = self.cluster.wait_settled(), None
        follower = self.other(leader)
        term = self.term(leader)
        change()
        for name in (leader, follower):
            self.wait_demoted(name, timeout)
        time.sleep(2)
        self.assertEqual((leader, term), (self.cluster.wait_leader(), self.term(leader)))
        return leader

    def root(self, name):
        return root_of(self.lab.hosts[name])
