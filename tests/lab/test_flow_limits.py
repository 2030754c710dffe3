#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel has no room for: a table of connections that is full, ports that are used up, tens
of thousands of flows at once. Nothing of it moves the address or holds up a heartbeat."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import Stalls, connect_error, let_pass, main
from hamrlab.embedded import EmbeddedTest
from hamrlab.entries import fill, flows, forget, occupy, usage
from hamrlab.packets import Heartbeats

# Filling a larger table takes minutes.
MOST_ENTRIES = 600_000
EVERY_US = 200_000
MANY = 52_000  # more than 80 % of the ports towards a backend


class LimitsTest(EmbeddedTest):
    def start_with_load(self, processes=1, **options):
        # Long enough that a busy machine is no reason to move, since nothing here is.
        names = super().start_with_load(processes, interval="50ms", **options)
        self.stalls = [Stalls(self.observer, cpu=cpu) for cpu in range(os.cpu_count())]
        return names

    def patience_ms(self):
        """Without a heartbeat for so long the leader is believed to be gone; and for how long the
        machine itself stood still, which no program can do anything about."""
        heartbeat = self.cluster.config["heartbeat"]
        patience = int(heartbeat["interval"].removesuffix("ms")) * heartbeat["misses"]
        stalls = [one["length_ns"] / 1e6 for tool in self.stalls for one in tool.stop()["stalls"]]
        self.stalls = []
        return patience + max(stalls, default=0)

    def terms(self):
        return [self.term(name) for name in ("router1", "router2")]

    def no_gaps(self, *names):
        """By the agents' own count."""
        patience = self.patience_ms()
        for name in names:
            pulse = self.agent(name).status()["pulse"]
            print(f"    {name}: {pulse['gaps']} times between heartbeats, median"
                  f" {pulse['p50_ms']} ms, 99 % {pulse['p99_ms']} ms, longest {pulse['max_ms']} ms",
                  flush=True)
            self.assertLess(pulse["max_ms"], patience)
        return patience

    def alive(self, *loads):
        for load in loads:
            result = load.stop()
            self.assertEqual((result["connections"], 0, 0, {}), (
                result["alive"], result["hanging"], result["wrong"], result["losses"]))


