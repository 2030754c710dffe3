#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The verdict of the nemesis, on records made by hand: what it must find, and what it must not."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab.nemesis import network, plan
from hamrlab.nemesis.judge import Claim, InOrder, Judge, Voice
from hamrlab.nemesis.service import KINDS, Answer, Service, distribution

MS = 1_000_000
NONE, ASKING, CANDIDATE, LEADER = range(4)


def judged(*records, **options):
    """The judge after these records: ("A", ms, claim, term) or ("A", ms, kind[, asked_ms])."""
    judge = Judge(MS, **options)
    for host, at, what, *more in records:
        at = int(at * MS)
        if isinstance(what, int):
            judge.feed(Claim(at, host, what, *more))
        else:
            judge.feed(Voice(at, host, what, 4, int(more[0] * MS) if more else 0))
    return judge


def leads(host, at, term):
    """What is seen of a host that begins to lead: it stands, it leads, it speaks."""
    return [(host, at, CANDIDATE, term), (host, at + 0.5, LEADER, term), (host, at + 1, "garp")]


def lets_go(host, at, term=0):
    return [(host, at, NONE, term)]


A_LEADS = [("B", 0, NONE, 0), *leads("A", 10, 1), ("A", 20, "arp-reply")]


class Verdict(unittest.TestCase):
    def assert_clean(self, judge):
        self.assertEqual([], [str(v) for v in judge.violations])

    def assert_found(self, judge, rule, host):
        self.assertEqual([(rule, host)], [(v.rule, v.voice.host) for v in judge.violations])

    def test_one_leader_is_well(self):
        judge = judged(*A_LEADS)
        self.assert_clean(judge)
        self.assertEqual(1, judge.leaderships)

    def test_together_a_former_leader_that_goes_on_is_found(self):
        judge = judged(*A_LEADS, *leads("B", 100, 2), ("A", 110, "echo"))
        self.assert_found(judge, "together", "A")
        self.assertEqual(9.0, judge.violations[0].late_ns / MS)

    def test_together_however_much_later(self):
        self.assert_found(judged(*A_LEADS, *leads("B", 100, 2), ("B", 5000, "echo"),
                                 ("A", 60_000, "arp-reply")), "together", "A")

    def test_together_terms_that_begin_anew_are_no_offence(self):
        """All agents were away at once, and nobody knows the old terms."""
        self.assert_clean(judged(*leads("A", 10, 57), *lets_go("A", 90), *leads("B", 100, 1),
                                 *lets_go("B", 190), *leads("A", 200, 2)))

    def test_together_quick_handovers_there_and_back_are_legal(self):
        records, at, hosts = [], 10, ("A", "B")
        for term in range(1, 21):
            records += leads(hosts[term % 2], at, term) + lets_go(hosts[term % 2], at + 1.1)
            at += 1.2
        judge = judged(*records)
        self.assert_clean(judge)
        self.assertEqual((20, 19), (judge.leaderships, len(judge.changes_ns)))
        self.assertAlmostEqual(1.2, min(judge.changes_ns) / MS, places=3)

    def test_together_a_b_a_without_a_new_claim_is_found_however_quick(self):
        judge = judged(*A_LEADS, *leads("B", 20, 2), ("A", 22.5, "arp-reply"))
        self.assert_found(judge, "together", "A")

    def test_together_both_raise_their_terms_and_both_speak(self):
        """Rule M17: a leader that raises its term goes on; it has not begun anew."""
        judge = judged(*A_LEADS, *leads("B", 100, 2), ("A", 105, LEADER, 3), ("A", 110, "echo"))
        self.assert_found(judge, "together", "A")

    def test_together_a_new_leader_that_does_not_end_the_former_one(self):
        judge = judged(*A_LEADS, *lets_go("A", 30), *leads("B", 40, 2), *leads("A", 50, 3),
                       ("B", 60, "echo"))
        self.assert_found(judge, "together", "B")

    def test_together_one_of_three_that_speaks_two_leaders_later(self):
        judge = judged(*A_LEADS, *leads("B", 100, 2), *lets_go("B", 190), *leads("C", 200, 3),
                       ("A", 210, "echo"))
        self.assert_found(judge, "together", "A")

    def test_mute_a_voice_after_the_release_is_found_although_nobody_else_speaks(self):
        self.assert_found(judged(*A_LEADS, *lets_go("A", 30), ("A", 35, "echo")), "mute", "A")

    def test_mute_a_host_that_never_claimed(self):
        self.assert_found(judged(*A_LEADS, ("B", 30, "arp-reply")), "mute", "B")
        self.assert_found(judged(("X", 30, "arp-reply")), "mute", "X")

    def test_mute_an_asker_has_no_voice(self):
        self.assert_found(judged(("A", 0, ASKING, 0), ("A", 9, "una")), "mute", "A")

    def test_within_the_resolution_is_counted_and_no_offence(self):
        judge = judged(*A_LEADS, *leads("B", 100, 2), ("A", 101.9, "echo"))
        self.assert_clean(judge)
        self.assertEqual((1, 0.9), (judge.excused["resolution"], judge.latest_ns / MS))

    def test_a_standstill_excuses_only_what_it_covers(self):
        asked = []

        def stood_still(since, until):
            asked.append((since / MS, until / MS))
            return len(asked) == 1
        judge = judged(*A_LEADS, *leads("B", 100, 2), ("A", 109, "echo"), ("A", 119, "echo"),
                       stood_still=stood_still)
        self.assertEqual([(101.0, 108.0), (101.0, 118.0)], asked)
        self.assertEqual((1, 1), (judge.excused["standstill"], len(judge.violations)))

    def test_a_host_without_its_gate_is_not_judged(self):
        judge = judged(*A_LEADS, *leads("B", 100, 2), ("A", 110, "echo"), ("A", 130, "echo"),
                       undefended=lambda host, ns: host == "A" and ns < 120 * MS)
        self.assertEqual((1, 1), (judge.excused["undefended"], len(judge.violations)))

    def test_flows_of_a_former_leader_go_on(self):
        """Rule F16; an answer to a SYN that came while it led belongs to these."""
        judge = judged(*A_LEADS, *lets_go("A", 95), *leads("B", 100, 2), ("A", 110, "tcp"),
                       ("A", 111, "synack", 94), ("A", 112, "rst", 94))
        self.assert_clean(judge)
        self.assertEqual(2, judge.excused["flows"])

    def test_an_answer_to_a_new_syn_is_no_flow(self):
        for kind in ("synack", "rst"):
            with self.subTest(kind):
                self.assert_found(judged(*A_LEADS, *leads("B", 100, 2), ("A", 111, kind, 105)),
                                  "together", "A")


