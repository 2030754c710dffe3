#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel ends the lease: an agent that is killed, stopped or hung leaves a mute host, and what
it leaves is taken away by the next one, or by `hamrd --cleanup`."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import LATE_NS, ClusterTest, answerers, footprint, let_pass, main, now_ns

# Everything by which a host can speak as the address, without asking an agent.
_SPEAK = """
import socket, struct, sys
vip, mac, own = sys.argv[1:4]
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0", 0))
hw = bytes.fromhex(mac.replace(":", ""))
ip = socket.inet_aton(vip)
arp = struct.pack("!HHBBH", 1, 0x800, 6, 4, 2) + hw + ip + hw + ip
for tag in (b"", b"\\x81\\x00\\x00\\x07"):
    try:
        raw.send(b"\\xff" * 6 + hw + tag + b"\\x08\\x06" + arp)
    except OSError as error:
        print("raw:", error)
for target in ("192.0.2.51", "127.0.0.1"):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.bind((vip, 0))
        udp.sendto(b"hello", (target, 9))
    except OSError as error:
        print("udp:", error)
"""


def speak_as(host, vip):
    host.run(sys.executable, "-c", _SPEAK, vip, host.mac, host.ipv4)


class Gate(ClusterTest):
    def filters(self, host):
        links = [line.split(":")[1].strip().split("@")[0]
                 for line in host.ip("-o", "link", "show").splitlines()]
        return {link: host.run("tc", "filter", "show", "dev", link, "egress", check=False).stdout
                for link in links}

    def guarded(self, host):
        """The links of this host on which the gate stands."""
        return sorted(link for link, text in self.filters(host).items() if "hamr_gate" in text)

    def _mute_after(self, name, fault):
        leader, other = self.start_cluster()
        old = self.lab.hosts[leader]
        probe = self.probe()
        with self.watch() as watched:
            self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [leader], name)
            begun = now_ns()
            fault(self.agent(leader))
            ended = now_ns()
            self.wait_leads(other)
            self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [other],
                          "the peer alone answers")
            # The address is still there, and the host does its best to be heard.
            self.assertTrue(old.has_address(self.cluster.vip))
            for _ in range(3):
                speak_as(old, self.cluster.vip)
            let_pass(300)
        result = probe.stop()
        self.assertTrue(watched.frames(leader, before=begun), "it was heard before")
        self.assertEqual([], watched.frames(leader, after=ended + self.lease_ns + LATE_NS))
        self.assertTrue(watched.frames(other, after=ended, kinds=("garp",)))
        self.assertEqual({old.mac, self.lab.hosts[other].mac}, set(result["macs"]))
        self.assertFalse(result["open_ended"])
        return leader, other

    def test_a_killed_leader_is_mute_and_the_next_start_clears_up(self):
        leader, other = self._mute_after("killed", lambda agent: agent.kill())
        old = self.lab.hosts[leader]
        before = self.filters(old)["eth0"]
        with self.watch() as watched:
            again = now_ns()
            self.agent(leader).start().wait_ready()
            self.wait_for(lambda: not old.has_address(self.cluster.vip), "the leftover goes")
            self.assertEqual((other, leader), self.settled())
        self.assertEqual([], watched.frames(leader, after=again))
        self.assertEqual(["eth0", "lo"], self.guarded(old))
        self.assertNotEqual(before, self.filters(old)["eth0"])
        self.assertEqual(1, self.filters(old)["eth0"].count("hamr_gate_ether:["))
        told = " ".join(self.reasons(leader, leader))
        self.assertIn(self.cluster.vip, told)
        # It grants nothing, and so may not lead, until every promise of its former life has ended.
        # The other hears of that with the next frame.
        self.wait_for(lambda: self.agent(leader).state() == "follower", "it may lead again")
        self.wait_for(lambda: self.agent(other).failover("--to", leader, check=False).returncode
                      == 0, "it leads again")
        self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [leader], "it answers")

    def test_a_stopped_leader_is_mute_and_stays_so_when_it_goes_on(self):
        leader, other = self._mute_after("stopped", lambda agent: agent.stop())
        for _ in range(5):
            with self.watch() as watched:
                resumed = now_ns()
                self.agent(leader).cont()
                self.wait_for(lambda: not self.lab.hosts[leader].has_address(self.cluster.vip),
                              "the old leader takes the address off")
                self.assertEqual((other, leader), self.settled())
            self.assertEqual([], watched.frames(leader, after=resumed))
            self.assertEqual("follower", self.agent(leader).state())
            leader, other = other, leader
            self.agent(leader).stop()
            self.wait_leads(other)
            let_pass(self.lease_ns / 1e6)

    def test_a_stop_shorter_than_the_lease_costs_nothing_and_a_long_one_no_second_voice(self):
        leader, _ = self.start_cluster()
        for pause in (20, 75, 85, 100, 130):
            with self.subTest(pause_ms=pause), self.watch() as watched:
                agent = self.agent(leader)
                agent.stop()
                let_pass(pause)
                agent.cont()
                leader, _ = self.settled()
                let_pass(50)
            self._assert_one_voice_at_a_time(watched)

    def _assert_one_voice_at_a_time(self, watched):
        """Once another host has spoken as the address, the one before it is heard no more."""
        voices = []
        for frame in watched.frames():
            if voices[-1:] != [frame["interface"]]:
                voices.append(frame["interface"])
        self.assertEqual(len(set(voices)), len(voices), voices)

    def test_the_gate_stands_on_every_link_and_is_put_back(self):
        leader, other = self.start_cluster()
        host = self.lab.hosts[leader]
        for name in (leader, other, "witness1"):
            self.assertEqual(["eth0", "lo"], self.guarded(self.lab.hosts[name]))
        host.add_link("eth1", addresses=[])
        self.wait_for(lambda: self.guarded(host) == ["eth0", "eth1", "lo"], "a new link is guarded")
        host.run("tc", "qdisc", "del", "dev", "eth0", "clsact")
        self.wait_for(lambda: self.guarded(host) == ["eth0", "eth1", "lo"], "it is put back")
        self.assertEqual((leader, other), self.settled())
        self.assertEqual(1, self.times_led(leader))

    def test_a_deleted_address_is_put_back_and_told(self):
        leader, other = self.start_cluster()
        host = self.lab.hosts[leader]
        host.ip("addr", "del", f"{self.cluster.vip}/24", "dev", "eth0")
        self.wait_for(lambda: host.has_address(self.cluster.vip), "the address is put back")
        self.wait_for(lambda: "deleted" in " ".join(self.reasons(leader, leader)), "it is told")
        self.assertEqual((leader, other), self.settled())
        # And one that somebody adds where it does not belong goes.
        follower = self.lab.hosts[other]
        follower.ip("addr", "add", f"{self.cluster.vip}/24", "dev", "eth0")
        self.wait_for(lambda: not follower.has_address(self.cluster.vip), "it is removed")
        self.assertEqual([leader], answerers(self.observer, self.cluster.vip))


