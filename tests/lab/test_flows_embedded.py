#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections of the embedded router outlive their leader: their transactions go on with the next
one, since its kernel has known them all along."""

import os
import re
import shutil
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import ClusterTest, MariaDb, let_pass, main, run
from hamrlab.tools import connect_error
from hamrlab.transactions import Transactions
from hamrlab.waiters import EchoServer, Waiters

PORT = 6446
COUNT = 200
BOTH = ["192.0.2.100/24", "2001:db8::100/64"]
# An entry as `conntrack -L` shows it; what differs from host to host is left out.
_ENTRY = re.compile(r"tcp +6 +\d+ (?P<state>\w+) (?P<rest>.*)")
_WORDS = re.compile(r"(?:src|dst|sport|dport)=\S+|\[ASSURED\]")
OPEN = ("ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT")


class EmbeddedTest(ClusterTest):
    def flows(self, name):
        """This host's open flows to the VIPs, as its kernel has them."""
        host, found = self.lab.hosts[name], set()
        for family in ("ipv4", "ipv6"):
            listed = host.run("conntrack", "-L", "-f", family, "-p", "tcp", check=False).stdout
            for line in listed.splitlines():
                entry = _ENTRY.match(line)
                words = entry and tuple(_WORDS.findall(entry["rest"]))
                if words and entry["state"] in OPEN and any(
                        f"dst={vip.split('/')[0]}" == words[1] for vip in self.cluster.vips):
                    found.add((entry["state"], *words))
        return found

    def same_flows(self, count, what="both kernels have the same flows"):
        """Waits until both routers' kernels have the same flows, this many."""
        seen = {}

        def same():
            seen.update({name: self.flows(name) for name in ("router1", "router2")})
            return seen["router1"] == seen["router2"] and len(seen["router1"]) == count
        try:
            self.wait_for(same, what, 10)
        except Exception:
            for name, flows in seen.items():
                other = seen["router2" if name == "router1" else "router1"]
                print(f"{name}: {len(flows)} flows; only here: {sorted(flows - other)[:5]}")
            raise

    def told(self, name):
        return self.agent(name).status()["flows"]

    def synced(self, *names):
        for name in names:
            self.wait_for(lambda n=name: [s["state"] for s in self.told(n)["streams"]]
                          == ["synced"], f"{name}'s stream is synced")

    def serves(self, leader):
        for name in ("router1", "router2"):
            self.wait_for(lambda n=name: self.agent(n).status()["router"]["state"] == "serving",
                          f"{name} serves", 20)
        self.synced("router1", "router2")
        return leader

    def power_cut(self, name):
        """Nothing of this host says another word."""
        host = self.lab.hosts[name]
        self.lab.link_down(host)
        for pid in run(["ip", "netns", "pids", host.namespace]).stdout.split():
            os.kill(int(pid), signal.SIGKILL)


