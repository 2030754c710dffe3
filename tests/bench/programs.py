# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that a bench measures."""

import atexit
import os
import shutil
import tempfile

from hamrlab import program


def freeze_programs(names):
    """Uses copies, so that a build in the meantime changes nothing."""
    place = tempfile.mkdtemp(prefix="hamr-bench-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    for name in names:
        shutil.copy2(program(name), place)
    os.environ["HAMR_BIN_DIR"] = place
