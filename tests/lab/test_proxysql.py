#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""deploy/examples/proxysql-replication: ProxySQL under the agents, in front of a MariaDB source and
its replica. Runs where a proxysql is found; no Debian suite has one."""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import MariaDb, main, proxysql, replicate, switch_roles
from hamrlab.mariadb import APPLICATION
from hamrlab.supervised import SupervisedTest


class WithReplication(SupervisedTest):
    example = "proxysql-replication"
    program = "proxysql"
    port = 6033
    database_count = 2
    secrets = {"proxysql.password": proxysql.ADMIN[1] + "\n",
               "app.password": APPLICATION[1] + "\n"}

    @classmethod
    def setUpClass(cls):
        if reason := proxysql.missing():
            raise unittest.SkipTest(reason)
        cls.edits = [("kind: proxysql", f"kind: proxysql\n  program: {proxysql.program()}")]
        super().setUpClass()

    @classmethod
    def start_servers(cls):
        cls.servers = [MariaDb(host) for host in cls.databases]
        for server in cls.servers:
            shutil.rmtree(server.datadir, ignore_errors=True)
            server.start()
            server.sql("CREATE USER monitor IDENTIFIED BY 'monitor-secret';"
                       "GRANT REPLICATION CLIENT, REPLICA MONITOR ON *.* TO monitor;"
                       "RESET MASTER;")
        replicate(*cls.servers)

    @classmethod
    def servers_are_well(cls):
        return all(server.process.running for server in cls.servers)

    def test_crash_of_the_leaders_router_hands_over(self):
        self.check_crash()

    def test_frozen_router_loses_the_lead(self):
        self.check_freeze()

    def test_router_outlives_its_agent_and_not_a_clean_stop(self):
        self.check_adoption()

    def test_roles_change_then_all_die(self):
        leader, follower = self.start_example()
        self.assertEqual("21", self.who_serves())
        switch_roles(*self.servers)
        self.wait_for(lambda: self.who_serves() == "22", "writes follow the source", 20)
        self.assertEqual((leader, follower), self.settled())
        self.check_nobody_moves(lambda: [server.kill() for server in self.servers])
        self.assertEqual(1, self.times_led(leader))


if __name__ == "__main__":
    main()
