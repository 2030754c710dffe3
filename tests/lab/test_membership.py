#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`hamr reload` with another hamr.yaml: nodes come and go, timers, mode and addresses change, and
the address answers meanwhile."""

import os
import pathlib
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import Cluster, LabTest, Probe, answerers, let_pass, main

# No planned handover takes this long, and no lost lease is so short.
HANDOVER_MS = 100


class MembershipTest(LabTest):
    def start_cluster(self, routers, witnesses=(), **options):
        """The leader of a new cluster whose restarts fit into its lease on a busy machine."""
        for number, name in enumerate(("router1", "router2", "router3", "router4", "witness1")):
            self.lab.host(name, 11 + number)
        self.client, self.observer = self.lab.host("client", 50), self.lab.host("observer", 51)
        options = {"interval": "200ms", "misses": 5, **options}
        hosts = self.lab.hosts
        self.cluster = Cluster(self.lab, [hosts[n] for n in routers],
                               [hosts[n] for n in witnesses], **options)
        self.cluster.start()
        return self.cluster.wait_settled()

    def agent(self, name):
        return self.cluster.agents[name]

    def change(self, *names, nodes=None, without=None, **keys):
        """Another configuration, on the hosts that are named."""
        config = self.cluster.config
        config["nodes"] = {n: v for n, v in {**config["nodes"], **(nodes or {})}.items()
                           if n != without}
        config.update(keys)
        for name in names:
            self.cluster.configure(self.lab.hosts[name])

    def reload(self, name, *words, options=()):
        done = self.agent(name).hamr("reload", *options)
        for word in (*words, "restarted: version"):
            self.assertIn(word, done.stdout)

    def refused(self, name, *words, code=1, options=()):
        """It says why, and nothing has happened."""
        before = self.pieces(name)
        done = self.agent(name).hamr("reload", *options, check=False)
        self.assertEqual((code, ""), (done.returncode, done.stdout), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(before, self.pieces(name))

    def pieces(self, name):
        """What a reload that moves nothing leaves as it was."""
        status = self.agent(name).status()
        group = status["groups"]["default"]
        return {"pid": self.agent(name).pid, "started": status["started"],
                **{key: group[key] for key in ("leader", "term", "state")}}

    def leadership(self, name):
        pieces = self.pieces(name)
        pieces.pop("started")
        return pieces

    def others(self, *names):
        return [name for name in self.cluster.agents if name not in names]

    def probe(self):
        return Probe(self.client, to=self.cluster.vip).wait_event("answered")

    def wait_calm(self, names=None):
        """Every agent hears every other, and none warns of another configuration."""
        names = names or list(self.cluster.agents)

        def calm():
            for name in names:
                status = self.agent(name).status()
                nodes = status["nodes"].values()
                if sorted(status["nodes"]) != sorted(names) or \
                        any(n["state"] != "alive" or n.get("differs") for n in nodes):
                    return False
            return True
        self.wait_for(calm, "all know and hear each other", 15)


class Nodes(MembershipTest):
    def test_three_routers_become_four_and_three_again_and_nobody_loses_the_address(self):
        leader = self.start_cluster(["router1", "router2", "router3"])
        before, probe = self.leadership(leader), self.probe()
        first, second = self.others(leader)

        self.change(*self.cluster.agents, "router4", nodes={"router4": "192.0.2.14"})
        new = self.lab.hosts["router4"]
        self.cluster.agent(new).start().wait_ready()
        self.reload(first, "router4 joins")
        told = self.agent(leader).status()
        self.assertIn("counts 1 node", " ".join(told["nodes"][first]["differs"]))
        self.assertIn(first, " ".join(w["what"] for w in told["warnings"]))
        # A second step before all have taken the first.
        self.change(first, nodes={"witness1": {"addresses": ["192.0.2.15"], "role": "witness"}})
        self.refused(first, "the last change has not reached", "`hamr reload` there first")
        self.change(first, without="witness1")
        self.reload(leader)
        self.reload(second)
        self.wait_calm()
        self.assertEqual(before, self.leadership(leader))
        self.assertEqual(3, self.agent(leader).status()["groups"]["default"]["needed"])

        gone = next(name for name in ("router4", first) if name != leader)
        rest = self.others(gone)
        self.change(*rest, without=gone)
        for name in rest:
            self.reload(name, f"{gone} leaves")
        self.agent(gone).terminate()
        del self.cluster.agents[gone]
        self.wait_calm()
        self.assertEqual(before, self.leadership(leader))
        result = probe.stop()
        print(f"    longest gap {result['outage_ms']:.1f} ms", flush=True)
        self.assertEqual([self.lab.hosts[leader].mac], list(result["macs"]))
        self.assertLess(result["outage_ms"], HANDOVER_MS)
        # It is a cluster like any other.
        self.agent(leader).kill()
        self.cluster.wait_leader()

    def test_what_is_refused_and_what_force_does(self):
        leader = self.start_cluster(["router1", "router2", "router3"])
        name, gone = self.others(leader)
        new = {"router4": "192.0.2.14"}
        cases = (({"nodes": {**new, "witness1": "192.0.2.15"}}, "more than one node"),
                 ({"nodes": new, "without": gone}, "more than one node"),
                 ({"without": name}, "is not in the file", "systemctl stop hamrd"),
                 ({"without": leader}, f"{leader}, which leaves, leads"),
                 ({"cluster": "other"}, "another cluster"))
        good = dict(self.cluster.config)
        for change, *words in cases:
            with self.subTest(change=change):
                self.change(name, **change)
                self.refused(name, *words)
                self.cluster.config = dict(good)
        for change in cases[:3]:
            self.change(name, **change[0])
            self.refused(name, options=["--force"])
            self.cluster.config = dict(good)
        # One that is gone for good, and this node has begun without hearing of it.
        self.agent(gone).kill()
        self.agent(name).kill()
        self.change(name)
        self.agent(name).start().wait_ready()
        self.wait_for(lambda: self.agent(name).status()["nodes"][leader]["state"] == "alive",
                      "it hears the other")
        self.cluster.wait_leader()  # of three only this one ran, so it had let go, perhaps
        self.change(name, without=gone)
        self.refused(name, f"{gone} has not been heard", "hamr reload --force")
        self.reload(name, f"{gone} leaves", options=["--force"])
        self.change(leader)
        self.reload(leader, f"{gone} leaves")  # which has heard it
        del self.cluster.agents[gone]
        self.wait_calm()
        self.cluster.wait_leader()

    def test_a_pair_gets_a_witness_and_with_it_a_majority(self):
        leader = self.start_cluster(["router1", "router2"])
        other, = self.others(leader)
        self.assertEqual("none", self.agent(leader).status()["quorum"])
        let_pass(3100)  # as old as a cluster is that somebody changes
        probe = self.probe()
        witness = {"witness1": {"addresses": ["192.0.2.15"], "role": "witness"}}
        self.change(leader, other, "witness1", nodes=witness)
        self.cluster.agent(self.lab.hosts["witness1"]).start().wait_ready()
        self.reload(other, "witness1 joins", "quorum none, now majority")
        self.assertEqual("leader", self.agent(leader).state())
        let_pass(1500)
        self.assertEqual("follower", self.agent(other).state())  # beside a leader of mode none
        self.reload(leader, "quorum none, now majority")
        self.wait_calm()
        leader, former = self.cluster.wait_leader(), leader
        result = probe.stop()
        print(f"    longest gap {result['outage_ms']:.1f} ms", flush=True)
        self.assertLess(result["outage_ms"], HANDOVER_MS)
        for name in self.cluster.agents:
            self.assertEqual("majority", self.agent(name).status()["quorum"])
        self.assertEqual([leader], answerers(self.observer, self.cluster.vip))
        # Now one side of a cut falls silent.
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_for(lambda: self.agent(leader).state() != "leader", "the minority gave up", 15)
        self.assertEqual([former], self.wait_for(
            lambda: answerers(self.observer, self.cluster.vip), "somebody answers", 15))


class Settings(MembershipTest):
    def test_timers_change_on_one_host_after_the_other(self):
        leader = self.start_cluster(["router1", "router2"], ["witness1"])
        before, probe = self.leadership(leader), self.probe()
        names = [leader, *self.others(leader)]
        self.change(*names, heartbeat={"interval": "150ms", "misses": 6})
        self.reload(names[0], "interval 200 ms, now 150 ms", "misses 5, now 6")
        told = self.agent(names[1]).status()["nodes"][leader]["differs"]
        self.assertIn("interval 150 ms, here 200 ms", told)
        for name in names[1:]:
            self.reload(name)
        self.wait_calm()
        self.assertEqual(before, self.leadership(leader))
        result = probe.stop()
        self.assertEqual([self.lab.hosts[leader].mac], list(result["macs"]))
        self.assertLess(result["outage_ms"], HANDOVER_MS)

    def test_a_bad_file_is_refused_with_every_place_and_by_a_signal_in_the_log(self):
        leader = self.start_cluster(["router1", "router2"], ["witness1"])
        file = self.lab.hosts[leader].dir / "hamr.yaml"
        good = file.read_text(encoding="utf-8")
        file.write_text(good.replace("misses: 5", "misses: 50") + "vop: 1\n", encoding="utf-8")
        lines = good.splitlines()
        line = next(n for n, text in enumerate(lines, 1) if "misses" in text)
        self.refused(leader, f"hamr.yaml:{line}:", f"hamr.yaml:{len(lines) + 1}:", "vop", code=78)
        before = self.pieces(leader)
        os.kill(self.agent(leader).pid, signal.SIGHUP)
        log = pathlib.Path(self.agent(leader).process.log)
        self.wait_for(lambda: "reload refused" in log.read_text(encoding="utf-8"), "it is told")
        self.assertEqual(before, self.pieces(leader))
        file.write_text(good.replace("misses: 5", "misses: 6"), encoding="utf-8")
        os.kill(self.agent(leader).pid, signal.SIGHUP)
        self.wait_for(lambda: self.agent(leader).status()["started"] != before["started"],
                      "the signal reloads", 10)
        self.assertEqual(leader, self.cluster.wait_leader())

    def test_the_addresses_of_a_group_change_and_the_old_one_is_gone_and_mute(self):
        leader = self.start_cluster(["router1", "router2"], ["witness1"])
        before, old = self.leadership(leader), self.cluster.vip
        names = [*self.others(leader), leader]
        new = "192.0.2.101"
        self.change(*names, vip=f"{new}/24")
        for name in names:
            self.reload(name, "group default has other addresses")
        self.wait_for(lambda: answerers(self.observer, new) == [leader], "the new one answers", 10)
        self.wait_for(lambda: not self.lab.hosts[leader].has_address(old), "the old one is gone")
        self.assertEqual([], answerers(self.observer, old))
        self.assertEqual(before, self.leadership(leader))
        # Somebody puts it back by hand: it stays mute, and goes.
        self.lab.hosts[leader].ip("addr", "add", f"{old}/24", "dev", "eth0")
        self.assertEqual([], answerers(self.observer, old))
        self.wait_for(lambda: not self.lab.hosts[leader].has_address(old), "it is gone again")

    def test_a_group_comes_and_goes_and_the_other_does_not_move(self):
        leader = self.start_cluster(["router1", "router2"], ["witness1"])
        before, probe = self.leadership(leader), self.probe()
        names = [leader, *self.others(leader)]
        vip = self.cluster.config.pop("vip")
        groups = {"default": {"addresses": [vip]}, "second": {"addresses": ["192.0.2.110/24"]}}
        self.change(*names, vips=groups)
        for name in names:
            self.reload(name, "group second is new")
        self.wait_for(lambda: len(answerers(self.observer, "192.0.2.110")) == 1,
                      "the new group has a leader", 15)
        self.assertEqual(before, self.leadership(leader))
        self.change(*names, vips={"default": {"addresses": [vip]}})
        for name in names:
            self.reload(name, "group second is gone")
        self.wait_for(lambda: answerers(self.observer, "192.0.2.110") == [], "its address is gone")
        self.assertEqual(before, self.leadership(leader))
        result = probe.stop()
        print(f"    longest gap {result['outage_ms']:.1f} ms", flush=True)
        self.assertEqual([self.lab.hosts[leader].mac], list(result["macs"]))
        self.assertLess(result["outage_ms"], HANDOVER_MS)


if __name__ == "__main__":
    main()
