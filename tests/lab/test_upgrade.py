#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Restart in place: the agent executes its program again, and nothing moves."""

import os
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import ClusterTest, answerers, let_pass, main
from hamrlab.core import program


class UpgradeTest(ClusterTest):
    def pieces(self, name):
        """What must be the same before and after."""
        status = self.agent(name).status()
        group = status["groups"]["default"]
        return {"pid": self.agent(name).pid, "leader": group["leader"], "term": group["term"],
                "state": group["state"]}

    def restart(self, name, check=True):
        return self.agent(name).hamr("restart", check=check)

    def silences(self, name):
        """For how long each restart of this node kept it silent, in milliseconds."""
        return [float(reason.split(",")[1].split()[0]) for reason in self.reasons(name)
                if reason.startswith("restarted in place")]


class Upgrade(UpgradeTest):
    def test_a_leader_goes_on_with_its_term_and_its_address_answers_all_the_time(self):
        leader, other = self.start_cluster(interval="200ms", misses=5)
        probe = self.probe()
        with self.watch() as watched:
            before = self.pieces(leader)
            for _ in range(3):
                started = self.agent(leader).status()["started"]
                done = self.restart(leader)
                self.assertIn("restarted", done.stdout)
                self.assertNotEqual(started, self.agent(leader).status()["started"])
                self.assertEqual(before, self.pieces(leader))
                self.assertEqual((leader, other), self.settled())
                let_pass(300)
        result = probe.stop()
        silent = self.silences(leader)
        print(f"longest gap {result['outage_ms']:.2f} ms, without frames {silent} ms")
        self.assertEqual(3, len(silent))
        # A busy machine makes a prober late; an address that went with the agent were gone longer.
        self.assertLess(result["outage_ms"], max(20, min(silent)))
        self.assertEqual([self.lab.hosts[leader].mac], list(result["macs"]))
        self.assertEqual([], watched.frames(host=other))
        self.assertEqual(1, self.times_led(leader))
        self.assertEqual([], self.agent(leader).status()["warnings"])
        self.assertEqual([leader], answerers(self.observer, self.cluster.vip))

    def test_restarts_of_followers_change_nothing(self):
        leader, other = self.start_cluster(interval="20ms", misses=5)
        before, probe = self.pieces(leader), self.probe()
        for name in (other, "witness1"):
            pid = self.agent(name).pid
            self.restart(name)
            self.assertEqual(pid, self.agent(name).pid)
            self.assertEqual(before, self.pieces(leader))
        self.assertEqual((leader, other), self.settled())
        self.assertLess(probe.stop()["outage_ms"], 25)
        self.assertEqual(1, self.times_led(leader))

    def test_a_leader_whose_lease_is_too_short_hands_over_first(self):
        leader, other = self.start_cluster(interval="2ms", misses=3)
        probe = self.probe()
        pid = self.agent(leader).pid
        done = self.restart(leader)
        self.assertIn("handed over", done.stdout)
        self.assertEqual(pid, self.agent(leader).pid)
        self.wait_for(lambda: self.reasons(leader, leader, "follower"), "it has handed over")
        self.assertIn("handover", " ".join(self.reasons(leader, leader, "follower")))
        self.assertLess(probe.stop()["outage_ms"], 200)

    def test_the_signal_does_it_too_and_a_stop_afterwards_is_clean(self):
        leader, other = self.start_cluster(interval="200ms", misses=5)
        before = self.pieces(leader)
        os.kill(self.agent(leader).pid, signal.SIGUSR2)
        self.wait_for(lambda: self.silences(leader), "it has restarted")
        self.assertEqual(before, self.pieces(leader))
        self.assertEqual(0, self.agent(leader).terminate())
        self.wait_leads(other)
        self.assertFalse(self.lab.hosts[leader].has_address(self.cluster.vip))
        self.assertEqual([other], answerers(self.observer, self.cluster.vip))

    def test_a_leader_that_is_cut_off_after_a_restart_is_replaced(self):
        leader, other = self.start_cluster(interval="200ms", misses=5)
        self.restart(leader)
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_leads(other)
        self.wait_for(lambda: self.agent(leader).state() != "leader", "the old leader gave up")
        self.wait_for(lambda: not self.lab.hosts[leader].has_address(self.cluster.vip),
                      "the old leader has taken the address off")
        self.lab.heal()
        self.assertEqual((other, leader), self.settled())


class Refused(UpgradeTest):
    def change(self, name, old, new):
        config = pathlib.Path(self.agent(name).config)
        text = config.read_text(encoding="utf-8")
        self.assertIn(old, text)
        config.write_text(text.replace(old, new), encoding="utf-8")
        return lambda: config.write_text(text, encoding="utf-8")

    def test_what_speaks_against_a_restart_is_told_and_nothing_has_moved(self):
        leader, _ = self.start_cluster(interval="200ms", misses=5)
        before, probe = self.pieces(leader), self.probe()
        cases = (("misses: 5", "misses: 4", "misses"),
                 ("cluster: lab", "cluster: other", "cluster"),
                 ("quorum: auto", "quorum: none", "quorum"),
                 ("vip: 192.0.2.100", "vip: 192.0.2.101", "addresses"),
                 ("vip: 192", "vp: 192", "vp"))
        started = self.agent(leader).status()["started"]
        for old, new, words in cases:
            with self.subTest(new=new):
                back = self.change(leader, old, new)
                done = self.restart(leader, check=False)
                self.assertEqual(1, done.returncode, done.stdout)
                self.assertIn(words, done.stderr)
                back()
        self.assertEqual(started, self.agent(leader).status()["started"])
        self.assertEqual(before, self.pieces(leader))
        self.assertLess(probe.stop()["outage_ms"], 25)

    def test_a_program_that_is_gone_is_a_reason_and_a_new_one_is_taken(self):
        self.make_cluster(interval="200ms", misses=5)
        own = self.r1.dir / "bin"
        own.mkdir()
        daemon = own / "hamrd"
        shutil.copy(program("hamrd"), daemon)
        for host in (self.r1, self.r2, *self.witnesses):
            agent = self.cluster.agent(host)
            path = daemon if host is self.r1 else program("hamrd")
            agent.process = host.spawn("hamrd", [
                path, "--config", agent.config, "--node", host.name,
                "--socket", agent.socket, "--state", host.dir / "state"])
        for agent in self.cluster.agents.values():
            agent.wait_ready()
        self.settled()
        daemon.unlink()
        done = self.restart("router1", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn(str(daemon), done.stderr)
        daemon.write_text("#!/bin/sh\necho it is broken >&2; exit 3\n", encoding="ascii")
        daemon.chmod(0o755)
        done = self.restart("router1", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("it is broken", done.stderr)
        # As a package does it: the new one is moved over the old one.
        shutil.copy(program("hamrd"), own / "new")
        (own / "new").rename(daemon)
        before = self.pieces("router1")
        self.restart("router1")
        self.assertEqual(before, self.pieces("router1"))
        target = os.readlink(f"/proc/{self.agent('router1').pid}/exe")
        self.assertEqual(str(daemon), target)


if __name__ == "__main__":
    main()
