# SPDX-License-Identifier: GPL-2.0-or-later
"""What takes long to make is made once for each machine, and kept outside the source tree:
/var/cache/hamr-lab, or where HAMR_LAB_CACHE says. Removing it costs the next run a minute."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile

from .core import LabError


class Unavailable(LabError):
    """Something that cannot be had on this machine; the text is the reason to skip."""


def cache_dir():
    place = pathlib.Path(os.environ.get("HAMR_LAB_CACHE", "/var/cache/hamr-lab"))
    place.mkdir(parents=True, exist_ok=True)
    return place


@contextlib.contextmanager
def _locked(path):
    with open(path, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached(name, make):
    """The directory or file `name` of the cache. When there is none, make(path) makes it, which
    is not seen by others before it is complete; one maker at a time."""
    place = cache_dir() / name
    if place.exists():
        return place
    with _locked(cache_dir() / f"{name}.lock"):
        if place.exists():
            return place
        work = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.new-", dir=place.parent))
        try:
            make(work / "made")
            (work / "made").rename(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return place
