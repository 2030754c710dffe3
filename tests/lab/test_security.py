#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames that nobody should believe: each is dropped, counted under its own reason, and moves
nothing. Rules W and A of docs/protocol.md."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import (Cluster, ClusterTest, FrameCapture, answerers, labtool, let_pass, main,
                     program, run)

PORT = 8112


class SecurityTest(ClusterTest):
    def drops(self, name):
        return self.agent(name).status()["drops"]

    def wait_dropped(self, name, reason, more_than=0):
        return self.wait_for(lambda: self.drops(name)[reason] > more_than,
                             f"{name} counts {reason}")

    def only(self, name, *reasons):
        """That nothing was dropped for any other reason."""
        self.assertEqual([], [r for r, n in self.drops(name).items() if n and r not in reasons])

    def start_some(self, *hosts):
        for host in hosts:
            self.cluster.agent(host).start()
        for host in hosts:
            host.agent.wait_ready()


class Strangers(SecurityTest):
    def new_key(self):
        return run([program("hamr"), "keygen"]).stdout

    def test_without_the_key_nobody_gets_a_vote(self):
        self.make_cluster()
        # router2 has a key of its own, the witness one that only has the same name.
        name = self.cluster.key.split()[0]
        keys = {"router2": self.new_key(), "witness1": f"{name} {self.new_key().split()[1]}\n"}
        for host in (self.r1, self.r2, *self.witnesses):
            self.cluster.agent(host, keys.get(host.name)).start()
        for agent in self.cluster.agents.values():
            agent.wait_ready()
        for name in self.cluster.agents:
            # Each hears two peers, and believes neither.
            self.wait_dropped(name, "bad_signature", 20)
        # Longer than any node stays quiet after its start.
        let_pass(3500)
        for name, agent in self.cluster.agents.items():
            status = agent.status()
            self.assertIsNone(status["groups"]["default"]["leader"])
            self.assertEqual({"never_heard"}, {n["state"] for p, n in status["nodes"].items()
                                               if p != name})
            self.only(name, "bad_signature")
        self.assertEqual([], answerers(self.observer, self.cluster.vip))
        # With the right key it is one of them at once.
        self.agent("witness1").terminate()
        self.cluster.agent(self.witnesses[0]).start().wait_ready()
        self.wait_leads("router1")

    def test_another_cluster_on_the_same_segment(self):
        leader, other = self.start_cluster()
        stranger = self.lab.host("stranger", 14)
        config = Cluster(self.lab, [self.r1, self.r2, stranger], self.witnesses, name="another",
                         interval="20ms", misses=5)
        config.key = self.cluster.key
        config.agent(stranger).start().wait_ready()
        for name in (leader, other, "witness1"):
            self.wait_dropped(name, "wrong_cluster", 10)
            self.only(name, "wrong_cluster")
        self.assertEqual((leader, other), self.settled())
        self.assertEqual(1, self.times_led(leader))

    def test_a_node_that_the_configuration_does_not_know(self):
        leader, other = self.start_cluster()
        stranger = self.lab.host("router3", 14)
        config = Cluster(self.lab, [self.r1, self.r2, stranger], self.witnesses,
                         interval="20ms", misses=5)
        config.key = self.cluster.key
        config.agent(stranger).start().wait_ready()
        for name in (leader, other, "witness1"):
            self.wait_dropped(name, "unknown_node", 10)
            self.only(name, "unknown_node")
        self.assertEqual((leader, other), self.settled())
        self.assertEqual(1, self.times_led(leader))
        self.assertNotEqual("leader", stranger.agent.state())

    def test_garbage_short_and_long_frames_are_malformed(self):
        leader, other = self.start_cluster()
        attacker = self.lab.host("attacker", 66)
        recorded = self._one_frame(other)
        long = b"HAMR\x01\x00" + b"\xff\xff" + bytes(13_900)
        frames = {"empty": b"", "one byte": b"H", "a header's half": recorded[:19],
                  "a header": recorded[:20], "cut": recorded[:-1], "longer": recorded + b"\0",
                  "magic": b"VRRP" + recorded[4:], "version": b"HAMR\x02" + recorded[5:],
                  "garbage": os.urandom(200), "long": long, "longest": os.urandom(60_000)}
        target = self.agent(leader)
        for what, content in frames.items():
            with self.subTest(what):
                file = attacker.dir / "frame"
                file.write_bytes(content)
                before = self.drops(leader)["malformed"]
                labtool(attacker, "send-udp", "--to", f"{target.host.ipv4}:{PORT}", "--file", file)
                self.wait_for(lambda b=before: self.drops(leader)["malformed"] == b + 1, what)
        changed = bytearray(recorded)
        changed[40] ^= 1
        (attacker.dir / "frame").write_bytes(changed)
        labtool(attacker, "send-udp", "--to", f"{target.host.ipv4}:{PORT}", "--file",
                attacker.dir / "frame")
        self.wait_dropped(leader, "bad_signature")
        self.only(leader, "malformed", "bad_signature")
        self.assertEqual((leader, other), self.settled())
        self.assertEqual(1, self.times_led(leader))

    def _one_frame(self, sender):
        """The content of a true frame of this node."""
        host = self.lab.hosts[sender]
        file = self.lab.dir / "one.pcap"
        capture = FrameCapture(host, port=PORT, file=file)
        self.wait_for(lambda: file.stat().st_size > 2000, "some frames")
        capture.stop()
        data = file.read_bytes()
        at = 24
        while True:
            size = int.from_bytes(data[at + 8:at + 12], "little")
            frame = data[at + 16:at + 16 + size]
            if frame[6:12] == bytes.fromhex(host.mac.replace(":", "")):
                return frame[14 + 20 + 8:]
            at += 16 + size

    def test_a_flood_of_garbage_does_not_unseat_the_leader(self):
        leader, other = self.start_cluster()
        attacker = self.lab.host("attacker", 66)
        file = attacker.dir / "frame"
        file.write_bytes(os.urandom(300))
        for name in (leader, other, "witness1"):
            labtool(attacker, "send-udp", "--to", f"{self.lab.hosts[name].ipv4}:{PORT}",
                    "--file", file, "--times", 20_000)
        self.wait_dropped("witness1", "malformed", 100)
        self.assertEqual((leader, other), self.settled())
        self.assertEqual(1, self.times_led(leader))