class Table(LimitsTest):
    def setUp(self):
        super().setUp()
        with open("/proc/sys/net/netfilter/nf_conntrack_max", encoding="ascii") as file:
            if int(file.read()) > MOST_ENTRIES:
                self.skipTest("this machine's nf_conntrack_max is too large to be reached in a "
                              "test")

    def test_a_follower_whose_kernel_has_no_room(self):
        leader, other = self.start_with_load()
        host = self.lab.hosts[other]
        before = self.terms()
        first = self.load(200, every_us=EVERY_US)
        self.know(200)
        resyncs = self.flows(leader)["streams"][0]["resyncs"]
        count, most = usage(host)
        fill(host, most * 91 // 100 - count)
        self.wait_for(lambda: self.warnings(other, "nearly full"), "it warns before it is full")
        second = self.load(100, every_us=EVERY_US)
        self.know(300)
        fill(host, most)
        third = self.load(100, every_us=EVERY_US)
        self.wait_for(lambda: self.flows(other)["waiting"] == 100, "those that do not fit wait")
        told = self.flows(other)
        self.assertEqual((300, most), (told["replicas"], told["most_entries"]))
        self.assertGreaterEqual(told["refused"], 100)
        self.wait_for(lambda: self.warnings(other, "is full"), "it says that it is full")
        self.assertIn(str(most), self.warnings(other, "is full")[0])
        self.assertIn("100 wait for room", self.agent(other).hamr("status").stdout)
        # The stream goes on: what ends is forgotten there, and the rest is not told anew.
        self.alive(second)
        self.wait_for(lambda: self.flows(leader)["own"] == 300, "the leader has 300 left")
        stream = self.flows(leader)["streams"][0]
        self.assertEqual(("synced", resyncs), (stream["state"], stream["resyncs"]))
        forget(host, "-p", "udp", "-s", "198.51.100.1")
        self.wait_for(lambda: self.flows(other)["replicas"] == 300, "all are told again", 20)
        self.assertEqual(0, self.flows(other)["waiting"])
        self.wait_for(lambda: not self.warnings(other, "full"), "no more warning", 20)
        self.assertEqual(before, self.terms())
        self.no_gaps(leader, other)
        self.power_cut(leader)
        self.wait_leads(other)
        let_pass(1000)
        self.alive(first, third)

    def test_a_leader_whose_kernel_has_no_room(self):
        leader, other = self.start_with_load()
        host = self.lab.hosts[leader]
        before = self.terms()
        load = self.load(200, every_us=EVERY_US)
        self.know(200)
        fill(host, usage(host)[1])
        self.wait_for(lambda: self.warnings(leader, "is full"), "it says that it is full")
        # Now and then an entry ends, and somebody else has its place.
        self.wait_for(lambda: fill(host, 1000) >= 0 and connect_error(
            self.observer, f"{self.cluster.vip}:6446") != 0, "new connections are refused", 30)
        self.wait_for(lambda: self.flows(leader)["dropped"] > 0, "they are counted")
        self.know(200)
        forget(host, "-p", "udp", "-s", "198.51.100.1")
        self.assertEqual(0, connect_error(self.observer, f"{self.cluster.vip}:6446"))
        self.wait_for(lambda: not self.warnings(leader, "full"), "no more warning", 20)
        self.assertEqual(before, self.terms())
        self.no_gaps(leader)
        self.alive(load)


class Ports(LimitsTest):
    def source_ports(self, host):
        """By which ports of the VIP the backend sees the clients."""
        listed = host.run("conntrack", "-L", "-p", "tcp", "-d", self.cluster.vip).stdout
        return [int(port) for port in re.findall(
            r"ESTABLISHED src=192\.0\.2\.5\d .* src=192\.0\.2\.21 .* dport=(\d+) ", listed)]

    def test_ports_that_are_in_use_and_none_that_is_left(self):
        leader, _ = self.start_with_load()
        host, vip, backend = self.lab.hosts[leader], self.cluster.vip, self.server.endpoint
        route = f"{vip}:6446"
        self.client.sysctl("net.ipv4.ip_local_port_range", "20000 20049")
        occupy(host, vip, backend, range(20000, 20040))
        # With their own port where it is free, else with another one.
        load = self.load(45, every_us=EVERY_US)
        self.wait_for(lambda: len(self.source_ports(host)) == 45, "45 flows")
        ports = self.source_ports(host)
        self.assertEqual(45, len(set(ports)))
        self.assertFalse(set(ports) & set(range(20000, 20040)))
        # None is left: nobody gets another one's connection.
        occupy(host, vip, backend, range(1024, 65536))
        before = self.flows(leader)["dropped"]
        self.assertNotEqual(0, connect_error(self.observer, route))
        self.wait_for(lambda: self.flows(leader)["dropped"] > before, "it is counted")
        forget(host, "-p", "tcp", "-s", vip)
        self.assertEqual(0, connect_error(self.observer, route))
        self.alive(load)

    def test_after_a_takeover_new_connections_keep_clear_of_those_that_came_along(self):
        leader, other = self.start_with_load()
        for client in (self.client, self.observer):
            client.sysctl("net.ipv4.ip_local_port_range", "20000 20039")
        old = self.load(30, every_us=EVERY_US)
        self.know(30)
        self.power_cut(leader)
        self.wait_leads(other)
        new = self.load(30, self.observer, every_us=EVERY_US)
        let_pass(1000)
        ports = self.source_ports(self.lab.hosts[other])
        self.assertEqual((60, 60), (len(ports), len(set(ports))))
        self.alive(old, new)


class Many(LimitsTest):
    def test_tens_of_thousands_at_once_and_told_to_a_restarted_follower(self):
        leader, other = self.start_with_load()
        load = self.load(100, every_us=EVERY_US)
        self.know(100)
        before = self.terms()
        hosts = [self.lab.hosts[name] for name in (leader, other)]
        heard = Heartbeats(hosts[1], hosts[0])
        quiet = heard.mark()
        let_pass(2000)
        burst = heard.mark()
        # Of clients that do not exist.
        made = flows(hosts[0], "192.0.2.60", f"{self.cluster.vip}:6446", self.server.endpoint,
                     range(65_535 - MANY, 65_535))
        self.know(100 + made, 30)
        self.wait_for(lambda: self.warnings(leader, "ports towards 192.0.2.21:3306"),
                      "it warns that the backend's ports are nearly used up")
        restarted = heard.mark()
        # The follower's kernel keeps them; its agent has to be told.
        self.agent(other).kill()
        self.agent(other).start().wait_ready()
        self.settled()
        self.know(100 + made, 30)
        done = heard.mark()
        heard.stop()
        patience = self.no_gaps(leader)
        for what, after, until in (("quiet", quiet, burst), ("52,000 flows", burst, restarted),
                                   ("told again", restarted, done)):
            gaps = heard.gaps(after, until)
            print(f"    {what}: {gaps}", flush=True)
            self.assertLess(gaps["max_ms"], patience, what)
        self.assertEqual(before, self.terms())
        self.power_cut(leader)
        self.wait_leads(other)
        let_pass(500)
        self.assertEqual(100 + made, self.flows(other)["own"])
        self.alive(load)


if __name__ == "__main__":
    main()