class Order(unittest.TestCase):
    def test_two_processors_in_one_order(self):
        order = InOrder(slack_ns=10)
        order.add([Voice(105, "A", "echo"), Claim(100, "A", 3, 1), Voice(120, "B", "echo")])
        self.assertEqual([100, 105], [r.ns for r in order.release()])
        order.add([Voice(115, "A", "echo")])
        self.assertEqual([115, 120], [r.ns for r in order.release(everything=True)])

    def test_of_one_instant_the_claim_is_first(self):
        order = InOrder()
        order.add([Voice(5, "A", "echo"), Claim(5, "A", 3, 1)])
        self.assertIsInstance(order.release(everything=True)[0], Claim)


class Served(unittest.TestCase):
    def service(self, *answers):
        service = Service()
        for at, kind in answers:
            service.feed(Answer(int(at * MS), "mac", kind))
        return service

    def test_served_when_everything_has_been_answered(self):
        service = self.service(*((10 + i, kind) for i, kind in enumerate(KINDS)))
        self.assertEqual((9 + len(KINDS)) * MS, service.served_since(9 * MS))
        self.assertIsNone(service.served_since(10 * MS))
        self.assertEqual([KINDS[0]], service.lacking(10 * MS))

    def test_not_served_by_answers_that_lie_far_apart(self):
        service = self.service(*((10 + 300 * i, kind) for i, kind in enumerate(KINDS)))
        self.assertIsNone(service.served_since(0))

    def test_times_without_an_answer(self):
        service = self.service((10, "echo4"), (20, "na6"), (120, "echo4"), (130, "garp4"))
        self.assertEqual([(20 * MS, 120 * MS)], service.gaps)

    def test_distribution(self):
        self.assertIsNone(distribution([]))
        self.assertEqual({"count": 3, "p50": 2, "p99": 3, "max": 3}, distribution([3, 1, 2]))


class Plans(unittest.TestCase):
    ROUTERS = ("router1", "router2", "router3")

    def test_a_seed_is_a_plan(self):
        self.assertEqual(plan.plan_round(7, 3, self.ROUTERS), plan.plan_round(7, 3, self.ROUTERS))
        self.assertNotEqual(plan.plan_round(7, 3, self.ROUTERS),
                            plan.plan_round(8, 3, self.ROUTERS))

    def test_every_kind_comes_and_at_most_three_at_once(self):
        kinds = set()
        for number in range(100):
            one = plan.plan_round(1, number, self.ROUTERS[:2], ("witness1",))
            for step in one.steps:
                kinds.add(step.kind)
                at_once = [s for s in one.steps if s.at <= step.at < s.at + s.lasts]
                self.assertLessEqual(len(at_once), plan.AT_ONCE)
                self.assertLessEqual(step.at + step.lasts, one.lasts + 1e-9)
                if step.kind in plan.OF_ROUTERS:
                    self.assertNotEqual("witness1", step.target)
        self.assertEqual(set(plan.WEIGHTS), kinds)

    def test_partitions(self):
        nodes, ports = ["a", "b", "c"], ["a", "b", "c", "client"]
        cuts = {shape: network.pairs_of_split(shape, "a", "b", nodes, ports)
                for shape in network.SPLITS}
        self.assertEqual({("a", "b"), ("a", "c"), ("b", "a"), ("c", "a")}, cuts["apart"])
        self.assertEqual({("b", "a"), ("c", "a")}, cuts["deaf"])
        self.assertEqual({("a", "b"), ("a", "c"), ("a", "client")}, cuts["muter"])
        self.assertEqual({("a", "b")}, cuts["one-way"])
        self.assertEqual({("a", "client"), ("client", "a")}, cuts["clients"])
        self.assertEqual(6, len(cuts["all-apart"]))
        self.assertEqual(6, len(cuts["alone"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
