#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""deploy/examples/command: socat as the router of one MariaDB server."""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import MariaDb, main
from hamrlab.supervised import SupervisedTest


class WithSocat(SupervisedTest):
    example = "command"
    program = "socat"
    database_count = 1

    @classmethod
    def setUpClass(cls):
        if not shutil.which("socat"):
            raise unittest.SkipTest("socat is not installed")
        super().setUpClass()

    @classmethod
    def start_servers(cls):
        cls.server = MariaDb(cls.databases[0]).start()

    @classmethod
    def servers_are_well(cls):
        return cls.server.process.running

    def test_crash_of_the_leaders_router_hands_over(self):
        self.check_crash()

    def test_frozen_router_loses_the_lead(self):
        self.check_freeze()

    def test_router_outlives_its_agent_and_not_a_clean_stop(self):
        self.check_adoption()

    def test_server_dies_and_nobody_moves(self):
        leader, follower = self.start_example()
        self.check_nobody_moves(self.server.kill)
        self.assertEqual((leader, follower), self.settled())
        self.assertEqual(1, self.times_led(leader))


if __name__ == "__main__":
    main()
