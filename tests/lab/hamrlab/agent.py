# SPDX-License-Identifier: GPL-2.0-or-later
"""hamrd on a host, and the configuration that all hosts of a cluster share."""

import json
import os

from .core import LabError, program, run, tail, wait_for
from .mariadb import MONITOR


def to_yaml(value, indent=0):
    """Block YAML for mappings, flow for lists: what a person would write."""
    pad = "  " * indent
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{pad}{key}:", to_yaml(item, indent + 1)]
        else:
            lines.append(f"{pad}{key}: {_scalar(item)}")
    return "\n".join(lines)


def _scalar(item):
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(_scalar(i) for i in item) + "]"
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key}: {_scalar(i)}" for key, i in item.items()) + "}"
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in item.items()) + "}"
    text = str(item)
    return json.dumps(text) if text == "" or text[0] in "*&!%@`'\"#{}[]|>-" else text


class Cluster:
    """The configuration of one cluster, written for each of its hosts.

        cluster = Cluster(lab, routers=[router1, router2], witnesses=[witness1])
        agents = cluster.start()
    """

    def __init__(self, lab, routers, witnesses=(), vip="192.0.2.100/24", interval="10ms", misses=3,
                 quorum="auto", backends=(), router=None, extra=None, name="lab"):
        self.lab = lab
        self.routers = list(routers)
        self.witnesses = list(witnesses)
        self.vips = [vip] if isinstance(vip, str) else list(vip)
        nodes = {host.name: host.ipv4 for host in self.routers}
        nodes |= {host.name: {"addresses": [host.ipv4], "role": "witness"}
                  for host in self.witnesses}
        self.config = {
            "cluster": name,
            "nodes": nodes,
            "key_file": "",
            "heartbeat": {"interval": interval, "misses": misses},
            "quorum": quorum,
        }
        if len(self.vips) == 1:
            self.config["vip"] = self.vips[0]
        else:
            self.config["vips"] = {"default": {"addresses": self.vips}}
        self.config["router"] = router or (
            self._embedded(backends) if backends else {"kind": "none"})
        self.config |= extra or {}
        self.key = run([program("hamr"), "keygen"]).stdout
        self.agents = {}

    @staticmethod
    def _embedded(backends):
        return {
            "kind": "embedded",
            "backends": [b if isinstance(b, str) else b.endpoint for b in backends],
            "monitor": {"user": MONITOR[0], "password_file": "", "interval": "100ms"},
        }

    @property
    def vip(self):
        """The first address, without its prefix length."""
        return self.vips[0].split("/")[0]

    def agent(self, host, key=None):
        """Writes the host's files; the agent is not started yet."""
        host.agent = Agent(host, self.configure(host, key))
        self._lived_before(host)
        self.agents[host.name] = host.agent
        return host.agent

    def configure(self, host, key=None):
        """Writes the host's files as the cluster's configuration is now; the path of hamr.yaml."""
        key_file = _private(host.dir / "hamr.key", key or self.key)
        config = dict(self.config)
        config["key_file"] = key_file
        if "monitor" in config["router"]:
            password = _private(host.dir / "monitor.password", MONITOR[1] + "\n")
            config["router"] = dict(config["router"])
            config["router"]["monitor"] = {**config["router"]["monitor"],
                                           "password_file": password}
        file = host.dir / "hamr.yaml"
        # What differs from host to host: files in its own directory.
        text = to_yaml(config).replace("{dir}", str(host.dir))
        file.write_text(text + "\n", encoding="utf-8")
        return file

    def _lived_before(self, host):
        """What an agent leaves that had these voters: it need not wait for 3 s when it starts (rule
        M6). A first start does wait; test_first_start.py looks at that."""
        note = host.agent.state_dir / f"{self.config['cluster']}.{host.name}.members"
        note.parent.mkdir(exist_ok=True)
        names = "".join(f"{name}\n" for name in sorted(self.config["nodes"]))
        note.write_text("voters of this node's last life (docs/protocol.md, rule M6)\n"
                        f"{names}end\n", encoding="ascii")

    def start(self):
        """Starts an agent on every host and waits for a leader; returns the agents by name."""
        for host in self.routers + self.witnesses:
            self.agent(host).start()
        for agent in self.agents.values():
            agent.wait_ready()
        self.wait_leader()
        return self.agents

    def leaders(self, group="default"):
        """The names of the running agents that say that they lead."""
        return [name for name, agent in self.agents.items()
                if agent.running and agent.state(group) == "leader"]

    def wait_leader(self, name=None, timeout=15):
        """Waits until exactly one agent leads (this one, if named); returns its name."""
        def one():
            leaders = self.leaders()
            return len(leaders) == 1 and name in (None, leaders[0]) and leaders[0]
        return wait_for(one, f"{name or 'one agent'} leads alone", timeout, lab=self.lab)

    def wait_settled(self, timeout=15):
        """Waits until one agent leads and every running agent names it and hears all others."""
        def settled():
            running = {n: a.status() for n, a in self.agents.items() if a.running}
            leaders = {s["groups"]["default"]["leader"] for s in running.values()}
            alive = all(s["nodes"][peer]["state"] == "alive" for s in running.values()
                        for peer in running)
            return len(leaders) == 1 and alive and leaders.pop()
        return wait_for(settled, "every agent hears every other and names one leader", timeout,
                        lab=self.lab)


def _private(path, content):
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    return str(path)


class Agent:
    """hamrd on one host."""

    def __init__(self, host, config):
        self.host = host
        self.config = config
        self.socket = host.dir / "hamrd.sock"
        self.state_dir = host.dir / "state"
        self.process = None
        self.prefix = []  # what starts hamrd in place of the lab: setpriv and its options, say

    @property
    def command(self):
        """What a person types to talk to this agent."""
        return [program("hamr"), "--socket", str(self.socket)]

    def start(self, *options):
        self.process = self.host.spawn("hamrd", [
            *self.prefix, program("hamrd"), "--config", self.config, "--node", self.host.name,
            "--socket", self.socket, "--state", self.state_dir, *options])
        return self

    def wait_ready(self, timeout=15):
        def ready():
            if not self.running:
                raise LabError(f"hamrd on {self.host.name} ended ({self.process.returncode}): "
                               + " | ".join(tail(self.process.log, 3)))
            return self.status()
        wait_for(ready, f"hamrd on {self.host.name} answers", timeout, lab=self.host.lab)
        return self

    @property
    def running(self):
        return self.process is not None and self.process.running

    @property
    def pid(self):
        return self.process.pid

    def hamr(self, *args, check=True, timeout=15):
        return run([*self.command, *args], check, timeout)

    def status(self):
        return json.loads(self.hamr("status", "--json").stdout)

    def state(self, group="default"):
        try:
            return self.status()["groups"][group]["state"]
        except (LabError, ValueError, KeyError):
            return None

    def history(self):
        return json.loads(self.hamr("history", "--json").stdout)

    def failover(self, *args, check=True):
        return self.hamr("failover", *args, check=check)

    def cleanup(self):
        """hamrd --cleanup, as ExecStopPost would after a crash."""
        return self.host.run(program("hamrd"), "--config", self.config, "--node", self.host.name,
                             "--socket", self.socket, "--cleanup", check=False)

    def terminate(self):
        return self.process.terminate()

    def kill(self):
        self.process.kill()

    def stop(self):
        self.process.stop()

    def cont(self):
        self.process.cont()

    def resident_kib(self):
        """VmRSS of the process."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise LabError("no VmRSS")

    def cpu_seconds(self):
        """User and system time so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
