# SPDX-License-Identifier: GPL-2.0-or-later
"""labtool's commands as objects: start on a host, stop, read the result."""

import itertools
import json
import signal
import sys

from .core import LabError, program, tail, wait_for

_numbers = itertools.count(1)


def labtool(host, command, *args, timeout=30):
    """Runs a labtool command to its end; returns its result object."""
    done = host.run(program("labtool"), command, *args, timeout=timeout)
    return json.loads(done.stdout.splitlines()[-1])


class Tool:
    """A labtool command in the background. Options: keywords, with "_" for "-"."""

    command = ""

    def __init__(self, host, **options):
        self.host = host
        name = f"{self.command}-{next(_numbers)}"
        argv = [program("labtool"), self.command]
        for key, value in options.items():
            option = "--" + key.replace("_", "-")
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if one is True:
                    argv.append(option)
                elif one is not None and one is not False:
                    argv += [option, str(one)]
        self.output = host.dir / f"{name}.json"
        self.process = host.spawn(name, argv, output=self.output)
        self.wait_event("ready")

    def events(self):
        """Every object printed so far."""
        with open(self.output, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def wait_event(self, event, timeout=10):
        def seen():
            if any(e["event"] == event for e in self.events()):
                return True
            if not self.process.running:
                raise LabError(f"{self.process.name} ended: {tail(self.process.log)}")
            return False
        try:
            wait_for(seen, f"{self.process.name}: {event}", timeout, interval=0.005)
        except LabError as error:
            if not self.process.running:
                raise
            raise LabError(f"{error}\n{json.dumps(self.stop())}") from error
        return self

    def stop(self):
        """Ends the command and returns its result object."""
        self.process.signal(signal.SIGTERM)
        return self.result()

    def result(self, timeout=30):
        self.process.wait(timeout)
        events = self.events()
        if not events or events[-1]["event"] != "result":
            raise LabError(f"{self.process.name} gave no result: {tail(self.process.log)}")
        return events[-1]


class Stalls(Tool):
    """Stalls(client, cpu=0): when that processor of the machine stood still."""

    command = "stalls"


class Sweep(Tool):
    """Sweep(client, to="198.51.100.1", count=250): what Probe tells, for each of many addresses."""

    command = "sweep"


class Probe(Tool):
    """Probe(client, to="192.0.2.100"): how long nobody answered."""

    command = "probe"


class Capture(Tool):
    """Capture(observer, vip=[…]): every frame sent as the VIP.

    Capture.at_switch(lab, vip=…) sees each frame where it enters the switch."""

    command = "capture"

    @classmethod
    def at_switch(cls, lab, **options):
        return cls(_Switch(lab), interface="any", ignore=["segment", "island"], **options)

    def frames(self):
        return [e for e in self.events() if e["event"] == "frame"]


class _Switch:
    """The switch as something to spawn on; its processes are the first host's."""

    def __init__(self, lab):
        self._owner = next(iter(lab.hosts.values()))
        self._namespace = lab.switch
        self.dir = self._owner.dir

    def spawn(self, name, argv, output=None):
        from .process import Process
        process = Process(name, argv, self._namespace, self.dir / f"{name}.log", output)
        self._owner.processes.append(process)
        return process


class Arping(Tool):
    """Arping(observer, to="192.0.2.100"): who answers for an address, by MAC."""

    command = "arping"


class FrameCapture(Tool):
    """FrameCapture(observer, port=8112, file=…): records frames for `labtool replay`."""

    command = "capture-frames"


class Sql(Tool):
    """Sql(client, to="192.0.2.100:6446", user=…, password=…): queries without pause."""

    command = "sql"


_CONNECT = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.settimeout(2)
print(s.connect_ex((sys.argv[1], int(sys.argv[2]))))
"""


def connect_error(host, endpoint):
    """errno of a TCP connection from this host; 0 when it is accepted."""
    address, port = endpoint.rsplit(":", 1)
    return int(host.run(sys.executable, "-c", _CONNECT, address.strip("[]"), port).stdout)


def answerers(host, address, milliseconds=300):
    """The names of the hosts that answer ARP (or ND) for an address."""
    result = labtool(host, "arping", "--to", address, "--duration-ms", milliseconds)
    return sorted(host.lab.host_of_mac(mac) for mac in result["macs"])


def reaches(host, address, seconds=3.0):
    """Whether pings from this host are answered; a "no" takes as long as is given."""
    probe = Probe(host, to=address, interval_us=20_000)
    try:
        probe.wait_event("answered", seconds)
        return True
    except LabError:
        return False
    finally:
        probe.stop()
