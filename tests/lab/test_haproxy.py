#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""deploy/examples/haproxy-galera: HAProxy under the agents, in front of a real Galera cluster."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import galera, haproxy, main, wait_for
from hamrlab.examples import place
from hamrlab.supervised import SupervisedTest


class HaproxyTest(SupervisedTest):
    example = "haproxy-galera"
    program = "haproxy"

    @classmethod
    def setUpClass(cls):
        if reason := haproxy.missing() or galera.missing():
            raise unittest.SkipTest(reason)
        super().setUpClass()


class WithGalera(HaproxyTest):
    @classmethod
    def start_servers(cls):
        cls.galera = galera.GaleraCluster(cls.databases).restart()

    @classmethod
    def servers_are_well(cls):
        return cls.galera.all_synced()

    def servers_seen_by(self, name):
        return haproxy.servers(self.root(name) / "run/haproxy/admin.sock")

    def test_crash_of_the_leaders_router_hands_over(self):
        self.check_crash()

    def test_frozen_router_loses_the_lead(self):
        self.check_freeze()

    def test_router_outlives_its_agent_and_not_a_clean_stop(self):
        self.check_adoption()

    def test_reload_keeps_sessions_and_judges_first(self):
        leader, _ = self.start_example()
        session = self.sql(mode="persistent").wait_event("answered")
        pid = self.process(leader)["pid"]
        config = place(self.lab.hosts[leader], "/etc/haproxy/haproxy.cfg")
        good = config.read_text(encoding="utf-8")
        config.write_text(good.replace("bind *:3307", "bind *:3308"), encoding="utf-8")
        self.agent(leader).hamr("reload")
        self.wait_for(lambda: not self.refused(3308), "the new port")
        self.assertEqual(pid, self.process(leader)["pid"], "the master stays")
        config.write_text(good + "\nnonsense here\n", encoding="utf-8")
        done = self.agent(leader).hamr("reload", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("nonsense", done.stdout + done.stderr)
        self.assertFalse(self.refused(3308), "the old configuration still serves")
        result = session.stop()
        self.assertEqual((1, 0), (result["connects"], result["failed"]))
        self.assertEqual(1, self.times_led(leader))

    def test_writer_dies_then_all(self):
        leader, follower = self.start_example()
        self.assertEqual("21", self.who_serves())
        self.galera.node("db1").kill()
        wait_for(lambda: self.who_serves() == "22", "writes go to db2", 20)
        self.assertEqual((leader, follower), self.settled())
        self.assertEqual(1, self.times_led(leader))
        self.check_nobody_moves(self.galera.kill)
        self.assertFalse(self.refused(), "HAProxy's port stays open")
        for name in (leader, follower):
            self.assertNotEqual("serving", self.router(name)["state"])
            down = [c for c in self.agent(name).status()["checks"] if c["state"] == "down"]
            self.assertTrue([c for c in down if c["name"] == "galera-write"], down)
        self.assertEqual(1, self.times_led(leader))
        # One node after the other, each a donor to the next: HAProxy's servers come and go.
        self.galera.restart()
        for name in (leader, follower):
            self.wait_serving(name)
        self.assertTrue(self.who_serves())


class WithoutServers(HaproxyTest):
    """What goes wrong with the program itself is named, whatever stands behind it."""

    def start_and_wait_for(self, *words):
        self.make_cluster().start()
        def named():
            text = self.told("router1")
            return all(word in text for word in words) and text
        wait_for(named, f"router1 tells of {words}", 30, 0.1, lab=self.lab)
        text = self.agent("router1").hamr("status").stdout
        for word in words:
            self.assertIn(word, text)
        self.assertNotEqual("serving", self.router("router1")["state"])
        self.assertGreater(self.demotion("router1"), 0)

    def test_missing_program(self):
        self.edits = [("kind: haproxy", "kind: haproxy\n  program: /usr/sbin/no-such-haproxy")]
        self.start_and_wait_for("/usr/sbin/no-such-haproxy")

    def test_program_that_ends_at_once(self):
        self.edits = [("listen galera-read", "listen galera-read\n\tno-such-word")]
        self.start_and_wait_for("no-such-word")

    def test_port_of_a_foreign_instance(self):
        foreign = haproxy.Haproxy(self.r1, {"foreign": ("*:3306", ["192.0.2.21:3306"])}).start()
        self.wait_for(lambda: foreign.servers(), "the foreign HAProxy")
        self.start_and_wait_for("0.0.0.0:3306")
        self.assertTrue(foreign.process.running, "it is not ours to end")


if __name__ == "__main__":
    main()
