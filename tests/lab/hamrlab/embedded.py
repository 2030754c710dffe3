# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster with the embedded router in front of a server that answers thousands."""

import os
import signal

from .core import run
from .load import Load, WatchedServe
from .standard import ClusterTest

PORT = 6446


class EmbeddedTest(ClusterTest):
    """self.db is the server's host."""

    def start_with_load(self, processes=1, **options):
        """Starts the server and everything else; returns the names of the leader and the other."""
        self.set_up_hosts()
        self.set_up_hosts = lambda witness=True: None
        self.db = self.lab.host("db1", 21)
        # Room for many connections of one client.
        for host in (self.client, self.observer):
            host.sysctl("net.ipv4.ip_local_port_range", "10240 65535")
        self.server = WatchedServe(self.db, [self.r1, self.r2], processes)
        self.start_cluster(backends=[self.server.endpoint], **options)
        for name in ("router1", "router2"):
            self.wait_for(lambda n=name: self.agent(n).status()["router"]["state"] == "serving",
                          f"{name} serves", 20)
        self.synced()
        return self.settled()

    def load(self, connections, host=None, **options):
        return Load(host or self.client, to=f"{self.cluster.vip}:{PORT}", connections=connections,
                    grace_ms=5000, **options)

    def flows(self, name):
        """What this agent tells of flows."""
        return self.agent(name).status()["flows"]

    def synced(self):
        for name in ("router1", "router2"):
            self.wait_for(lambda n=name: [s["state"] for s in self.flows(n)["streams"]]
                          == ["synced"], f"{name}'s stream is synced")

    def know(self, count, timeout=10):
        """Waits until the leader has so many flows, and the other one's kernel, too."""
        def both():
            seen = [self.flows(name) for name in ("router1", "router2")]
            return sorted((s["own"], s["replicas"]) for s in seen) == [(0, count), (count, 0)]
        self.wait_for(both, f"both routers know {count} flows", timeout)

    def warnings(self, name, words):
        """What this agent warns about, as far as it says that."""
        return [w["what"] for w in self.agent(name).status()["warnings"] if words in w["what"]]

    def power_cut(self, name):
        """Nothing of this host says another word."""
        host = self.lab.hosts[name]
        self.lab.link_down(host)
        for pid in run(["ip", "netns", "pids", host.namespace]).stdout.split():
            os.kill(int(pid), signal.SIGKILL)
