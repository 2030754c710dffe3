#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab proves itself, with keepalived as its tenant: before it judges anything else, it must
see what is known to happen."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import (Arping, Capture, FrameCapture, Keepalived, LabTest, MariaDb, Probe, Sql,
                     answerers, labtool, main, now_ns, reaches, replicate, sweep,
                     switch_roles, wait_for)
from hamrlab.mariadb import APPLICATION

VIP = "192.0.2.100"


class Network(LabTest):
    def test_hosts_reach_each_other_and_nothing_else_is_touched(self):
        before = set(os.listdir("/sys/class/net"))
        a, b = self.lab.host("a", 11), self.lab.host("b", 12)
        self.assertTrue(reaches(a, b.ipv4))
        self.assertTrue(reaches(a, b.ipv6))
        self.assertEqual(before, set(os.listdir("/sys/class/net")))

    def test_isolation_is_silent_and_heals(self):
        a, b = self.lab.host("a", 11), self.lab.host("b", 12)
        self.lab.isolate(a)
        self.assertTrue(a.has_carrier())
        self.assertFalse(reaches(a, b.ipv4, 0.3))
        self.lab.heal()
        self.assertTrue(reaches(a, b.ipv4))

    def test_isolated_together_reach_each_other_only(self):
        a, b, c = (self.lab.host(n, i) for n, i in (("a", 11), ("b", 12), ("c", 13)))
        self.lab.isolate_together(a, b)
        self.assertTrue(reaches(a, b.ipv4))
        self.assertFalse(reaches(a, c.ipv4, 0.3))

    def test_link_down_is_seen_by_the_host(self):
        a, b = self.lab.host("a", 11), self.lab.host("b", 12)
        self.lab.link_down(a)
        wait_for(lambda: not a.has_carrier(), "a has no carrier")
        self.assertTrue(b.has_carrier())
        self.lab.heal()
        wait_for(a.has_carrier, "a has its carrier again")


class Cleaning(LabTest):
    def test_nothing_is_left_behind_even_by_a_killed_owner(self):
        code = ("import sys, time; sys.path.insert(0, sys.argv[1]); from hamrlab import Lab\n"
                "lab = Lab(); host = lab.host('a', 11)\n"
                "print(host.spawn('sleeper', ['sleep', '300']).pid, host.namespace, lab.dir,"
                " flush=True); time.sleep(300)")
        with subprocess.Popen([sys.executable, "-c", code, os.path.dirname(__file__) or "."],
                              stdout=subprocess.PIPE, text=True) as owner:
            pid, namespace, directory = owner.stdout.readline().split()
            self.assertTrue(pathlib.Path("/run/netns", namespace).exists())
            owner.kill()
        wait_for(lambda: not pathlib.Path("/proc", pid).exists(), "the kernel ends the process")
        sweep()
        self.assertFalse(pathlib.Path("/run/netns", namespace).exists())
        self.assertFalse(pathlib.Path(directory).exists())

    def test_close_removes_processes_namespaces_and_files(self):
        host = self.lab.host("a", 11)
        process = host.spawn("sleeper", ["sleep", "300"])
        stopped = host.spawn("stopped", ["sleep", "300"])
        stopped.stop()
        self.lab.close()
        self.assertFalse(process.running)
        self.assertFalse(stopped.running)
        self.assertFalse(self.lab.dir.exists())
        left = [n for n in os.listdir("/run/netns") if n.startswith(f"hamr-{self.lab.id}-")]
        self.assertEqual([], left)


class Measuring(LabTest):
    def test_probe_finds_a_gap_and_who_answered(self):
        for version, target in (("ipv4", "192.0.2.12"), ("ipv6", "2001:db8::12")):
            with self.subTest(version):
                name = version[-1]
                client = self.lab.host("client" + name, 50 + int(name))
                server = self.lab.hosts.get("server") or self.lab.host("server", 12)
                probe = Probe(client, to=target).wait_event("answered")
                self.lab.isolate(server)
                time.sleep(0.1)
                self.lab.heal(server)
                cut = now_ns()
                wait_for(lambda: now_ns() - cut > 50_000_000, "some more answers")
                result = probe.stop()
                self.assertGreaterEqual(result["outage_ms"], 100)
                self.assertEqual([server.mac], list(result["macs"]))
                self.assertFalse(result["open_ended"])

    def test_capture_and_arping_see_two_owners(self):
        client, observer = self.lab.host("client", 50), self.lab.host("observer", 51)
        a, b = self.lab.host("a", 11), self.lab.host("b", 12)
        capture = Capture.at_switch(self.lab, vip=VIP)
        for host in (a, b):
            host.ip("addr", "add", f"{VIP}/24", "dev", "eth0")
        self.assertEqual(["a", "b"], answerers(observer, VIP))
        arping = Arping(observer, to=VIP, count=5)
        self.assertEqual(5, arping.result()["sent"])
        self.assertTrue(reaches(client, VIP))
        capture.stop()
        frames = capture.frames()
        self.assertEqual({"a", "b"}, {f["interface"] for f in frames if f["kind"] == "arp-reply"})
        self.assertTrue([f for f in frames if f["kind"] == "ip"])

    def test_capture_and_arping_see_neighbour_advertisements(self):
        observer, a = self.lab.host("observer", 51), self.lab.host("a", 11)
        capture = Capture(observer, vip="2001:db8::100")
        a.ip("addr", "add", "2001:db8::100/64", "dev", "eth0", "nodad")
        self.assertEqual(["a"], answerers(observer, "2001:db8::100"))
        senders = capture.stop()["senders"]
        self.assertEqual([("na", a.mac)], [(s["kind"], s["mac"]) for s in senders])

    def test_recorded_frames_are_sent_again_and_arrive(self):
        a, b = self.lab.host("a", 11), self.lab.host("b", 12)
        attacker = self.lab.host("attacker", 66)
        content, pcap = self.lab.dir / "content", self.lab.dir / "frames.pcap"
        content.write_bytes(b"heartbeat")
        for version, source, target in (("ipv4", a.ipv4, b.ipv4),
                                        ("ipv6", f"[{a.ipv6}]", f"[{b.ipv6}]")):
            with self.subTest(version):
                frames = FrameCapture(b, port=8112, file=pcap)
                labtool(a, "send-udp", "--to", f"{target}:8112", "--file", content)
                wait_for(lambda: pcap.stat().st_size > 24, "a frame in the file")
                self.assertEqual(1, frames.stop()["recorded"])
                seen = _receive(b, version, lambda: (
                    labtool(attacker, "replay", "--file", pcap, "--times", 2),
                    labtool(attacker, "send-udp", "--to", f"{target}:8112", "--file", content,
                            "--source", f"{source}:9999", "--to-mac", b.mac)))
                first = a.ipv4 if version == "ipv4" else a.ipv6
                self.assertEqual([first] * 3, [s[0] for s in seen])
                self.assertEqual(9999, seen[2][1])


