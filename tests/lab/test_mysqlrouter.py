#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""deploy/examples/mysqlrouter-innodb-cluster: what `mysqlrouter --bootstrap` makes, under the
agents, in front of a real Group Replication cluster of MySQL 9."""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import innodb_cluster, main, mysql9, wait_for
from hamrlab.examples import place
from hamrlab.supervised import SupervisedTest

RW, RO = 6446, 6447

_LISTEN = """
import socket, sys
s = socket.create_server(("", int(sys.argv[1])))
while True: s.accept()
"""


class WithInnodbCluster(SupervisedTest):
    example = "mysqlrouter-innodb-cluster"
    program = "mysqlrouter"
    port = RW

    @classmethod
    def setUpClass(cls):
        if reason := mysql9.missing():
            raise unittest.SkipTest(reason)
        # The machine has no MySQL Router of its own, which would be found without being named.
        cls.edits = [("kind: mysqlrouter",
                      f"kind: mysqlrouter\n  program: {mysql9.program('mysqlrouter')}")]
        super().setUpClass()

    @classmethod
    def start_servers(cls):
        cls.mysql = innodb_cluster.InnodbCluster(cls.databases).restart()
        for host in (cls.r1, cls.r2):
            directory = place(host, "/var/lib/mysqlrouter/shop")
            shutil.rmtree(directory, ignore_errors=True)
            cls.mysql.bootstrap_router(host, directory)

    @classmethod
    def servers_are_well(cls):
        return cls.mysql.all_online()

    def test_crash_of_the_leaders_router_hands_over(self):
        self.check_crash()

    def test_frozen_router_loses_the_lead(self):
        self.check_freeze()

    def test_router_outlives_its_agent_and_not_a_clean_stop(self):
        self.check_adoption()

    def test_port_taken_by_a_stranger_is_named(self):
        taken = self.r1.spawn("stranger", [sys.executable, "-c", _LISTEN, RW])
        self.wait_for(lambda: not self.refused(RW, self.r1.ipv4), "the stranger listens")
        self.make_cluster().start()
        self.wait_for(lambda: f":{RW}" in self.told("router1")
                      and "in use" in self.told("router1"), "what is wrong is told", 20)
        self.assertIn("in use", self.agent("router1").hamr("status").stdout)
        self.wait_takes_over("router2")
        self.assertTrue(self.who_serves())
        self.assertTrue(taken.running)
        taken.kill()
        # By then its back-off may have grown.
        self.agent("router1").hamr("reload")
        self.wait_serving("router1")

    def test_primary_dies_then_all(self):
        leader, follower = self.start_example()
        self.assertEqual("21", self.who_serves())
        self.assertIn(self.who_serves(RO), ("22", "23"))
        # Without a primary every router closes its port, on all hosts at once, for seconds.
        self.check_nobody_moves(self.mysql.server("db1").kill)
        primary = self.mysql.wait_primary()
        for name in (leader, follower):
            self.wait_serving(name)
        self.assertEqual(str(primary.server_id), self.who_serves())
        self.assertEqual((leader, follower), self.settled())
        self.assertEqual(1, self.times_led(leader))
        self.check_nobody_moves(self.mysql.kill)
        for name in (leader, follower):
            self.assertNotEqual("serving", self.router(name)["state"])
            self.assertEqual("running", self.process(name)["state"], "the process itself is well")
        wait_for(self.refused, "the port is shut", 20)
        self.assertEqual(1, self.times_led(leader))


if __name__ == "__main__":
    main()
