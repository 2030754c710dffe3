# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole hosts: a Debian that boots with systemd on a host of the lab, in systemd-nspawn.

    machine = Machine(lab, "router1", 11, package=deb)    # Unavailable: nothing here can boot one
    machine.boot()
    machine.install(deb)
    machine.inside("systemctl", "start", "hamrd")
    machine.power_cut(); machine.boot(); machine.poweroff()

The file system lies over a template, which debootstrap makes once (see cache.py) with what the
package depends on; it outlives boots, and is mounted where only the machine sees it. Memory,
processes and network are new with each boot, as on a real host: the namespace too, so nothing of
an earlier life is left in it."""

import hashlib
import os
import pathlib
import re
import shutil
import sys
import time

from .agent import Agent, Cluster, to_yaml
from .cache import Unavailable, cache_dir, cached
from .core import LabError, run, tail, wait_for
from .mariadb import MONITOR
from .net import Host

# Of what is done to the template; a change makes a new one.
_VERSION = "2"
_SUITE = "bookworm"
_MIRROR = "http://deb.debian.org/debian"
# The package's own dependencies are added to these.
_PACKAGES = ("systemd", "systemd-sysv", "dbus", "iproute2", "procps", "ca-certificates", "haproxy",
             "bash-completion")
_ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG=C.UTF-8", "HOME=/root", "TERM=dumb")
# Where systemd keeps its groups: the one hierarchy of version 2, or two beside version 1.
_CGROUPS = pathlib.Path("/sys/fs/cgroup")
# A directory of nspawn's for each machine, empty on the outside.
_PROPAGATE = pathlib.Path("/run/systemd/nspawn/propagate")


def dependencies(package):
    """The names of what a .deb depends on, the first of alternatives, versions dropped."""
    field = run(["dpkg-deb", "-f", package, "Depends"]).stdout
    return sorted({re.match(r"[a-z0-9+.-]+", d.strip())[0] for d in field.split(",")})


def template(packages, progress=print):
    """The root file system that machines are copied from."""
    for tool in ("debootstrap", "systemd-nspawn"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is not installed (deploy/packages.sh test)")
    wanted = sorted({*_PACKAGES, *packages})
    digest = hashlib.sha256(" ".join([*wanted, _VERSION]).encode()).hexdigest()[:8]
    name = f"machine-{_SUITE}-{digest}"

    def make(place):
        began = time.monotonic()
        progress(f"debootstrap of {_SUITE} into {cache_dir()} (once, about a minute)", flush=True)
        _install(place, wanted)
        _settle(place)
        for old in cache_dir().glob(f"machine-{_SUITE}-*"):
            if old.is_dir() and old.name != name and ".new-" not in old.name:
                shutil.rmtree(old, ignore_errors=True)
        progress(f"the template took {time.monotonic() - began:.0f} s", flush=True)

    return cached(name, make)


def _install(place, packages):
    # apt and not debootstrap chooses the packages: some names are provided by others.
    steps = [["debootstrap", "--variant=minbase", _SUITE, place, _MIRROR],
             ["chroot", place, "env", "-i", *_ENVIRONMENT, "DEBIAN_FRONTEND=noninteractive",
              "apt-get", "install", "-y", "--no-install-recommends", *packages]]
    for step in steps:
        done = run(step, check=False, timeout=900)
        if done.returncode != 0:
            raise Unavailable(f"no {_SUITE} to boot: {step[0]}: "
                              + (done.stdout + done.stderr).strip().splitlines()[-1])
        resolver = pathlib.Path("/etc/resolv.conf")
        if resolver.exists():
            shutil.copy(resolver, place / "etc/resolv.conf")
        (place / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        (place / "usr/sbin/policy-rc.d").chmod(0o755)


def _settle(place):
    """Nothing runs in a machine but what the test starts."""
    (place / "usr/sbin/policy-rc.d").unlink()
    for unit in ("haproxy.service", "apt-daily.timer", "apt-daily-upgrade.timer",
                 "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"):
        run(["systemctl", f"--root={place}", "disable", unit], check=False)
    for archive in place.glob("var/cache/apt/archives/*.deb"):
        archive.unlink()
    # Each machine gets an identity of its own at its first boot.
    (place / "etc/machine-id").write_text("", encoding="ascii")
    (place / "etc/hostname").unlink(missing_ok=True)
    (place / "etc/resolv.conf").unlink(missing_ok=True)
    (place / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n", encoding="ascii")


def _groups(name):
    """Where a machine's processes are grouped."""
    hierarchies = [_CGROUPS / "systemd", _CGROUPS / "unified"]
    if not hierarchies[0].is_dir():
        hierarchies = [_CGROUPS]
    return [h / name for h in hierarchies if h.is_dir()]


