# SPDX-License-Identifier: GPL-2.0-or-later
"""What every part of the lab needs: errors, the clock, waiting, and where the programs are."""

import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]


class LabError(Exception):
    """A command failed, or a condition did not come true in time."""


def now_ns():
    """CLOCK_BOOTTIME, as in all of labtool's output."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def program(name):
    """The path of hamrd, hamr or labtool: from HAMR_BIN_DIR, else from the newest build."""
    chosen = os.environ.get("HAMR_BIN_DIR")
    places = [pathlib.Path(chosen)] if chosen else sorted(
        (p.parent for p in ROOT.glob(f"build/*/bin/{name}")),
        key=lambda p: (p / name).stat().st_mtime, reverse=True)
    for place in places:
        if (place / name).exists():
            return str(place / name)
    looked = ", ".join(map(str, places)) or "build/*/bin"
    raise LabError(f"{name} is not built (looked in {looked})")


def have_program(name):
    try:
        program(name)
        return True
    except LabError:
        return False


def run(argv, check=True, timeout=30, stdin=None):
    """Runs a command to its end; returns its CompletedProcess, with text output."""
    try:
        done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True,
                              timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(map(str, argv))}: no end within {timeout} s") from error
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n"
                       f"{done.stdout}{done.stderr}".rstrip())
    return done


def wait_for(condition, what, timeout=10.0, interval=0.02, lab=None):
    """Calls `condition` until it returns something true, and returns that.

    A LabError, KeyError or ValueError inside counts as "not yet" and is shown at the end, with
    the lab's agents and logs when `lab` is given."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = f"last value: {value!r}"
        except (LabError, KeyError, IndexError, ValueError) as error:
            last = f"last error: {error!r}"
        if time.monotonic() >= end:
            break
        time.sleep(interval)
    if lab is not None:
        dump(lab)
    raise LabError(f"waited {timeout:g} s in vain for: {what} ({last})")


def tail(path, lines=30):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()[-lines:]
    except OSError:
        return []


def dump(lab, out=None):
    """Everything a reader of a failed test wants to see."""
    out = out or sys.stderr
    print(f"--- lab {lab.id}", file=out)
    for host in lab.hosts.values():
        addresses = run(["ip", "-n", host.namespace, "-br", "addr"], check=False).stdout.strip()
        print(f"--- {host.name}: {' | '.join(addresses.splitlines())}", file=out)
        agent = host.agent
        if agent is not None and agent.running:
            for command in ("status", "history"):
                try:
                    done = agent.hamr(command, "--json", check=False, timeout=5)
                except LabError as error:
                    print(f"--- {host.name}: {error}", file=out)
                    continue
                text = done.stdout.strip()
                try:
                    text = json.dumps(json.loads(text), indent=1)
                except ValueError:
                    text += done.stderr
                print(f"--- {host.name}: hamr {command}\n{text}", file=out)
        for process in host.processes:
            state = "running" if process.running else f"ended ({process.returncode})"
            print(f"--- {host.name}: {process.name}, {state}, pid {process.pid}", file=out)
            for line in tail(process.log):
                print(f"    {line}", file=out)
    out.flush()
