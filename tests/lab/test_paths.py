#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two networks between the nodes: either of them may be cut, and nothing is lost but a path, which
`hamr status` names. Rules T1, A12 of docs/protocol.md. The address is on the first one, eth0."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import Cluster, ClusterTest, answerers, let_pass, main

LINKS = {"eth0": "192.0.2", "eth1": "198.51.100"}


class PathsTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.set_up_hosts()
        self.lab.add_bridge("second")
        self.nodes = [self.r1, self.r2, *self.witnesses]
        for host in self.nodes:
            host.add_link("eth1", "second", addresses=[f"198.51.100.{host.number}/24"])
        self.cluster = Cluster(self.lab, [self.r1, self.r2], self.witnesses, interval="20ms",
                               misses=5)
        for host in self.nodes:
            node = {"addresses": [f"{net}.{host.number}" for net in LINKS.values()]}
            if host in self.witnesses:
                node["role"] = "witness"
            self.cluster.config["nodes"][host.name] = node
        self.cluster.start()
        self.leader, self.follower = self.settled()
        for name in self.cluster.agents:
            self.wait_warnings(name)

    def warnings(self, name):
        return [w["what"] for w in self.agent(name).status()["warnings"]]

    def wait_warnings(self, name, *parts):
        """Until there are as many warnings, and each has its part."""
        def told():
            warnings = self.warnings(name)
            return len(warnings) == len(parts) and all(
                any(part in what for what in warnings) for part in parts)
        self.wait_for(told, f"{name} warns of {parts or 'nothing'}")

    def lost(self, by, peer, link):
        """What `by` warns of when it does not hear that peer on that network."""
        net, numbers = LINKS[link], {host.name: host.number for host in self.nodes}
        return (f"{peer} is heard over 1 of 2 paths ({net}.{numbers[peer]} to "
                f"{net}.{numbers[by]} silent for ")

    def moves(self):
        """Every change of state that any agent has seen."""
        return {name: [(e["node"], e["from"], e["to"], e["term"]) for e in agent.history()
                       if e["from"] != e["to"]] for name, agent in self.cluster.agents.items()}

    def others(self, name):
        return [host.name for host in self.nodes if host.name != name]

    def paths(self, name, peer):
        return self.agent(name).status()["nodes"][peer]["paths"]


class OneLink(PathsTest):
    def test_every_path_is_shown(self):
        for name in self.cluster.agents:
            for peer in self.others(name):
                paths = self.paths(name, peer)
                self.assertEqual(list(LINKS.values()), [p["own"].rsplit(".", 1)[0] for p in paths])
                self.assertEqual(list(LINKS.values()), [p["peer"].rsplit(".", 1)[0] for p in paths])
                self.assertTrue(all(p["last_heard_ms"] is not None for p in paths))
            self.assertNotIn("paths", self.agent(name).status()["nodes"][name])

    def cut_costs_nothing(self, name, link, cut):
        """Cuts one node's link; nobody moves, everybody names what is lost, and it comes back."""
        before = self.moves()
        cut(self.lab.hosts[name], link=link)
        for peer in self.others(name):
            self.wait_warnings(peer, self.lost(peer, name, link))
        self.wait_warnings(name, *[self.lost(name, peer, link) for peer in self.others(name)])
        status = self.agent(self.leader).status()["groups"]["default"]
        self.assertEqual((self.leader, 3), (status["leader"], status["votes"]))
        self.lab.heal()
        for agent in self.cluster.agents:
            self.wait_warnings(agent)
        self.assertEqual(before, self.moves())

    def test_the_leaders_heartbeat_network_is_cut(self):
        probe = self.probe()
        self.cut_costs_nothing(self.leader, "eth1", self.lab.isolate)
        self.cut_costs_nothing(self.leader, "eth1", self.lab.link_down)
        self.assertEqual([self.lab.hosts[self.leader].mac], list(probe.stop()["macs"]))

    def test_the_followers_and_the_witnesss_links_are_cut_in_turn(self):
        self.cut_costs_nothing(self.follower, "eth1", self.lab.isolate)
        self.cut_costs_nothing("witness1", "eth0", self.lab.isolate)
        self.cut_costs_nothing("witness1", "eth1", self.lab.link_down)

    def test_a_network_of_its_own_that_dies_for_all(self):
        before = self.moves()
        self.lab.isolate(*self.nodes, link="eth1")
        for name in self.cluster.agents:
            self.wait_warnings(name, *[self.lost(name, p, "eth1") for p in self.others(name)])
        self.assertEqual(before, self.moves())
        self.assertEqual([self.leader], answerers(self.observer, self.cluster.vip))