def _remove_groups(name):
    def gone():
        for group in _groups(name):
            for place, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(place)
                except OSError:
                    pass  # a process that was killed has not ended yet
        return not any(group.exists() for group in _groups(name))
    try:
        wait_for(gone, f"the groups of {name} are empty", 5)
    except LabError as error:
        print(error, file=sys.stderr)


def sweep():
    """Removes what machines of killed owners left outside the lab's own directories."""
    for place in {*(g.parent for g in _groups("x")), _PROPAGATE}:
        for left in place.glob("hamr-*-*-*"):
            owner = left.name.split("-")[1]
            if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
                _remove_groups(left.name)
                run(["rm", "-rf", _PROPAGATE / left.name])


_NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--capability=all",
           # Not in nspawn's own list, since a container has no business with it; a host has.
           "--system-call-filter=bpf", "--link-journal=no", "--resolv-conf=off", "--timezone=off")
# Joins its groups, which are made before anything of the machine runs in them. The mount is private
# to this shell and what it becomes, so it is gone with it.
_BEGIN = """
for g in $GROUPS; do mkdir -p "$g" && echo $$ >"$g/cgroup.procs" || exit; done
mount -t overlay overlay -o "lowerdir=$TEMPLATE,upperdir=$PWD/upper,workdir=$PWD/work" root || exit
exec "$@"
"""


class Machine(Host):
    """A host of the lab with an operating system of its own. It is off until boot()."""

    def __init__(self, lab, name, number, package=None):
        super().__init__(lab, name, number)
        lab.hosts[name] = self
        sweep()
        self.machine = self.namespace
        self.nspawn = None
        self.template = template(dependencies(package) if package else [])
        for directory in ("upper", "work", "root"):
            (self.dir / directory).mkdir()
        self._probe()

    def _start(self, name, *options):
        # Back into our own namespaces: in the host's there is a /sys without cgroups.
        return self.spawn(name, ["nsenter", "-t", os.getpid(), "-m", "-n", f"--wd={self.dir}",
                                 "unshare", "-m", "sh", "-c", _BEGIN, "sh", *_NSPAWN, "-D", "root",
                                 f"--machine={self.machine}", f"--hostname={self.name}",
                                 f"--network-namespace-path=/run/netns/{self.namespace}",
                                 *options],
                          env={"GROUPS": " ".join(map(str, _groups(self.machine))),
                               "TEMPLATE": str(self.template),
                               "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
                               # Nobody else can see the directory that it would guard.
                               "SYSTEMD_NSPAWN_LOCK": "0"})

    def _probe(self):
        """Whether a container can be started here at all."""
        trial = self._start("nspawn-trial", "--pipe", "/bin/true")
        if trial.wait(60) != 0:
            raise Unavailable("systemd-nspawn cannot run here: "
                              + " | ".join(tail(trial.log, 2)))
        self.processes.remove(trial)

    @property
    def on(self):
        return self.nspawn is not None and self.nspawn.running

    @property
    def leader(self):
        """The pid of the machine's process 1, as seen from outside."""
        path = f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children"
        with open(path, encoding="ascii") as file:
            children = file.read().split()
        if len(children) != 1:
            raise LabError(f"{self.name} has no process 1 yet")
        return int(children[0])

    @property
    def root(self):
        """The running machine's files, as seen from outside."""
        return pathlib.Path(f"/proc/{self.leader}/root")

    def boot(self, timeout=60, link=True):
        """Switches it on and waits until services are started; returns the seconds it took.
        Without `link` it has no network yet: add_link() plugs it in."""
        began = time.monotonic()
        self._fresh_network()
        if link:
            self.add_link()
        self.nspawn = self._start("nspawn", "--boot", "--console=pipe")
        self.processes[:] = [p for p in self.processes if p.running]
        def booted():
            if not self.on:
                raise LabError(" | ".join(tail(self.nspawn.log, 3)))
            return self.inside("systemctl", "is-active", "basic.target", timeout=5)
        wait_for(booted, f"{self.name} boots", timeout, 0.1)
        return time.monotonic() - began

    def _fresh_network(self):
        self._unplug()
        run(["ip", "netns", "del", self.namespace])
        run(["ip", "netns", "add", self.namespace])
        for settings in ("default", "all"):
            self.sysctl(f"net.ipv6.conf.{settings}.accept_dad", 0)
        run(["ip", "-n", self.namespace, "link", "set", "lo", "up"])
        self.lab.cut.discard(self.name)

    def _unplug(self):
        for port, _ in self.ports:
            run(["ip", "-n", self.lab.switch, "link", "del", "dev", port], check=False)
        self.ports.clear()

    def inside(self, *argv, check=True, timeout=30, stdin=None):
        """Runs a command in the machine, as its root, to its end."""
        return run(["nsenter", "-t", self.leader, "-a", "env", "-i", *_ENVIRONMENT, *argv],
                   check, timeout, stdin)

    def put(self, path, text, mode=0o644):
        """Writes a file of the running machine."""
        place = self.root / str(path).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch(mode=mode)
        place.chmod(mode)
        place.write_text(text, encoding="utf-8")

    def install(self, package, check=True):
        """dpkg -i of a file from outside."""
        shutil.copy(package, self.root / "root/package.deb")
        return self.inside("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "-i",
                           "/root/package.deb", check=check, timeout=120)

    def journal(self, unit="hamrd.service", lines=60):
        return self.inside("journalctl", "--no-pager", "-o", "short-precise", "-n", lines, "-u",
                           unit, check=False).stdout

    def power_cut(self):
        """From one moment to the next nothing runs and nothing is plugged in."""
        leader = self.leader
        self._unplug()
        os.kill(leader, 9)
        self.nspawn.wait(10)

    def poweroff(self, timeout=100):
        """An orderly shutdown; returns the seconds it took."""
        began = time.monotonic()
        self.inside("systemctl", "--no-block", "poweroff")
        self.nspawn.wait(timeout)
        self._unplug()
        return time.monotonic() - began

    def close(self):
        if self.on:
            try:
                # nspawn tidies up behind a process 1 that ended, not behind itself.
                self.power_cut()
            except (LabError, OSError):
                pass
        super().close()
        _remove_groups(self.machine)
        run(["rm", "-rf", _PROPAGATE / self.machine])


