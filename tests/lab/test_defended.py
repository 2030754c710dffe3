#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What others do to the address: delete it, answer for it, take the gate away, part the network.
The leader mends it, says what happened, and tells the network again whose the address is."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import Capture, ClusterTest, answerers, let_pass, main, now_ns


class Defended(ClusterTest):
    def make_cluster(self, witness=True, **options):
        # Nothing here is about time, and much about who leads: patient.
        return super().make_cluster(witness, **{"interval": "100ms", **options})

    def delete(self, name):
        self.lab.hosts[name].ip("addr", "del", f"{self.cluster.vip}/24", "dev", "eth0")

    def warnings(self, name):
        return [w["what"] for w in self.agent(name).status()["warnings"]]

    def announced_after(self, capture, instant, name):
        return [f for f in capture.frames() if f["ns"] > instant and f["interface"] == name]

    def test_an_address_that_is_deleted_again_and_again_is_put_back_more_slowly(self):
        leader, other = self.start_cluster()
        host = self.lab.hosts[leader]
        for _ in range(7):
            self.delete(leader)
            self.wait_for(lambda: host.has_address(self.cluster.vip), "the address is put back")
        told = " | ".join(self.reasons(leader, leader))
        self.assertIn("was deleted by somebody else; put back", told)
        self.assertIn("happens too often", told)
        self.assertEqual((leader, other), self.settled())
        self.assertEqual(1, self.times_led(leader))
        self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == [leader], "it answers")

    def test_a_policy_leaves_a_deleted_address_deleted(self):
        self.make_cluster(extra={"vips": {"default": {"addresses": ["192.0.2.100/24"],
                                                      "put_back": False}}})
        del self.cluster.config["vip"]
        self.cluster.start()
        leader, other = self.settled()
        host = self.lab.hosts[leader]
        self.delete(leader)
        self.wait_for(lambda: any("left so, as configured" in w for w in self.warnings(leader)),
                      "the warning")
        let_pass(200)
        self.assertFalse(host.has_address(self.cluster.vip))
        # What the warning advises: whoever leads anew puts it on.
        self.agent(leader).failover("--to", other)
        self.agent(leader).failover("--to", leader)
        self.assertEqual((leader, other), self.settled())
        self.wait_for(lambda: host.has_address(self.cluster.vip), "the address is there")
        self.wait_for(lambda: not any("as configured" in w for w in self.warnings(leader)),
                      "the warning goes")

    def test_a_gate_that_is_removed_is_put_back_and_told(self):
        leader, other = self.start_cluster()
        for name in (leader, other):
            host = self.lab.hosts[name]
            for what in (("qdisc", "del", "dev", "eth0", "clsact"),
                         ("filter", "del", "dev", "eth0", "egress")):
                before = self.count_gates_told(name)
                host.run("tc", *what)
                self.wait_for(lambda: self.count_gates_told(name) > before, "it is told")
                self.assertIn("hamr_gate",
                              host.run("tc", "filter", "show", "dev", "eth0", "egress").stdout)
        self.assertEqual((leader, other), self.settled())
        self.assertEqual(1, self.times_led(leader))

    def count_gates_told(self, name):
        return sum(r == "the gate on eth0 was removed by somebody else; put back"
                   for r in self.reasons(name, name))

    def test_a_foreign_host_that_answers_is_named_with_its_mac_and_answered(self):
        vips = ["192.0.2.100/24", "2001:db8::100/64"]
        self.make_cluster(extra={"vips": {"default": {"addresses": vips}}})
        del self.cluster.config["vip"]
        self.cluster.start()
        leader, _ = self.settled()
        stranger = self.lab.host("stranger", 66)
        for vip in vips:
            address = vip.split("/")[0]
            with self.subTest(vip=address):
                # It answers who asks, and says nothing by itself.
                stranger.ip("addr", "add", vip, "dev", "eth0", *(["nodad"] if ":" in vip else []))
                named = f"{stranger.mac} also answers for {address} "
                self.wait_for(lambda: any(named in w for w in self.warnings(leader)),
                              "it is named", 15)
                self.assertTrue(any(named in r for r in self.reasons(leader, leader)))
                capture = Capture.at_switch(self.lab, vip=address)
                begun = now_ns()
                self.wait_for(lambda: self.announced_after(capture, begun, leader),
                              "the leader announces against it", 15)
                stranger.ip("addr", "del", vip, "dev", "eth0")
                gone = now_ns()
                self.wait_for(lambda: any(f"no longer answers for {address}" in r
                                          for r in self.reasons(leader, leader)), "its end", 20)
                self.wait_for(lambda: self.announced_after(capture, gone, leader),
                              "the leader announces again")
                capture.stop()
                self.assertFalse(any(named in w for w in self.warnings(leader)))
        self.assertEqual(1, self.times_led(leader))

    def test_a_partition_that_heals_makes_the_leader_announce_again(self):
        leader, other = self.start_cluster()
        # The client is cut off together with the old leader: it hears of nothing.
        self.lab.isolate_together(self.lab.hosts[leader], self.client)
        self.wait_leads(other)
        self.wait_for(lambda: self.agent(leader).state() != "leader", "the lease ends")
        let_pass(200)
        capture = Capture.at_switch(self.lab, vip=self.cluster.vip, kinds="garp")
        healed = now_ns()
        self.lab.heal()
        self.wait_for(lambda: self.announced_after(capture, healed, other),
                      "the leader announces again")
        self.wait_for(lambda: f"announces again: {leader} is heard again"
                      in self.reasons(other, other), "it is told")
        self.wait_for(lambda: answerers(self.client, self.cluster.vip) == [other], "one answers")
        self.assertEqual(1, self.times_led(other))


if __name__ == "__main__":
    main()
