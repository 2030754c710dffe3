# SPDX-License-Identifier: GPL-2.0-or-later
"""The faults of a plan, done to the hosts of a lab, and how they are healed.

Each fault is a function (world, node, step) that begins it and returns what ends it, or None when
it is over at once. Whoever ends one finds out whether it is still there: another fault may have
come over it (a stopped agent that was killed, say)."""

import contextlib
import os
import signal
import subprocess

from ..core import LabError, now_ns, program, run, wait_for
from .network import Network, pairs_of_split

UP, STOPPED, DEAD, OFF = "up", "stopped", "dead", "off"
GATE = "hamr_gate"
# A command is given up after this time; what it has asked for may happen all the same.
_ORDER_SECONDS = 6


class Skip(Exception):
    """This fault makes no sense now: the agent is dead already, say."""


class World:
    """The hosts, and what has been done to them."""

    def __init__(self, lab, cluster, leader):
        self.lab = lab
        self.cluster = cluster
        self.network = Network(lab)
        self.routers = [host.name for host in cluster.routers]
        self.nodes = self.routers + [host.name for host in cluster.witnesses]
        self.ports = [port for host in lab.hosts.values() for port, _ in host.ports]
        self.state = dict.fromkeys(self.nodes, UP)
        self.change = dict.fromkeys(self.nodes, 0)  # counts what was done to an agent
        self.drained = set()
        self.down = {}          # ("port" or "link", node) -> how many faults want it down
        self.undefended = []    # (host, from_ns, to_ns): somebody has taken the gate off
        self.gate_back_ms = []
        self._leader = leader
        self._orders = []

    def host(self, node):
        return self.lab.hosts[node]

    def agent(self, node):
        return self.cluster.agents[node]

    def resolve(self, step, draw):
        """The node that a step means now."""
        if step.target != "leader":
            return step.target
        return self._leader() or draw.choice(self.routers)

    def need(self, node, *states):
        if self.state[node] not in states:
            raise Skip(f"{node} is {self.state[node]}")

    def become(self, node, state):
        """Notes what has happened to an agent; returns what unchanged() asks about."""
        self.state[node] = state
        self.change[node] += 1
        return node, self.change[node]

    def unchanged(self, token):
        return self.change[token[0]] == token[1]

    def order(self, node, *words):
        """`hamr WORDS` on that node, without waiting for its end."""
        child = subprocess.Popen([*self.agent(node).command, *words], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True)
        self._orders.append((child, now_ns() + _ORDER_SECONDS * 1_000_000_000))

    def reap(self, everything=False):
        """Ends commands that have had their time."""
        left = []
        for child, until in self._orders:
            if child.poll() is None and not everything and now_ns() < until:
                left.append((child, until))
                continue
            if child.poll() is None:
                child.kill()
            child.wait()
        self._orders = left

    def died(self):
        """Nodes whose agent has ended although nobody has asked for it."""
        return [n for n in self.nodes if self.state[n] in (UP, STOPPED)
                and not self.agent(n).running]

    def undefended_at(self, host, ns):
        return any(h == host and since <= ns <= until for h, since, until in self.undefended)

    # Links: several faults may want one down at the same time.

    def take_down(self, what, node):
        self.down[what, node] = self.down.get((what, node), 0) + 1
        self._set_link(what, node, "down")

    def bring_up(self, what, node):
        count = self.down.get((what, node), 0)
        self.down[what, node] = max(0, count - 1)
        if count == 1:
            self._set_link(what, node, "up")

    def _set_link(self, what, node, state):
        namespace = self.lab.switch if what == "port" else self.host(node).namespace
        device = node if what == "port" else "eth0"
        run(["ip", "-n", namespace, "link", "set", "dev", device, state])
        if what == "link" and state == "up":
            # Linux has taken the host's IPv6 address away; the host's network manager, which there
            # is none of, would put it back.
            run(["ip", "-n", namespace, "addr", "replace", f"{self.host(node).ipv6}/64", "dev",
                 "eth0", "nodad"])

    def start_agent(self, node):
        self.agent(node).start()
        self.become(node, UP)

    def boot(self, node):
        """The host is back after a loss of power: nothing of before is in its kernel."""
        host = self.host(node)
        host.run("nft", "flush", "ruleset")
        for device in ("eth0", "lo"):
            host.run("tc", "qdisc", "del", "dev", device, "clsact", check=False)
        for address, length in self.vips_on(node):
            host.ip("addr", "del", f"{address}/{length}", "dev", "eth0")
        host.run("conntrack", "-F", check=False)
        for name in ("hamrd.sock", "hamrd.history.jsonl"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(host.dir / name)
        self.bring_up("port", node)
        self.start_agent(node)

    def vips_on(self, node):
        """(address, length) of each VIP that is on this host."""
        found = []
        wanted = [vip.split("/")[0] for vip in self.cluster.vips]
        for line in self.host(node).ip("-o", "addr", "show", "dev", "eth0").splitlines():
            address, length = line.split()[3].split("/")
            if address in wanted:
                found.append((address, length))
        return found

    # The gate, taken away by somebody: only while nothing else happens, and under an agent that
    # runs (docs/safety.md, assumption 2).

    def gate_stands(self, node, device="eth0"):
        return GATE in self.host(node).run("tc", "filter", "show", "dev", device, "egress",
                                           check=False).stdout

    def take_gate(self, node, how):
        host = self.host(node)
        if how == "qdisc":
            host.run("tc", "qdisc", "del", "dev", "eth0", "clsact")
        else:
            host.run("tc", "filter", "del", "dev", "eth0", "egress")

    def take_gate_and_wait(self, node, how):
        """Waits until the agent has put it back; returns the milliseconds."""
        since = now_ns()
        self.undefended.append((node, since, since + 60_000_000_000))
        self.take_gate(node, how)
        wait_for(lambda: self.gate_stands(node), f"the gate of {node} is put back", 5, 0.002)
        until = now_ns()
        self.undefended[-1] = (node, since, until)
        self.gate_back_ms.append((until - since) / 1e6)
        return self.gate_back_ms[-1]

    def heal(self):
        """Ends every fault; returns when everything that was asked for has been done."""
        self.reap(everything=True)
        self.network.clear()
        for what, node in [key for key, count in self.down.items() if count]:
            if self.state[node] != OFF:
                self.down[what, node] = 1
                self.bring_up(what, node)
        for node in self.nodes:
            if self.state[node] == STOPPED:
                self.agent(node).cont()
                self.become(node, UP)
            elif self.state[node] == DEAD:
                self.agent(node).process.wait(15)
                self.start_agent(node)
            elif self.state[node] == OFF:
                self.down["port", node] = 1
                self.boot(node)
        for node in sorted(self.drained):
            wait_for(lambda n=node: self.agent(n).hamr("undrain", timeout=5),
                     f"{node} takes part again", 10)
        self.drained.clear()
        return now_ns()


def _split(world, node, step):
    other = step.other if step.other != node else next(n for n in world.nodes if n != node)
    pairs = pairs_of_split(step.detail, node, other, world.nodes, world.ports)
    world.network.cut(pairs)
    return lambda: world.network.mend(pairs)


def _loss(world, node, step):
    ports = world.ports
    pairs = {(one, other) for one in ports for other in ports
             if one != other and (step.other == "" or node in (one, other))}
    world.network.lose(pairs, step.detail)
    return lambda: world.network.lose_no_more(pairs, step.detail)


def _stop(world, node, _step):
    world.need(node, UP)
    world.agent(node).stop()
    token = world.become(node, STOPPED)

    def end():
        if world.unchanged(token):
            world.agent(node).cont()
            world.become(node, UP)
    return end


def _kill(world, node, _step):
    world.need(node, UP, STOPPED)
    world.agent(node).kill()
    return _start_later(world, world.become(node, DEAD))


def _clean_stop(world, node, _step):
    world.need(node, UP)
    world.agent(node).process.signal(signal.SIGTERM)
    return _start_later(world, world.become(node, DEAD))


def _start_later(world, token):
    def end():
        node = token[0]
        if world.unchanged(token):
            world.agent(node).process.wait(15)
            world.start_agent(node)
    return end


def _restart(world, node, _step):
    world.need(node, UP)
    world.order(node, "restart")


def _failover(world, node, step):
    world.need(node, UP)
    options = ["--to", step.other] if step.other else []
    world.order(node, "failover", *options, *([step.detail] if step.detail else []))


def _drain(world, node, _step):
    world.need(node, UP)
    world.order(node, "drain")
    world.drained.add(node)

    def end():
        if node in world.drained and world.state[node] == UP:
            world.order(node, "undrain")
    return end


def _flap(what):
    def begin(world, node, _step):
        world.take_down(what, node)
        return lambda: world.bring_up(what, node)
    return begin


def _address_del(world, node, _step):
    world.need(node, UP, STOPPED, DEAD)
    found = world.vips_on(node)
    if not found:
        raise Skip(f"{node} does not have the address")
    for address, length in found:
        run(["ip", "-n", world.host(node).namespace, "addr", "del", f"{address}/{length}", "dev",
             "eth0"], check=False)


def _address_stray(world, node, _step):
    world.need(node, UP, STOPPED, DEAD)
    # An agent that was stopped in order has taken everything away: that host is nobody's any more.
    if not world.gate_stands(node):
        raise Skip(f"{node} has no gate")
    for vip in world.cluster.vips:
        address = vip.split("/")[0]
        length, options = ("128", ["nodad"]) if ":" in address else ("32", [])
        run(["ip", "-n", world.host(node).namespace, "addr", "add", f"{address}/{length}", "dev",
             "eth0", *options], check=False)


def _rules_flush(world, node, _step):
    world.host(node).run("nft", "flush", "ruleset")


def _power_cut(world, node, _step):
    world.need(node, UP, STOPPED, DEAD)
    world.take_down("port", node)
    token = world.become(node, OFF)
    world.agent(node).kill()
    # Whatever the agent had started.
    for pid in run(["ip", "netns", "pids", world.host(node).namespace]).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)

    def end():
        if world.unchanged(token):
            world.boot(node)
    return end


FAULTS = {
    "split": _split, "loss": _loss, "stop": _stop, "kill": _kill, "clean-stop": _clean_stop,
    "restart": _restart, "failover": _failover, "drain": _drain, "port-flap": _flap("port"),
    "link-flap": _flap("link"), "address-del": _address_del, "address-stray": _address_stray,
    "rules-flush": _rules_flush, "power-cut": _power_cut,
}


def versions():
    """What is under test."""
    return run([program("hamr"), "--socket", "/nonexistent", "version"], check=False).stdout.strip()


__all__ = ["DEAD", "FAULTS", "LabError", "OFF", "STOPPED", "Skip", "UP", "World", "versions"]