class Leftovers(ClusterTest):
    """With an embedded router whose backends are not there: rules and settings take part."""

    def setUp(self):
        super().setUp()
        self.make_cluster(backends=["192.0.2.21:3306"])
        self.before = {host.name: footprint(host) for host in (self.r1, self.r2)}

    def assert_changed(self, host):
        now = footprint(host)
        for part in ("rules", "filters", "settings"):
            self.assertNotEqual(self.before[host.name][part], now[part], part)

    def assert_nothing_left(self, host):
        self.assertEqual(self.before[host.name], footprint(host))

    def start_and_settle(self):
        self.cluster.start()
        names = self.settled()
        for host in (self.r1, self.r2):
            self.wait_for(lambda h=host: "table inet hamr" in footprint(h)["rules"], "the rules")
            self.wait_for(lambda h=host: footprint(h)["settings"]
                          != self.before[h.name]["settings"], "the settings")
        return names

    def test_a_clean_stop_leaves_nothing(self):
        leader, other = self.start_and_settle()
        for name in (leader, other):
            host = self.lab.hosts[name]
            self.assert_changed(host)
            self.assertEqual(0, self.agent(name).terminate())
            self.assert_nothing_left(host)
            self.assertFalse((host.dir / "hamrd.sock").exists())
            self.assertFalse((host.dir / "hamrd.sysctls").exists())

    def test_cleanup_takes_away_what_a_killed_agent_left(self):
        leader, other = self.start_and_settle()
        host = self.lab.hosts[leader]
        self.agent(leader).kill()
        self.assert_changed(host)
        self.assertTrue(host.has_address(self.cluster.vip))
        done = self.agent(leader).cleanup()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assert_nothing_left(host)
        self.assertEqual(0, self.agent(leader).cleanup().returncode, "a second time")
        self.wait_leads(other)
        self.assertEqual([other], answerers(self.observer, self.cluster.vip))

    def test_cleanup_refuses_while_an_agent_runs_or_is_stopped(self):
        leader, other = self.start_and_settle()
        agent = self.agent(leader)
        for state in ("running", "stopped"):
            with self.subTest(state):
                if state == "stopped":
                    agent.stop()
                done = agent.cleanup()
                self.assertEqual(1, done.returncode)
                self.assertIn("running", done.stderr)
                self.assert_changed(self.lab.hosts[leader])
        agent.cont()
        self.assertEqual(2, len(self.settled()))

    def test_settings_and_rules_survive_a_crash_and_a_new_start(self):
        leader, other = self.start_and_settle()
        host = self.lab.hosts[leader]
        self.agent(leader).kill()
        self.agent(leader).start().wait_ready()
        self.settled()
        self.assert_changed(host)
        # The originals are the host's own, not what the crashed agent had set.
        self.assertEqual(0, self.agent(leader).terminate())
        self.assert_nothing_left(host)


if __name__ == "__main__":
    main()
