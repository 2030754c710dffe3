# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster that most tests want, and what they ask about it."""

import contextlib
import time

from .agent import Cluster
from .case import LabTest
from .core import now_ns
from .tools import Arping, Capture, Probe

_SYSCTLS = ("net/ipv4/conf/all/send_redirects", "net/ipv4/conf/eth0/send_redirects",
            "net/ipv4/conf/eth0/arp_announce", "net/ipv4/conf/eth0/forwarding",
            "net/ipv4/conf/all/forwarding", "net/ipv6/conf/eth0/accept_ra",
            "net/ipv6/conf/eth0/force_forwarding", "net/ipv6/conf/all/forwarding",
            "net/netfilter/nf_conntrack_events", "net/netfilter/nf_conntrack_tcp_be_liberal")

# A frame that left before the deadline may be seen a little later: it waits in a queue.
LATE_NS = 15_000_000


def let_pass(milliseconds):
    """Gives something that must not happen the time to happen."""
    time.sleep(milliseconds / 1000)


def footprint(host):
    """What an agent may change on a host: addresses, rules, filters, settings."""
    addresses = [f"{line.split()[1]} {line.split()[3]}"
                 for line in host.ip("-o", "addr", "show").splitlines()]
    script = ("for s in " + " ".join(_SYSCTLS) + "; do test -e /proc/sys/$s &&"
              " echo $s $(cat /proc/sys/$s); done; true")
    return {"addresses": sorted(addresses),
            "rules": host.run("nft", "list", "ruleset").stdout,
            "filters": [l for l in host.run("tc", "qdisc", "show").stdout.splitlines()
                        if "clsact" in l],
            "settings": host.run("sh", "-c", script).stdout.splitlines()}


class ClusterTest(LabTest):
    """Two routers, a witness, a client, and an observer that may ask for the VIP as it likes."""

    def set_up_hosts(self, witness=True):
        self.r1, self.r2 = self.lab.host("router1", 11), self.lab.host("router2", 12)
        self.witnesses = [self.lab.host("witness1", 13)] if witness else []
        self.client, self.observer = self.lab.host("client", 50), self.lab.host("observer", 51)

    def make_cluster(self, witness=True, **options):
        """The hosts and the configuration; nothing is started."""
        self.set_up_hosts(witness)
        # Patient enough for a busy machine; the bench is for speed.
        options = {"interval": "20ms", "misses": 5, **options}
        self.cluster = Cluster(self.lab, [self.r1, self.r2], self.witnesses, **options)
        return self.cluster

    def start_cluster(self, witness=True, **options):
        """Starts everything; returns the names of the leader and of the other router."""
        self.make_cluster(witness, **options).start()
        names = self.settled()
        # Leadership may move while the first checks come in; what counts is what comes after.
        self._led_before = {name: self._led(name) - (name == names[0])
                            for name in ("router1", "router2")}
        return names

    def settled(self):
        leader = self.cluster.wait_settled()
        return leader, self.other(leader)

    def other(self, name):
        return "router2" if name == "router1" else "router1"

    def agent(self, name):
        return self.cluster.agents[name]

    def term(self, name):
        return self.agent(name).status()["groups"]["default"]["term"]

    def demotion(self, name):
        return self.agent(name).status()["nodes"][name]["demotion"]

    def reasons(self, name, node=None, to=None):
        """The reasons in the history of agent `name`, of that node and into that state."""
        return [e["reason"] for e in self.agent(name).history()
                if node in (None, e["node"]) and to in (None, e["to"])]

    def times_led(self, name):
        """How often this node has become leader, as it tells itself; the first leader once."""
        return self._led(name) - getattr(self, "_led_before", {}).get(name, 0)

    def _led(self, name):
        return sum(e["node"] == name and e["to"] == "leader" and e["from"] != "leader"
                   for e in self.agent(name).history())

    def wait_leads(self, name):
        """Waits until this agent says that it leads, whatever others say."""
        self.wait_for(lambda: self.agent(name).state() == "leader", f"{name} leads", 15)

    def probe(self, host=None, to=None):
        return Probe(host or self.client, to=to or self.cluster.vip).wait_event("answered")

    @property
    def lease_ns(self):
        """How long after its newest acknowledged frame a leader may still speak: D(1-rho)."""
        heartbeat = self.cluster.config["heartbeat"]
        interval = int(heartbeat["interval"].removesuffix("ms"))
        return interval * heartbeat["misses"] * 800_000

    @contextlib.contextmanager
    def watch(self):
        """Captures what is sent as a VIP, where it enters the switch, while the observer asks for
        the VIP without pause; yields an object whose frames() can be read afterwards."""
        watched = _Watched(self)
        yield watched
        watched.stop()


class _Watched:
    def __init__(self, test):
        vips = [vip.split("/")[0] for vip in test.cluster.vips]
        self._capture = Capture.at_switch(test.lab, vip=vips)
        self._asking = [Arping(test.observer, to=vip, interval_us=2000) for vip in vips]
        self._frames = None

    def stop(self):
        for asking in self._asking:
            asking.stop()
        self._capture.stop()
        self._frames = self._capture.frames()

    def frames(self, host=None, after=0, before=None, kinds=None):
        """Frames of this host as a VIP, seen after and before those instants."""
        return [f for f in self._frames
                if host in (None, f["interface"]) and f["ns"] > after
                and f["ns"] < (before or now_ns()) and (kinds is None or f["kind"] in kinds)]
