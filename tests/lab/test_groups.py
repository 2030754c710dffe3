#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Several groups in the same frames, each with a leader of its own."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import Cluster, ClusterTest, answerers, main

# Six groups over three routers, two each: the group and whom it prefers, best first.
PREFER = {"a": (1, 2, 3), "b": (1, 3, 2), "c": (2, 1, 3), "d": (2, 3, 1), "e": (3, 1, 2),
          "f": (3, 2, 1)}
ADDRESS = {group: f"192.0.2.{101 + i}" for i, group in enumerate(PREFER)}


class GroupsTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.home = {group: f"router{numbers[0]}" for group, numbers in PREFER.items()}
        self.wait_leaders(self.home)

    def start(self):
        self.routers = [self.lab.host(f"router{i}", 10 + i) for i in (1, 2, 3)]
        self.observer = self.lab.host("observer", 51)
        self.cluster = Cluster(self.lab, self.routers, interval="50ms", misses=6)
        del self.cluster.config["vip"]
        self.cluster.config["vips"] = {
            group: {"addresses": [f"{ADDRESS[group]}/24"], "failback": True,
                    "prefer": [f"router{number}" for number in numbers]}
            for group, numbers in PREFER.items()}
        for host in self.routers:
            self.cluster.agent(host).start()
        for agent in self.cluster.agents.values():
            agent.wait_ready()

    def leaders(self, by):
        return {name: group["leader"] for name, group in self.agent(by).status()["groups"].items()}

    def wait_leaders(self, expected):
        """Until every running agent names these leaders, and they say so themselves."""
        def agreed():
            running = [n for n, a in self.cluster.agents.items() if a.running]
            return all(self.leaders(name) == expected for name in running)
        self.wait_for(agreed, f"everybody names {expected}", 20)
        for group, leader in expected.items():
            self.wait_for(lambda g=group, l=leader: answerers(self.observer, ADDRESS[g]) == [l],
                          f"{leader} answers for {group}")

    def moved(self, by, since):
        """The groups whose leader has changed in this agent's history since an entry's number."""
        return {e["group"] for e in self.agent(by).history()[since:]
                if e["to"] == "leader" and e["from"] != "leader"}


class SixGroups(GroupsTest):
    def test_only_the_groups_of_a_dead_router_move_each_to_its_next(self):
        for dead in ("router1", "router3"):
            witness = "router2"
            since = len(self.agent(witness).history())
            self.agent(dead).kill()
            self.wait_leaders({group: f"router{numbers[0]}" if self.home[group] != dead
                               else f"router{numbers[1]}" for group, numbers in PREFER.items()})
            lost = {group for group, home in self.home.items() if home == dead}
            self.assertEqual(lost, self.moved(witness, since))
            # Back again, each group returns home, and no other one moves.
            since = len(self.agent(witness).history())
            self.cluster.agent(self.lab.hosts[dead]).start().wait_ready()
            self.wait_leaders(self.home)
            self.assertEqual(lost, self.moved(witness, since))

    def test_a_drained_router_gives_each_of_its_groups_to_that_ones_next(self):
        self.agent("router1").hamr("drain")
        moved = {group: f"router{numbers[numbers[0] == 1]}" for group, numbers in PREFER.items()}
        self.wait_leaders(moved)
        since = len(self.agent("router3").history())
        self.agent("router1").hamr("undrain")
        self.wait_leaders(self.home)
        self.assertEqual({"a", "b"}, self.moved("router3", since))


if __name__ == "__main__":
    main()