class TheAddressesLink(PathsTest):
    def assert_handed_over(self, why):
        reasons = self.reasons(self.leader, node=self.leader, to="follower")
        self.assertEqual(f"{why}: handover to {self.follower}", reasons[-1])

    def test_without_carrier_leadership_is_handed_over_through_the_other_network(self):
        probe = self.probe()
        self.lab.link_down(self.lab.hosts[self.leader], link="eth0")
        self.wait_leads(self.follower)
        self.assert_handed_over("interface eth0 has no carrier")
        self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [self.follower],
                      "the successor answers")
        self.assertEqual("alive",
                         self.agent(self.follower).status()["nodes"][self.leader]["state"])
        probe.stop()
        self.lab.heal()
        self.wait_warnings(self.leader)
        self.assertEqual(0, self.demotion(self.leader))


    def test_cut_silently_the_leader_hands_over_since_it_hears_nobody_there(self):
        self.lab.isolate(self.lab.hosts[self.leader], link="eth0")
        self.wait_leads(self.follower)
        self.assert_handed_over("no peer is heard on eth0, only over other networks")
        self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [self.follower],
                      "the successor answers")
        self.assertEqual(150, self.demotion(self.leader))
        self.lab.heal()
        self.wait_for(lambda: self.demotion(self.leader) == 0, "it is healthy again")
        self.assertEqual(self.follower, self.cluster.wait_settled())

    def test_a_follower_that_is_cut_off_there_moves_nothing(self):
        before = self.moves()
        self.lab.isolate(self.lab.hosts[self.follower], link="eth0")
        self.wait_for(lambda: self.demotion(self.follower) == 150, "it is demoted")
        self.assertEqual(before, self.moves())
        refused = self.agent(self.leader).failover("--to", self.follower, check=False)
        self.assertEqual(1, refused.returncode)
        self.lab.heal()
        self.wait_for(lambda: self.demotion(self.follower) == 0, "it is healthy again")
        self.assertEqual(before, self.moves())

    def test_a_network_that_is_dead_for_all_moves_nothing(self):
        before = self.moves()
        self.lab.isolate(*self.nodes, link="eth0")
        for name in (self.leader, self.follower):
            self.wait_for(lambda n=name: self.demotion(n) == 150, f"{name} is demoted")
        let_pass(1000)
        self.assertEqual(before, self.moves())
        self.lab.heal()
        for name in self.cluster.agents:
            self.wait_warnings(name)
        self.assertEqual(before, self.moves())


class BothLinks(PathsTest):
    def test_cut_off_altogether_it_is_taken_over_from(self):
        old = self.lab.hosts[self.leader]
        self.lab.isolate(old, link="eth1")
        self.wait_warnings(self.follower, self.lost(self.follower, self.leader, "eth1"))
        self.assertEqual(self.leader, self.cluster.wait_settled())
        self.lab.isolate(old, link="eth0")
        self.wait_leads(self.follower)
        reason = self.agent(self.follower).status()["groups"]["default"]["reason"]
        self.assertIn("takeover", reason)
        self.assertEqual([self.follower], answerers(self.observer, self.cluster.vip))
        self.lab.heal()
        self.assertEqual((self.follower, self.leader), self.settled())
        let_pass(300)
        self.assertEqual([self.follower], answerers(self.observer, self.cluster.vip))


if __name__ == "__main__":
    main()
