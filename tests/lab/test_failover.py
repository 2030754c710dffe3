#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Leadership moves: takeover when the leader is lost, handover when somebody asks for it."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import LATE_NS, Capture, ClusterTest, answerers, let_pass, main, now_ns, run


class Takeover(ClusterTest):
    def test_an_isolated_leader_is_replaced_and_does_not_come_back(self):
        leader, other = self.start_cluster()
        probe = self.probe()
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_leads(other)
        self.wait_for(lambda: self.agent(leader).state() != "leader", "the old leader gave up")
        self.wait_for(lambda: not self.lab.hosts[leader].has_address(self.cluster.vip),
                      "the old leader has taken the address off")
        self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [other], "one answers")
        new_mac = self.lab.hosts[other].mac
        self.assertIn(new_mac, probe.stop()["macs"])
        self.assertIn("lease ended", " ".join(self.reasons(leader, leader, "follower")))
        self.assertIn(f"{leader} silent for", " ".join(self.reasons(other, other, "leader")))
        self.assertEqual("majority", self.agent(other).status()["quorum"])

        led = {name: self.times_led(name) for name in (leader, other)}
        self.lab.heal()
        self.assertEqual((other, leader), self.settled())
        let_pass(500)
        self.assertEqual((other, leader), self.settled())
        self.assertEqual(led, {name: self.times_led(name) for name in (leader, other)})
        self.assertEqual([other], answerers(self.observer, self.cluster.vip))

    def test_a_leader_without_link_is_replaced_and_says_why(self):
        leader, other = self.start_cluster()
        self.lab.link_down(self.lab.hosts[leader])
        self.wait_leads(other)
        self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [other], "one answers")
        self.wait_for(lambda: self.demotion(leader) > 0, "the old leader is demoted")
        told = " ".join(w["what"] for w in self.agent(leader).status()["warnings"])
        self.assertIn("eth0", told)
        self.lab.heal()
        self.assertEqual((other, leader), self.settled())
        self.wait_for(lambda: self.demotion(leader) == 0, "it is healthy again")
        self.assertEqual([], self.agent(leader).status()["warnings"])

    def test_the_loss_of_witness_or_follower_moves_nothing(self):
        leader, other = self.start_cluster()
        term, probe = self.term(leader), self.probe()
        for lost in (self.witnesses[0], self.lab.hosts[other]):
            self.lab.isolate(lost)
            self.wait_for(lambda l=lost.name: self.agent(leader).status()["nodes"][l]["state"]
                          == "silent", "its silence is noticed")
            let_pass(200)
            self.lab.heal()
            self.assertEqual((leader, other), self.settled())
        self.assertEqual([self.lab.hosts[leader].mac], list(probe.stop()["macs"]))
        self.assertEqual(1, self.times_led(leader))
        self.assertLessEqual(term, self.term(leader))

    def test_a_leader_in_the_minority_falls_silent_for_its_own_client_too(self):
        leader, other = self.start_cluster()
        old = self.lab.hosts[leader]
        probe = self.probe()
        capture = Capture(self.client, vip=self.cluster.vip)
        before = now_ns()
        self.lab.isolate_together(old, self.client)
        cut = now_ns()
        self.wait_leads(other)
        let_pass(500)
        result = probe.stop()
        capture.stop()
        self.assertTrue(result["open_ended"], "the client went on hearing the old leader")
        deadline = cut + self.lease_ns + LATE_NS
        self.assertEqual([], [f for f in capture.frames() if f["ns"] > deadline])
        self.assertTrue([f for f in capture.frames() if f["ns"] < before])
        self.assertEqual([other], answerers(self.observer, self.cluster.vip))


