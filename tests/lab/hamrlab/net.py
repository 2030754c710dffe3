# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts as network namespaces, on a bridge that lives in a namespace of its own.

    lab = Lab()
    router1 = lab.host("router1", 11)        # 192.0.2.11/24 and 2001:db8::11/64 on eth0
    lab.isolate(router1); lab.heal(); lab.close()

The machine's own namespace gets no interface and no address. Names carry the pid of the owner, so
that the next lab can remove what a killed one left (sweep())."""

import atexit
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile

from .core import LabError, run
from .process import Process

_NETNS = pathlib.Path("/run/netns")
_open_labs = []
_counter = 0


def _alive(pid):
    try:
        return b"python" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _remove_namespace(name):
    for pid in run(["ip", "netns", "pids", name], check=False).stdout.split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    run(["ip", "netns", "del", name], check=False)


def sweep():
    """Removes namespaces and directories whose owner is gone."""
    pattern = re.compile(r"^hamr-(\d+)-")
    names = [p.name for p in _NETNS.iterdir()] if _NETNS.exists() else []
    for name in names:
        found = pattern.match(name)
        if found and not _alive(found[1]):
            _remove_namespace(name)
    for path in pathlib.Path(tempfile.gettempdir()).glob("hamr-*-*"):
        found = pattern.match(path.name)
        if found and not _alive(found[1]):
            shutil.rmtree(path, ignore_errors=True)


def _close_all():
    for lab in list(_open_labs):
        lab.close()


def _on_signal(number, _frame):
    # As an exception, so that "finally" and atexit run.
    sys.exit(128 + number)


class Host:
    """A namespace with lo and eth0, its private directory, and the processes started on it."""

    def __init__(self, lab, name, number):
        self.lab = lab
        self.name = name
        self.number = number
        self.namespace = f"hamr-{lab.id}-{name}"
        self.dir = lab.dir / name
        self.dir.mkdir(mode=0o700)
        self.mac = f"02:00:00:00:00:{number:02x}"
        self.ipv4 = f"192.0.2.{number}"
        self.ipv6 = f"2001:db8::{number}"
        self.ports = []
        self.processes = []
        self.agent = None
        run(["ip", "netns", "add", self.namespace])
        # Duplicate address detection would only make the lab wait for itself.
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.sysctl("net.ipv6.conf.all.accept_dad", 0)
        run(["ip", "-n", self.namespace, "link", "set", "lo", "up"])

    def add_link(self, interface="eth0", bridge="segment", addresses=None, mac=None):
        """A veth to a bridge of the switch; the default addresses are the host's own."""
        port = self.name if interface == "eth0" else f"{self.name}.{interface}"
        if len(port) > 15:
            raise LabError(f"{port}: names of interfaces end after 15 characters")
        switch = self.lab.switch
        mac = mac or (self.mac if interface == "eth0" else None)
        run(["ip", "-n", switch, "link", "add", "name", port, "type", "veth", "peer", "name",
             interface, *(["address", mac] if mac else []), "netns", self.namespace])
        run(["ip", "-n", switch, "link", "set", "dev", port, "master", bridge, "up"])
        run(["ip", "-n", self.namespace, "link", "set", "dev", interface, "up"])
        if addresses is None:
            addresses = [f"{self.ipv4}/24", f"{self.ipv6}/64"]
        for address in addresses:
            run(["ip", "-n", self.namespace, "addr", "add", address, "dev", interface,
                 *(["nodad"] if ":" in address else [])])
        self.ports.append((port, bridge))

    def interface_at(self, port):
        """The interface of this host behind a port of the switch."""
        return "eth0" if port == self.name else port.removeprefix(self.name + ".")

    def run(self, *argv, check=True, timeout=30, stdin=None):
        """Runs a command on this host to its end."""
        return run(["ip", "netns", "exec", self.namespace, *argv], check, timeout, stdin)

    def ip(self, *args):
        return run(["ip", "-n", self.namespace, *args]).stdout

    def sysctl(self, name, value=None):
        if value is None:
            return self.run("sysctl", "-n", name).stdout.strip()
        return self.run("sysctl", "-q", "-w", f"{name}={value}")

    def spawn(self, name, argv, output=None, env=None):
        """Starts a process on this host; its log is <name>.log in the host's directory."""
        process = Process(name, argv, self.namespace, self.dir / f"{name}.log", output, env,
                          cwd=self.dir)
        self.processes.append(process)
        return process

    def has_address(self, address):
        return f" {address}/" in run(["ip", "-n", self.namespace, "addr"]).stdout

    def has_carrier(self, interface="eth0"):
        return "LOWER_UP" in self.ip("link", "show", "dev", interface)

    def close(self):
        """Ends its processes; the lab removes its namespace and its directory."""
        for process in reversed(self.processes):
            if process.running:
                process.kill()