class InstalledAgent(Agent):
    """hamrd as the package's unit runs it in a machine."""

    def __init__(self, machine):
        super().__init__(machine, "/etc/hamr/hamr.yaml")
        self.socket = "/run/hamr/hamrd.sock"

    def start(self, *_options):
        self.host.inside("systemctl", "start", "hamrd", timeout=60)
        return self

    def show(self, name):
        """A property of the unit, as text."""
        return self.host.inside("systemctl", "show", "--value", "-p", name,
                                "hamrd").stdout.strip()

    @property
    def running(self):
        try:
            return self.host.on and self.show("ActiveState") == "active"
        except LabError:
            return False

    @property
    def pid(self):
        """As seen in the machine."""
        return int(self.show("MainPID"))

    def wait_ready(self, timeout=15):
        """As often as systemd may start it until then."""
        wait_for(self.status, f"hamrd on {self.host.name} answers", timeout)
        return self

    def signal(self, name):
        self.host.inside("kill", f"-{name}", self.pid)

    def hamr(self, *args, check=True, timeout=15):
        return self.host.inside("hamr", *args, check=check, timeout=timeout)


class MachineCluster(Cluster):
    """A cluster of which some hosts are machines: there the files are where the package wants
    them, and the agents are units."""

    def agent(self, host, key=None):
        if not isinstance(host, Machine):
            return super().agent(host, key)
        config = {**self.config, "key_file": "/etc/hamr/hamr.key"}
        host.put("/etc/hamr/hamr.key", key or self.key, 0o600)
        if "monitor" in config["router"]:
            monitor = {**config["router"]["monitor"],
                       "password_file": "/etc/hamr/monitor.password"}
            config["router"] = {**config["router"], "monitor": monitor}
            host.put("/etc/hamr/monitor.password", MONITOR[1] + "\n", 0o600)
        host.put("/etc/hamr/hamr.yaml", to_yaml(config) + "\n")
        host.agent = InstalledAgent(host)
        self.agents[host.name] = host.agent
        return host.agent