class Handover(ClusterTest):
    def test_failover_from_any_router_with_and_without_a_target(self):
        leader, other = self.start_cluster()
        with self.watch() as watched:
            for asked, target in ((leader, None), (leader, other), (other, None), (other, other)):
                with self.subTest(at=asked, to=target):
                    now, then = self.settled()
                    asked_at = now if asked == leader else then
                    arguments = ["--to", then] if target else []
                    done = self.agent(asked_at).failover(*arguments)
                    self.assertIn(then, done.stdout)
                    # It returns when the successor has announced.
                    self.assertEqual("leader", self.agent(then).state())
                    self.assertEqual((then, now), self.settled())
                    self.assertIn("handover", self.reasons(then, then, "leader")[-1])
        announced = {f["interface"] for f in watched.frames(kinds=("garp",))}
        self.assertEqual({"router1", "router2"}, announced)

    def test_a_leader_as_target_is_done_already(self):
        leader, other = self.start_cluster()
        term = self.term(leader)
        for asked in (leader, other):
            done = self.agent(asked).failover("--to", leader)
            self.assertIn(leader, done.stdout)
        self.assertEqual(term, self.term(leader))

    def test_targets_that_cannot_lead_are_refused_with_the_reason(self):
        leader, other = self.start_cluster()
        cases = ((leader, "nobody", "unknown node"), (other, "nobody", "unknown node"),
                 (leader, "witness1", "witness"), ("witness1", other, "witness"))
        for asked, target, reason in cases:
            with self.subTest(at=asked, to=target):
                done = self.agent(asked).failover("--to", target, check=False)
                self.assertEqual((1, ""), (done.returncode, done.stdout))
                self.assertIn(reason, done.stderr)
        self.lab.isolate(self.lab.hosts[other])
        self.wait_for(lambda: self.agent(leader).status()["nodes"][other]["state"] == "silent",
                      "its silence is noticed")
        done = self.agent(leader).failover("--to", other, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("silent", done.stderr)
        self.assertEqual("leader", self.agent(leader).state())

    def test_a_worse_target_is_refused_unless_forced(self):
        self.make_cluster(extra={"vips": {"default": {"addresses": ["198.51.100.100/24"],
                                                      "interface": "eth1"}}})
        del self.cluster.config["vip"]
        self.lab.add_bridge("service")
        for host in (self.r1, self.r2):
            host.add_link("eth1", "service", addresses=[f"198.51.100.{host.number}/24"])
        self.cluster.start()
        leader, other = self.settled()
        self._set_link(other, "down")
        self.wait_for(lambda: self.agent(leader).status()["nodes"][other]["demotion"] > 0,
                      "the leader knows that the other is worse")
        for asked in (leader, other):
            with self.subTest(at=asked):
                done = self.agent(asked).failover("--to", other, check=False)
                self.assertEqual(1, done.returncode)
                self.assertIn("less healthy", done.stderr)
        self.assertEqual(1, self.times_led(leader))
        # Forced, it leads, and stays so: a person has decided.
        self.agent(leader).failover("--to", other, "--force", check=False)
        self.assertEqual((other, leader), self.settled())
        let_pass(300)
        self.assertEqual((other, leader), self.settled())

    def _set_link(self, name, state):
        run(["ip", "-n", self.lab.switch, "link", "set", "dev", f"{name}.eth1", state])

    def test_sigterm_hands_over(self):
        leader, other = self.start_cluster()
        probe = self.probe()
        self.assertEqual(0, self.agent(leader).terminate())
        self.wait_leads(other)
        self.assertIn(f"handover from {leader}", self.reasons(other, other, "leader")[-1])
        self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [other], "one answers")
        self.assertFalse(self.lab.hosts[leader].has_address(self.cluster.vip))
        self.assertIn(self.lab.hosts[other].mac, probe.stop()["macs"])
        # And back into the cluster: the one that returns does not take the lead.
        self.agent(leader).start().wait_ready()
        self.assertEqual((other, leader), self.settled())
        self.assertEqual(1, self.times_led(other))


class TwoRouters(ClusterTest):
    """No witness: quorum none, availability first."""

    def test_takeover_and_a_plain_word_about_partitions(self):
        leader, other = self.start_cluster(witness=False)
        status = self.agent(leader).status()
        self.assertEqual("none", status["quorum"])
        self.assertIn("two leaders", " ".join(w["what"] for w in status["warnings"]))
        self.agent(leader).kill()
        self.wait_leads(other)
        self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [other], "one answers")

    def test_handover(self):
        leader, other = self.start_cluster(witness=False)
        self.agent(other).failover()
        self.assertEqual((other, leader), self.settled())
        self.assertEqual([other], answerers(self.observer, self.cluster.vip))

    def test_a_partition_makes_two_leaders_which_settle_when_it_heals(self):
        leader, other = self.start_cluster(witness=False)
        self.lab.isolate_together(self.lab.hosts[leader], self.client)
        self.wait_leads(other)
        let_pass(200)
        self.assertEqual({leader, other}, set(self.cluster.leaders()))
        self.assertEqual([leader], answerers(self.client, self.cluster.vip))
        self.assertEqual([other], answerers(self.observer, self.cluster.vip))

        capture = Capture.at_switch(self.lab, vip=self.cluster.vip, kinds="garp")
        healed = now_ns()
        self.lab.heal()
        winner, loser = self.settled()
        self.wait_for(lambda: self.agent(loser).state() == "follower", "the loser follows")
        self.wait_for(lambda: [f for f in capture.frames() if f["ns"] > healed
                               and f["interface"] == winner], "the winner announces again")
        capture.stop()
        self.assertEqual([winner], answerers(self.observer, self.cluster.vip))
        self.assertIn(f"{winner} also leads", self.reasons(loser, loser, "follower")[-1])
        let_pass(300)
        self.assertEqual((winner, loser), self.settled())


if __name__ == "__main__":
    main()
