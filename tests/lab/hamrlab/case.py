# SPDX-License-Identifier: GPL-2.0-or-later
"""unittest for the lab: a fresh lab for each test, and a full picture when one fails."""

import functools
import os
import sys
import unittest

from .core import dump, wait_for
from .net import Lab

SKIPPED = 77


def _with_picture(method):
    @functools.wraps(method)
    def wrapped(self):
        try:
            return method(self)
        except (unittest.SkipTest, KeyboardInterrupt):
            raise
        except BaseException:
            dump(self.lab)
            raise
    return wrapped


class LabTest(unittest.TestCase):
    """Has self.lab; wait_for() shows the lab when it gives up."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, method in list(vars(cls).items()):
            if name.startswith("test") and callable(method):
                setattr(cls, name, _with_picture(method))

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def wait_for(self, condition, what, timeout=10.0):
        return wait_for(condition, what, timeout)


def main():
    """Runs the tests of __main__; exit code 77 when nothing could run, and why is printed."""
    if os.geteuid() != 0:
        print("skipped: the lab needs root, for network namespaces")
        sys.exit(SKIPPED)
    result = unittest.main(module="__main__", exit=False, verbosity=2).result
    if not result.wasSuccessful():
        sys.exit(1)
    # A class that is skipped as a whole counts no test as run.
    if result.skipped and len(result.skipped) >= result.testsRun:
        for _, reason in result.skipped:
            print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    sys.exit(0)