def _receive(host, version, act):
    """What a socket on the host gets while act() runs: (source, port) of three datagrams."""
    code = ("import socket, sys\n"
            f"s = socket.socket(socket.AF_INET{'6' if version == 'ipv6' else ''},"
            " socket.SOCK_DGRAM)\n"
            "s.bind(('', 8112)); s.settimeout(5); print('ready', flush=True)\n"
            "for _ in range(3): print(*s.recvfrom(100)[1][:2], flush=True)")
    process = host.spawn("receiver-" + version, [sys.executable, "-c", code])
    log = pathlib.Path(process.log)
    wait_for(lambda: "ready" in log.read_text(encoding="ascii"), "the receiver")
    act()
    process.wait()
    lines = [line.split() for line in log.read_text(encoding="ascii").splitlines()[1:]]
    return [(source, int(port)) for source, port in lines]


class WithKeepalived(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.lab.host("client", 50)
        self.observer = self.lab.host("observer", 51)
        self.a, self.b = self.lab.host("a", 11), self.lab.host("b", 12)
        self.first = Keepalived(self.a, 200).start()
        self.wait_for(lambda: self.first.leads, "a leads")
        self.second = Keepalived(self.b, 100).start()
        self.probe = Probe(self.client, to=VIP).wait_event("answered")
        time.sleep(0.3)
        self.assertFalse(self.second.leads)

    def outage(self):
        self.wait_for(lambda: self.second.leads, "b leads")
        time.sleep(0.3)
        return self.probe.stop()

    def test_isolation_is_measured(self):
        self.lab.isolate(self.a)
        result = self.outage()
        self.assertGreater(result["outage_ms"], 10)
        self.assertLess(result["outage_ms"], 1000)
        self.assertEqual({self.a.mac, self.b.mac}, set(result["macs"]))

    def test_sigterm_is_measured(self):
        self.first.terminate()
        self.assertLess(self.outage()["outage_ms"], 500)

    def test_two_answerers_after_a_stop_are_seen(self):
        self.first.signal(signal.SIGSTOP)
        self.outage()
        self.assertEqual(["a", "b"], answerers(self.observer, VIP))


class WithMariaDb(LabTest):
    def test_replication_roles_and_the_sql_client(self):
        client = self.lab.host("client", 50)
        one = MariaDb(self.lab.host("db1", 21)).start()
        two = MariaDb(self.lab.host("db2", 22)).start()
        replicate(one, two)
        one.sql("INSERT INTO shop.orders (note) VALUES ('first')")
        self.assertTrue(two.caught_up(one))
        self.assertEqual("first", two.sql("SELECT note FROM shop.orders"))
        account = {"user": APPLICATION[0], "password": APPLICATION[1]}
        for mode in ("connect", "persistent"):
            sql = Sql(client, to=one.endpoint, mode=mode, **account).wait_event("answered")
            time.sleep(0.1)
            result = sql.stop()
            self.assertEqual(["21"], list(result["answers"]))
            self.assertEqual((0, {}), (result["failed"], result["errors"]))
        self.assertEqual(1, result["connects"])
        switch_roles(one, two)
        two.sql("INSERT INTO shop.orders (note) VALUES ('second')")
        self.wait_for(lambda: one.sql("SELECT COUNT(*) FROM shop.orders") == "2", "replication")
        sql = Sql(client, to=two.endpoint, mode="persistent", **account).wait_event("answered")
        two.kill()
        wait_for(lambda: not two.process.running, "the server's end")
        time.sleep(0.2)
        result = sql.stop()
        self.assertTrue(result["open_ended"])
        self.assertGreater(result["failed"], 0)


if __name__ == "__main__":
    main()
