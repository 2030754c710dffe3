#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6: a VIP announced by neighbour advertisements, both families in one group, and heartbeats."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import LATE_NS, ClusterTest, answerers, let_pass, main, now_ns

VIP6 = "2001:db8::100"
VIP4 = "192.0.2.100"

# Neighbour advertisements through a raw socket, and datagrams from the address.
_SPEAK = """
import socket, sys
vip, mac = sys.argv[1:3]
hw = bytes.fromhex(mac.replace(":", ""))
ip = socket.inet_pton(socket.AF_INET6, vip)
own = socket.inet_pton(socket.AF_INET6, sys.argv[3])
everybody = socket.inet_pton(socket.AF_INET6, "ff02::1")
body = b"\\x88\\x00\\x00\\x00\\x20\\x00\\x00\\x00" + ip + b"\\x02\\x01" + hw
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0", 0))
for source in (ip, own):
    pseudo = source + everybody + len(body).to_bytes(4, "big") + b"\\0\\0\\0\\x3a" + body
    total = sum(int.from_bytes(pseudo[i:i + 2], "big") for i in range(0, len(pseudo), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    packet = body[:2] + (total ^ 0xffff).to_bytes(2, "big") + body[4:]
    header = b"\\x60\\0\\0\\0" + len(body).to_bytes(2, "big") + b"\\x3a\\xff" + source + everybody
    frame = b"\\x33\\x33\\0\\0\\0\\1" + hw + b"\\x86\\xdd" + header + packet
    try:
        raw.send(frame)
    except OSError as error:
        print(error)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
try:
    udp.bind((vip, 0))
    udp.sendto(b"hello", ("2001:db8::51", 9))
except OSError as error:
    print(error)
"""


def speak_as(host, vip):
    host.run(sys.executable, "-c", _SPEAK, vip, host.mac, host.ipv6)


class Ipv6(ClusterTest):
    def make_cluster6(self, vips, heartbeats=False):
        self.make_cluster(vip=vips)
        if heartbeats:
            nodes = self.cluster.config["nodes"]
            for host in (self.r1, self.r2):
                nodes[host.name] = host.ipv6
            nodes["witness1"] = {"addresses": ["2001:db8::13"], "role": "witness"}

    def start_cluster6(self, *arguments, **options):
        self.make_cluster6(*arguments, **options)
        self.cluster.start()
        return self.settled()

    def assert_answers(self, name, vips):
        for vip in vips:
            self.wait_for(lambda v=vip: answerers(self.observer, v) == [name],
                          f"{name} alone answers for {vip}")

    def test_takeover_is_announced_by_neighbour_advertisements(self):
        leader, other = self.start_cluster6(f"{VIP6}/64")
        old, new = self.lab.hosts[leader], self.lab.hosts[other]
        probe = self.probe()
        with self.watch() as watched:
            before = now_ns()
            self.lab.isolate(old)
            cut = now_ns()
            self.wait_leads(other)
            self.assert_answers(other, [VIP6])
            self.wait_for(lambda: not old.has_address(VIP6), "the old leader takes it off")
            speak_as(new, VIP6)
            let_pass(100)
        self.assertEqual({old.mac, new.mac}, set(probe.stop()["macs"]))
        everybody = [f for f in watched.frames(other, after=before, kinds=("na",))
                     if f["to"].startswith("33:33")]
        self.assertTrue(everybody, "the new leader advertises to all nodes")
        self.assertEqual([], watched.frames(leader, after=cut + self.lease_ns + LATE_NS))
        self.lab.heal()
        self.assertEqual((other, leader), self.settled())
        self.assert_answers(other, [VIP6])

    def test_a_stopped_leader_advertises_nothing(self):
        leader, other = self.start_cluster6(f"{VIP6}/64")
        old = self.lab.hosts[leader]
        probe = self.probe()
        with self.watch() as watched:
            self.wait_for(lambda: answerers(self.observer, VIP6) == [leader], "it answers")
            begun = now_ns()
            self.agent(leader).stop()
            stopped = now_ns()
            self.wait_leads(other)
            self.assert_answers(other, [VIP6])
            self.assertTrue(old.has_address(VIP6))
            speak_as(old, VIP6)
            self.agent(leader).cont()
            self.wait_for(lambda: not old.has_address(VIP6), "it takes the address off")
            let_pass(100)
        self.assertTrue(watched.frames(leader, before=begun, kinds=("na",)))
        self.assertEqual([], watched.frames(leader, after=stopped + self.lease_ns + LATE_NS))
        self.assertFalse(probe.stop()["open_ended"])

    def test_both_families_in_one_group_move_together(self):
        vips = [f"{VIP4}/24", f"{VIP6}/64"]
        leader, other = self.start_cluster6(vips)
        self.assertEqual(vips, self.agent(leader).status()["groups"]["default"]["addresses"])
        self.assert_answers(leader, [VIP4, VIP6])
        four, six = self.probe(to=VIP4), self.probe(to=VIP6)
        self.agent(leader).failover()
        self.assertEqual((other, leader), self.settled())
        self.assert_answers(other, [VIP4, VIP6])
        self.agent(other).kill()
        self.wait_leads(leader)
        self.assert_answers(leader, [VIP4, VIP6])
        for probe in (four, six):
            result = probe.stop()
            self.assertEqual({self.r1.mac, self.r2.mac}, set(result["macs"]))
            self.assertFalse(result["open_ended"])
        self.assertEqual(0, self.agent(leader).terminate())
        for vip in (VIP4, VIP6):
            self.assertFalse(self.lab.hosts[leader].has_address(vip))

    def test_heartbeats_over_ipv6_alone(self):
        self.make_cluster6([f"{VIP4}/24", f"{VIP6}/64"], heartbeats=True)
        self.cluster.start()
        leader, other = self.settled()
        self.assert_answers(leader, [VIP4, VIP6])
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_leads(other)
        self.assert_answers(other, [VIP4, VIP6])
        self.lab.heal()
        self.assertEqual((other, leader), self.settled())
        self.agent(leader).failover("--to", leader)
        self.assertEqual((leader, other), self.settled())
        drops = self.agent(leader).status()["drops"]
        self.assertEqual({0}, set(drops.values()), drops)


if __name__ == "__main__":
    main()