class Lab:
    """One segment (a bridge called "segment") and its hosts. close() leaves nothing behind."""

    def __init__(self):
        global _counter
        if os.geteuid() != 0:
            raise LabError("the lab needs root, for network namespaces")
        if not _open_labs:
            sweep()
            atexit.register(_close_all)
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, _on_signal)
        _counter += 1
        self.id = f"{os.getpid()}-{_counter}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"hamr-{self.id}-"))
        self.hosts = {}
        self.switch = f"hamr-{self.id}-switch"
        self.cut = set()
        _open_labs.append(self)
        run(["ip", "netns", "add", self.switch])
        run(["ip", "netns", "exec", self.switch, "sysctl", "-q", "-w",
             "net.ipv6.conf.default.disable_ipv6=1"])
        self._plain_bridges()
        self.add_bridge("segment")
        self.add_bridge("island")

    def _plain_bridges(self):
        """A switch looks into no packet; where br_netfilter is loaded, Linux's bridges do."""
        for family in ("iptables", "ip6tables", "arptables"):
            run(["ip", "netns", "exec", self.switch, "sysctl", "-q", "-w",
                 f"net.bridge.bridge-nf-call-{family}=0"], check=False)

    def add_bridge(self, name):
        run(["ip", "-n", self.switch, "link", "add", "name", name, "type", "bridge",
             "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"])
        run(["ip", "-n", self.switch, "link", "set", "dev", name, "up"])

    def host(self, name, number, link=True):
        host = Host(self, name, number)
        self.hosts[name] = host
        if link:
            host.add_link()
        return host

    def host_of_mac(self, mac):
        """The name of the host with this address on eth0, else the address itself."""
        return next((h.name for h in self.hosts.values() if h.mac == mac), mac)

    # Faults. They act on the switch: a host keeps its carrier unless it is the point to lose it.

    def _ports(self, hosts, *change, link=None):
        for host in hosts:
            self.cut.add(host.name)
            for port, _ in host.ports:
                if link in (None, host.interface_at(port)):
                    run(["ip", "-n", self.switch, "link", "set", "dev", port, *change])

    def isolate(self, *hosts, link=None):
        """Cuts each host off silently: carrier stays, nothing arrives. `link`: only there."""
        self._ports(hosts, "nomaster", link=link)

    def isolate_together(self, *hosts):
        """Cuts these hosts off from all others; they still reach each other."""
        self._ports(hosts, "master", "island")

    def link_down(self, *hosts, link=None):
        """Takes the switch's end down: the hosts lose their carrier. `link`: only there."""
        self._ports(hosts, "down", link=link)

    def heal(self, *hosts):
        """Undoes all faults of these hosts, or of all."""
        for host in hosts or [self.hosts[name] for name in sorted(self.cut)]:
            for port, bridge in host.ports:
                run(["ip", "-n", self.switch, "link", "set", "dev", port, "master", bridge, "up"])
            self.cut.discard(host.name)

    def close(self):
        """Ends every process and removes every namespace and file. May be called twice."""
        if self not in _open_labs:
            return
        # A second Ctrl-C must not stop the cleaning half-way.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for host in self.hosts.values():
            host.close()
        for name in [h.namespace for h in self.hosts.values()] + [self.switch]:
            _remove_namespace(name)
        shutil.rmtree(self.dir, ignore_errors=True)
        _open_labs.remove(self)
        signal.signal(signal.SIGINT, handler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
