# SPDX-License-Identifier: GPL-2.0-or-later
"""A process in a host, ended by its pid whatever happens to the test.

The kernel kills it when the thread that started it ends (PR_SET_PDEATHSIG), so start processes
from the main thread."""

import ctypes
import os
import pathlib
import signal
import subprocess

from .core import LabError

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent(parent):
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(127)


class Process:
    """`argv` running in `namespace`; output goes to the file `log` (and stdout to `output`)."""

    def __init__(self, name, argv, namespace, log, output=None, env=None, cwd=None):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.log = str(log)
        self.output = str(output) if output else self.log
        parent = os.getpid()
        with open(self.log, "ab") as errors, open(self.output, "ab") as out:
            # "ip netns exec" becomes the program: the pid is the program's own.
            self._child = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *self.argv], stdin=subprocess.DEVNULL,
                stdout=out, stderr=errors, cwd=cwd, env={**os.environ, **(env or {})},
                preexec_fn=lambda: _die_with_parent(parent),
                # Ctrl-C in a terminal is for the lab's owner, who ends the rest in order.
                start_new_session=True)

    @property
    def pid(self):
        return self._child.pid

    @property
    def running(self):
        return self._child.poll() is None

    @property
    def returncode(self):
        return self._child.poll()

    def signal(self, number):
        if self.running:
            self._child.send_signal(number)

    def wait(self, timeout=10):
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name} (pid {self.pid}): no end within {timeout} s") from error

    def terminate(self, timeout=10):
        """SIGTERM, and SIGKILL when that takes too long; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self):
        self.signal(signal.SIGKILL)
        try:
            return self._child.wait(10)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name} (pid {self.pid}): SIGKILL has not ended it within 10 s;"
                           f" its threads:\n{self._threads()}") from error

    def _threads(self):
        """Where each of its threads is in the kernel."""
        lines = []
        for task in sorted(pathlib.Path(f"/proc/{self.pid}/task").glob("*")):
            for name in ("stat", "wchan", "stack"):
                try:
                    lines.append(f"{task.name} {name}: {(task / name).read_text()[:600]}")
                except OSError as error:
                    lines.append(f"{task.name} {name}: {error}")
        return "\n".join(lines)

    def stop(self):
        self.signal(signal.SIGSTOP)

    def cont(self):
        self.signal(signal.SIGCONT)