class Replays(SecurityTest):
    """An attacker records everything and sends it again, from the true addresses."""

    def setUp(self):
        super().setUp()
        self.leader, self.follower = self.start_cluster()
        self.attacker = self.lab.host("attacker", 66)

    def record(self, name, least=30):
        """Frames to and from this node."""
        host = self.lab.hosts[name]
        file = self.lab.dir / f"{name}.pcap"
        capture = FrameCapture(host, port=PORT, file=file)
        self.wait_for(lambda: file.stat().st_size > least * 200, f"{least} frames of {name}")
        return file, capture.stop()["recorded"]

    def replay(self, file, *options):
        return labtool(self.attacker, "replay", "--file", file, "--interval-us", 500,
                       *options)["sent"]

    def replayed(self):
        return sum(self.drops(n)["replayed"] for n, a in self.cluster.agents.items() if a.running)

    def assert_undisturbed(self, leader):
        self.assertEqual(leader, self.cluster.wait_settled())
        for name, agent in self.cluster.agents.items():
            if agent.running:
                self.only(name, "replayed")
        self.assertEqual([leader], answerers(self.observer, self.cluster.vip))

    def test_frames_of_this_boot(self):
        file, recorded = self.record(self.leader)
        led = self.times_led(self.leader)
        before = self.replayed()
        sent = sum(self.replay(file) for _ in range(3))
        self.assertEqual(3 * recorded, sent)
        self.wait_for(lambda: self.replayed() == before + sent, "every one is counted")
        self.assert_undisturbed(self.leader)
        self.assertEqual(led, self.times_led(self.leader))

    def test_frames_of_a_leader_that_lost_its_lead(self):
        file, _ = self.record(self.leader)
        self.agent(self.leader).failover()
        self.assertEqual((self.follower, self.leader), self.settled())
        before = self.replayed()
        sent = self.replay(file)
        self.wait_for(lambda: self.replayed() == before + sent, "every one is counted")
        self.assert_undisturbed(self.follower)
        self.assertEqual(1, self.times_led(self.follower))

    def test_frames_of_a_leader_that_is_dead(self):
        file, _ = self.record(self.leader)
        self.agent(self.leader).kill()
        self.wait_leads(self.follower)
        self.wait_for(lambda: self.agent(self.follower).status()["nodes"][self.leader]["state"]
                      == "silent", "it is silent")
        before = self.replayed()
        self.replay(file, "--times", 3)
        self.wait_for(lambda: self.replayed() > before + 30, "they are counted")
        self.assertEqual("silent",
                         self.agent(self.follower).status()["nodes"][self.leader]["state"])
        self.assert_undisturbed(self.follower)

    def test_frames_of_the_senders_earlier_boot(self):
        file, _ = self.record(self.leader)
        self.agent(self.leader).terminate()
        self.wait_leads(self.follower)
        self.agent(self.leader).start().wait_ready()
        self.settled()
        before = self.replayed()
        self.replay(file, "--times", 3)
        self.wait_for(lambda: self.replayed() > before + 30, "they are counted")
        self.assert_undisturbed(self.follower)
        self.assertEqual(1, self.times_led(self.follower))

    def test_frames_from_before_the_receivers_restart(self):
        file, _ = self.record(self.follower)
        self.agent(self.follower).kill()
        self.agent(self.follower).start().wait_ready()
        self.settled()
        before = self.replayed()
        self.replay(file, "--times", 3)
        self.wait_for(lambda: self.replayed() > before + 30, "they are counted")
        self.assert_undisturbed(self.leader)
        self.assertEqual(1, self.times_led(self.leader))

    def test_frames_from_before_everybodys_restart(self):
        file, _ = self.record(self.leader)
        for agent in self.cluster.agents.values():
            agent.kill()
        # The first one alone hears a cluster of ghosts, and must believe none of them.
        first = self.agent(self.follower).start().wait_ready()
        self.replay(file, "--times", 3)
        status = first.status()
        self.assertIsNone(status["groups"]["default"]["leader"])
        self.assertEqual({"never_heard"}, {n["state"] for p, n in status["nodes"].items()
                                           if p != self.follower})
        for name, agent in self.cluster.agents.items():
            if name != self.follower:
                agent.start().wait_ready()
        leader, _ = self.settled()
        before = self.replayed()
        self.replay(file, "--times", 3)
        self.wait_for(lambda: self.replayed() > before + 30, "they are counted")
        self.assert_undisturbed(leader)


