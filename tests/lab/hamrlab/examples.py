# SPDX-License-Identifier: GPL-2.0-or-later
"""The configurations of deploy/examples as installed on a host of the lab.

The hosts of the lab have the addresses that the examples name. Only paths change: what would be
/etc/haproxy/haproxy.cfg is HOST.DIR/root/etc/haproxy/haproxy.cfg, and that is written into every
file that names it."""

import os
import re

from .agent import Agent, Cluster
from .core import ROOT, LabError

_EXAMPLES = ROOT / "deploy" / "examples"
# Where a router's host has each file, and with which mode.
_PLACES = {"hamr.yaml": ("/etc/hamr/hamr.yaml", 0o644),
           "haproxy.cfg": ("/etc/haproxy/haproxy.cfg", 0o644),
           "proxysql.cnf": ("/etc/proxysql.cnf", 0o600)}
_MOVED = re.compile(r"(?<![\w/.])(/etc/proxysql\.cnf|/(?:etc|run|var/lib)/"
                    r"(?:hamr|haproxy|mysqlrouter|proxysql))\b")


def root_of(host):
    """What stands for / on this host."""
    return host.dir / "root"


def place(host, path):
    """Where `path` is on this host; its directory exists."""
    moved = root_of(host) / path.lstrip("/")
    moved.parent.mkdir(parents=True, exist_ok=True)
    return moved


def _write(path, text, mode):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w",
              encoding="utf-8") as file:
        file.write(text)
    path.chmod(mode)


def install(host, name, edits=()):
    """Writes the example's files for this host; `edits` are (old, new) texts, each found at least
    once. Returns the path of hamr.yaml."""
    unused = dict(edits)
    for directory in ("/etc/haproxy", "/run/haproxy", "/var/lib/haproxy", "/var/lib/proxysql",
                      "/var/lib/mysqlrouter", "/etc/hamr"):
        (root_of(host) / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for file in sorted((_EXAMPLES / name).iterdir()):
        if file.name not in _PLACES:
            continue
        text = file.read_text(encoding="utf-8")
        for old, new in edits:
            if old in text:
                unused.pop(old, None)
                text = text.replace(old, new)
        target, mode = _PLACES[file.name]
        _write(place(host, target), _MOVED.sub(rf"{root_of(host)}\1", text), mode)
    if unused:
        raise LabError(f"{name} has nothing that reads: {', '.join(unused)}")
    return place(host, "/etc/hamr/hamr.yaml")


class ExampleCluster(Cluster):
    """A cluster that runs an example. `secrets`: files under /etc/hamr and their content."""

    def __init__(self, lab, example, routers, witnesses=(), edits=(), secrets=None):
        super().__init__(lab, routers, witnesses, interval="100ms")
        self.example = example
        self.edits = list(edits)
        self.secrets = secrets or {}

    def agent(self, host, key=None):
        file = install(host, self.example, self.edits)
        for name, text in {"hamr.key": key or self.key, **self.secrets}.items():
            _write(place(host, f"/etc/hamr/{name}"), text, 0o600)
        host.agent = Agent(host, file)
        self.agents[host.name] = host.agent
        return host.agent
