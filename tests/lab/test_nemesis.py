#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The nemesis, for a minute with each shape; and that it finds a host that is broken on purpose."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

SKIPPED = 77
NEMESIS = pathlib.Path(__file__).resolve().parent / "nemesis"
TWO_ANSWERED = 1


def nemesis(*options):
    """Runs it; returns its exit code and its report. What it says of a failure goes to the log."""
    done = subprocess.run([sys.executable, NEMESIS, "--json", *options], stdout=subprocess.PIPE,
                          text=True, timeout=240, check=False)
    if done.returncode == SKIPPED:
        raise unittest.SkipTest(done.stdout.strip())
    return done.returncode, json.loads(done.stdout)


class Nemesis(unittest.TestCase):
    def minute(self, shape, seed):
        code, report = nemesis("--minutes", "1", "--seed", seed, "--shape", shape)
        print(f"    {report['faults_done']} faults, {report['changes']} changes of leader,"
              f" {report['answers']} answers; service after heal {report['service_after_heal_ms']},"
              f" closest {report['closest_voices_of_two_leaders_ms']} ms", flush=True)
        self.assertEqual((0, []), (code, report["violations"]), report["replay"])
        self.assertGreater(report["faults_done"], 20)
        self.assertGreater(report["changes"], 3)
        self.assertGreater(report["answers"], 1000)

    def test_three_routers(self):
        self.minute("routers", "1")

    def test_two_routers_and_a_witness(self):
        self.minute("witness", "1")

    def test_a_gate_taken_from_under_a_stopped_agent_is_found(self):
        """It looks, and it would see: this host speaks beside the next leader."""
        code, report = nemesis("--minutes", "0.2", "--seed", "1", "--broken", "gate")
        self.assertEqual(TWO_ANSWERED, code)
        self.assertTrue(report["violations"][0].startswith("together: "), report["violations"])


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: the lab needs root, for network namespaces")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