class Flood(SecurityTest):
    """A million forged heartbeats from the true addresses, as fast as one processor sends them."""

    def moves(self):
        return {name: [(e["node"], e["from"], e["to"], e["term"]) for e in agent.history()
                       if e["from"] != e["to"]] for name, agent in self.cluster.agents.items()}

    def flood(self, name, count):
        host, attacker = self.lab.hosts[name], self.lab.host("attacker", 66)
        file = self.lab.dir / "true.pcap"
        capture = FrameCapture(host, port=PORT, file=file)
        self.wait_for(lambda: file.stat().st_size > 20_000, "some frames")
        capture.stop()
        return labtool(attacker, "flood", "--file", file, "--to", host.ipv4, "--count", count,
                       timeout=200)

    def check(self, victim, undisturbed):
        before = self.moves()
        told = self.flood(victim, 1_000_000)
        self.assertEqual(1_000_000, told["sent"])
        drops = self.drops(victim)
        for reason in ("replayed", "bad_signature", "malformed"):
            self.assertGreater(drops[reason], 1000, reason)
        self.only(victim, "replayed", "bad_signature", "malformed")
        self.assertIn("dropped frames", self.agent(victim).hamr("status").stdout)
        self.assertEqual(undisturbed, self.settled())
        self.assertEqual(before, self.moves())
        print(f"    {told['ms']:.0f} ms, {sum(drops.values())} seen; "
              f"{self.agent(victim).status()['pulse']}", flush=True)

    def test_at_the_leader(self):
        leader, other = self.start_cluster()
        self.check(leader, (leader, other))

    def test_at_a_follower(self):
        leader, other = self.start_cluster()
        self.check(other, (leader, other))


if __name__ == "__main__":
    main()
