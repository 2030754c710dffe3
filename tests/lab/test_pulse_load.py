#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The short form of tests/bench/pulse: 20 s with every processor busy and a large firewall loaded
again and again; leadership stays, unless all processors stood still at once."""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import LabTest, main, run
from hamrlab.core import ROOT


class PulseUnderLoad(LabTest):
    @unittest.skipIf(shutil.which("stress-ng") is None, "stress-ng is not installed")
    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two processors")
    def test_no_false_takeover(self):
        done = run([ROOT / "tests" / "bench" / "pulse", "--minutes", "0.33",
                    "--without-keepalived"], check=False, timeout=240)
        print(done.stdout, flush=True)
        self.assertEqual(0, done.returncode, done.stderr)


if __name__ == "__main__":
    main()