@unittest.skipUnless(shutil.which("mariadbd"), "mariadb-server is not installed")
class WithMariaDb(EmbeddedTest):
    """Transactions that are open across the change of leaders, and commit after it."""

    def start(self, **options):
        self.set_up_hosts()
        self.set_up_hosts = lambda witness=True: None
        self.db = MariaDb(self.lab.host("db1", 21)).start()
        self.db.sql("SET GLOBAL max_connections = 2000")
        leader, other = self.start_cluster(backends=[self.db], **options)
        self.serves(leader)
        return self.settled()

    def check_commits(self, transactions, count=COUNT):
        result = transactions.commit()
        print(f"    {result['committed']} committed, longest statement {result['longest_ms']} ms, "
              f"{result['retransmitted']} retransmitted", flush=True)
        self.assertEqual(([], count), (result["errors"], result["committed"]))
        rows = self.db.sql("SELECT COUNT(*) FROM shop.orders WHERE note ="
                           f" '{transactions.note}'")
        self.assertEqual(str(2 * count), rows)
        return result

    def open(self, count=COUNT, to=None):
        transactions = Transactions(self.client, to or f"{self.cluster.vip}:{PORT}", count)
        # Longer than the stream's lag.
        let_pass(200)
        return transactions

    def check(self, fault, **options):
        leader, other = self.start(**options)
        transactions = self.open()
        self.same_flows(COUNT)
        fault(leader)
        self.wait_leads(other)
        asked = transactions.ask()
        self.assertEqual(([], COUNT), (asked["errors"], asked["asked"]))
        self.check_commits(transactions)
        return leader, other

    def test_a_leader_that_is_cut_off_and_comes_back(self):
        leader, other = self.start()
        old, new = self.open(), self.open(20)
        self.same_flows(COUNT + 20)
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_leads(other)
        self.check_commits(old)
        self.check_commits(new, 20)
        again = self.open(30)
        # The former leader's entries are stale now: it drops them before it has the new ones.
        self.lab.heal()
        self.assertEqual((other, leader), self.settled())
        self.synced(leader, other)
        self.same_flows(30)
        self.agent(other).failover("--to", leader)
        self.check_commits(again, 30)

    def test_a_leader_without_power(self):
        self.check(self.power_cut)

    def test_a_killed_agent(self):
        leader, other = self.check(lambda name: self.agent(name).kill())
        self.agent(leader).start().wait_ready()
        self.settled()
        self.synced(leader, other)
        again = self.open(50)
        self.same_flows(50)
        self.check_commits(again, 50)

    def test_a_killed_agent_whose_tables_go(self):
        def fault(name):
            self.agent(name).kill()
            host = self.lab.hosts[name]
            host.run("nft", "flush", "ruleset")
            host.run("conntrack", "-F", check=False)
        self.check(fault)

    def test_a_leader_that_is_restarted_in_place_and_then_cut_off(self):
        leader, other = self.start()
        transactions = self.open()
        self.same_flows(COUNT)
        self.agent(leader).hamr("restart")
        self.assertEqual((leader, other), self.settled())
        self.synced(leader, other)
        more = self.open(20)
        self.same_flows(COUNT + 20)
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_leads(other)
        self.check_commits(transactions)
        self.check_commits(more, 20)

    def test_a_leader_that_stops(self):
        self.check(lambda name: self.agent(name).terminate())

    def test_planned_there_and_back(self):
        leader, other = self.start()
        transactions = self.open()
        self.same_flows(COUNT)
        quiet = transactions.ask()
        for target in (other, leader):
            self.agent(leader if target == other else other).failover("--to", target)
            asked = transactions.ask()
            self.assertEqual(([], COUNT), (asked["errors"], asked["asked"]))
            print(f"    longest answer {asked['longest_ms']} ms, {quiet['longest_ms']} ms before")
            self.same_flows(COUNT)
        result = self.check_commits(transactions)
        self.assertEqual(0, result["retransmitted"], "a planned move loses no packet")
        self.same_flows(0, "what has ended is gone from both")

    def test_both_families(self):
        """Without an account the first server that answers is the primary: the server's IPv4
        address has the one route then, its IPv6 address the other."""
        self.set_up_hosts()
        self.set_up_hosts = lambda witness=True: None
        host = self.lab.host("db1", 21)
        self.db = MariaDb(host).start()
        self.db.sql("SET GLOBAL max_connections = 2000; SET GLOBAL max_connect_errors = 100000")
        router = {"kind": "embedded", "backends": [self.db.endpoint, f"[{host.ipv6}]:3306"]}
        self.start_cluster(router=router, vip=BOTH)
        self.synced("router1", "router2")
        leader, other = self.settled()
        routes = [f"{self.cluster.vip}:{PORT}", f"[2001:db8::100]:{PORT + 1}"]
        for route in routes:
            self.wait_for(lambda to=route: connect_error(self.client, to) == 0, f"{route} serves")
        clients = [self.open(50, to) for to in routes]
        self.same_flows(100)
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_leads(other)
        for client in clients:
            self.check_commits(client, 50)


@unittest.skipUnless(shutil.which("mariadbd"), "mariadb-server is not installed")
class Replication(EmbeddedTest):
    """What stands in the follower's kernel."""

    def start(self):
        """Clients are greeted by the server, and then just wait."""
        self.set_up_hosts()
        self.set_up_hosts = lambda witness=True: None
        db = MariaDb(self.lab.host("db1", 21)).start()
        db.sql("SET GLOBAL max_connections = 2000; SET GLOBAL max_connect_errors = 100000;"
               " SET GLOBAL connect_timeout = 3600")
        leader, _ = self.start_cluster(backends=[db])
        self.serves(leader)
        return self.settled()

    def waiters(self, count):
        return Waiters(self.client, f"{self.cluster.vip}:{PORT}", count)

    def test_a_flow_that_ends_leaves_the_follower_too(self):
        leader, other = self.start()
        some, more = self.waiters(30), self.waiters(50)
        self.same_flows(80)
        self.assertEqual((80, 0), (self.told(leader)["own"], self.told(leader)["replicas"]))
        self.assertEqual((0, 80), (self.told(other)["own"], self.told(other)["replicas"]))
        some.stop()
        self.same_flows(50)
        more.stop()
        self.same_flows(0)
        self.assertEqual((0, 0), (self.told(leader)["own"], self.told(other)["replicas"]))

    def test_a_restarted_follower_is_told_all_and_drops_what_is_stale(self):
        leader, other = self.start()
        gone, stay = self.waiters(30), self.waiters(50)
        self.same_flows(80)
        self.agent(other).kill()
        gone.stop()
        new = self.waiters(20)
        self.agent(other).start().wait_ready()
        self.settled()
        self.same_flows(70)
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_leads(other)
        self.assertEqual([[], []], [clients.stop()["ends"] for clients in (stay, new)])

    def test_a_follower_that_was_cut_off_for_a_while(self):
        leader, other = self.start()
        gone, stay = self.waiters(30), self.waiters(50)
        self.same_flows(80)
        self.lab.isolate(self.lab.hosts[other])
        self.wait_for(lambda: self.told(leader)["streams"][0]["state"] != "synced",
                      "the stream ends", 10)
        gone.stop()
        new = self.waiters(20)
        self.lab.heal()
        self.settled()
        self.same_flows(70)
        for clients in (stay, new):
            self.assertEqual([], clients.stop()["ends"])

    def test_a_restarted_leader_finds_its_flows_in_its_kernel(self):
        leader, other = self.start()
        clients = self.waiters(50)
        self.same_flows(50)
        # Both agents die: nobody knows anything but the kernels.
        for name in (leader, other):
            self.agent(name).kill()
        for name in (leader, other):
            self.agent(name).start()
        for name in (leader, other):
            self.agent(name).wait_ready()
        leader, other = self.settled()
        self.wait_for(lambda: self.told(leader)["own"] == 50, "the leader has them")
        self.wait_for(lambda: self.told(other)["replicas"] == 50, "the follower has them")
        self.same_flows(50)
        self.assertEqual([], clients.stop()["ends"])

    def test_a_connection_that_ends_on_the_leader_itself_is_reset(self):
        """To a service of the host, under the VIP: another host has nothing to go on with."""
        leader, other = self.start()
        EchoServer(self.lab.hosts[leader])
        clients, routed = Waiters(self.client, f"{self.cluster.vip}:7000", 20), self.waiters(20)
        self.wait_for(lambda: (self.told(leader)["own"], self.told(other)["replicas"]) == (40, 20),
                      "the follower could go on with half of them")
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_leads(other)
        self.wait_for(lambda: clients.ended() == 20, "all are reset")
        self.assertEqual({"ECONNRESET"}, {end["error"] for end in clients.stop()["ends"]})
        self.assertEqual([], routed.stop()["ends"])


if __name__ == "__main__":
    main()
