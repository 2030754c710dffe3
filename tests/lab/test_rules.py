#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The embedded router's rules where leadership has moved: what the former leader does with new
connections, resets of chosen flows, clients and backends on the router hosts themselves."""

import json
import os
import re
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import ClusterTest, MariaDb, Sql, let_pass, main
from hamrlab.mariadb import APPLICATION

RW = 6446
# A SYN that is lost costs its client a second.
LOST_MS = 900
# One lost packet of a connection costs some 210 ms.
HANGS_MS = 600

_CONNECT = """
import json, socket, sys, time
address, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
end, times, errors, mute = time.monotonic() + seconds, [], [], 0
print(json.dumps({"begun": True}), flush=True)
while time.monotonic() < end:
    begun = time.monotonic()
    s = socket.socket(family)
    s.settimeout(5)
    code = s.connect_ex((address, port))
    if code:
        errors.append(code)
    else:
        times.append(1000 * (time.monotonic() - begun))
        s.settimeout(1)
        try:
            s.recv(1)
        except OSError:
            mute += 1
    s.close()
    time.sleep(0.001)
print(json.dumps({"times": times, "errors": errors, "mute": mute}), flush=True)
"""


def lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


class Rules(ClusterTest):
    vip, prefix, nft = "192.0.2.100", 24, "4"
    # Whether the leader's own clients of the VIP speak as the host, not as the VIP: they do where
    # the VIP is a second address of the host's own IPv4 network.
    own_source = True

    @classmethod
    def setUpClass(cls):
        for name, package in (("mariadbd", "mariadb-server"), ("conntrack", "conntrack")):
            if not shutil.which(name):
                raise unittest.SkipTest(f"{package} is not installed")
        super().setUpClass()

    def address(self, host):
        return host.ipv4

    def start(self, on_router=False):
        """A server of its own, or on router1; both routers serve."""
        self.make_cluster(vip=f"{self.vip}/{self.prefix}", backends=["placeholder"])
        self.dbhost = self.r1 if on_router else self.lab.host("db1", 21)
        self.db = MariaDb(self.dbhost).start()
        address = self.address(self.dbhost)
        self.cluster.config["router"]["backends"] = [
            f"[{address}]:3306" if ":" in address else f"{address}:3306"]
        self.cluster.start()
        for name in ("router1", "router2"):
            self.wait_for(lambda n=name: self.agent(n).status()["router"]["state"] == "serving"
                          and self.demotion(n) == 0, f"{name} serves", 15)
        self.leader, self.follower = self.settled()

    def move_to(self, name):
        """Leadership is there, whoever had it."""
        if self.cluster.wait_settled() != name:
            self.agent(name).failover("--to", name)
        self.leader, self.follower = name, self.other(name)
        self.assertEqual(name, self.cluster.wait_settled())

    def host(self, name):
        return self.lab.hosts[name]

    def endpoint(self):
        return f"[{self.vip}]:{RW}" if ":" in self.vip else f"{self.vip}:{RW}"

    def sql(self, host, **options):
        """One connection that asks again and again; it tells who the server thinks asks."""
        return Sql(host, to=self.endpoint(), user=APPLICATION[0], password=APPLICATION[1],
                   mode="persistent", interval_us=5000, timeout_ms=3000,
                   query="SELECT SUBSTRING_INDEX(USER(), '@', -1)", **options
                   ).wait_event("answered")

    def check_survived(self, *sqls):
        """One connection each, as the VIP, and it has not been waiting since something happened."""
        let_pass(HANGS_MS)
        for sql in sqls:
            result = sql.stop()
            self.assertEqual((1, 0, [self.vip]), (result["connects"], result["failed"],
                                                  list(result["answers"])), result)
            self.assertLess(result["outage_ms"], HANGS_MS)

    def pin(self, host, address, to):
        """This host's neighbour table says for ever that the address is there."""
        host.ip("neigh", "replace", address, "lladdr", to.mac, "dev", "eth0", "nud", "permanent")

    def conntrack(self, host, *args):
        family = "ipv6" if ":" in self.vip else "ipv4"
        return host.run("conntrack", *args, "-f", family).stdout

    def flows(self, host):
        """The translated connections that are open: dicts of both tuples."""
        found = []
        for line in self.conntrack(host, "-L", "-p", "tcp", "-d", self.vip).splitlines():
            sides = [dict(pair.split("=") for pair in re.findall(r"(?:src|dst|sport|dport)=\S+",
                                                                  part))
                     for part in re.split(r"(?=src=)", line)[1:]]
            translated = len(sides) == 2 and sides[1]["src"] != self.vip
            if translated and "ESTABLISHED" in line and "zone=" not in line:
                found.append(sides)
        return found

    def wait_copied(self):
        """Until the follower's kernel has the leader's flows."""
        def copied():
            flows = self.flows(self.host(self.follower))
            return all(flow in flows for flow in self.flows(self.host(self.leader)))
        self.wait_for(copied, "the follower has the flows")

    # What reaches a host that has the VIP no more ---------------------------------------------

    def connects(self, host, seconds, meanwhile=lambda: None):
        process = host.spawn("connects", [sys.executable, "-c", _CONNECT, self.vip, RW, seconds],
                             output=host.dir / "connects.json")
        self.wait_for(lambda: lines(process.output), "it begins")
        meanwhile()
        process.wait(seconds + 20)
        result = json.loads(lines(process.output)[-1])
        times = sorted(result["times"])
        print(f"    {len(times)} connects, median {times[len(times) // 2]:.2f} ms, longest "
              f"{times[-1]:.2f} ms, errors {result['errors']}, mute {result['mute']}", flush=True)
        return times, result["errors"], result["mute"]

    def test_new_connections_pass_on_to_the_successor(self):
        self.start()
        old, new = self.host(self.leader), self.host(self.follower)
        self.pin(self.client, self.vip, old)
        # IPv6 asks for the client as the VIP: a client that never learns would answer the old one.
        self.pin(new, self.address(self.client), self.client)
        times, errors, mute = self.connects(self.client, 2, self.agent(self.leader).failover)
        self.assertEqual([], errors)
        # One may have been accepted by the former leader in its last moment.
        self.assertLessEqual(mute, 1)
        self.assertLess(times[-1], LOST_MS, "a SYN was lost")
        # For as long as somebody's neighbour table is wrong, and the whole of a session.
        self.check_survived(self.sql(self.client))
        self.assertEqual(self.cluster.wait_settled(), new.name)
        states = self.conntrack(old, "-L", "-p", "tcp", "-d", self.vip)
        self.assertNotIn("SYN_SENT", states, "SYNs that passed leave no trace")
        self.assertEqual(0, self.redirects(self.client))

    def redirects(self, host):
        """How often this host was told that somebody else is nearer."""
        if ":" in self.vip:
            text = host.run("cat", "/proc/net/snmp6").stdout
            return int(re.search(r"^Icmp6InRedirects\s+(\d+)", text, re.M)[1])
        names, values = re.findall(r"^Icmp: (.*)", host.run("cat", "/proc/net/snmp").stdout, re.M)
        return int(dict(zip(names.split(), values.split()))["InRedirects"])

    # Resets ---------------------------------------------------------------------------------------

    def reset(self, host, *ways):
        host.run("nft", "-f", "-", stdin="".join(
            f"add element inet hamr reset{self.nft} {{ {way} }}\n" for way in ways))

    def dst(self):
        return f"[{self.vip}]" if ":" in self.vip else self.vip

    def established(self, host):
        """Connections of the server with the VIP."""
        return len(host.run("ss", "-Htn", "state", "established", "dst", self.dst(),
                            "sport", "=", ":3306").stdout.splitlines())

    def test_flows_in_the_set_are_reset_at_both_ends_others_wait(self):
        self.start()
        router = self.host(self.leader)
        chosen, other = self.sql(self.client), self.sql(self.client)
        flows = self.flows(router)
        self.assertEqual(2, len(flows))
        # Its own server's end does not ask: it is told to speak below.
        there, back = flows[0]
        self.reset(router, f"{there['src']} . {there['sport']} . {self.vip} . {RW}",
                   f"{back['src']} . 3306 . {self.vip} . {back['dport']}")
        self.conntrack(router, "-D", "-p", "tcp", "-d", self.vip)
        # One of the two connects again at once, the other one waits.
        self.wait_for(lambda: len(self.flows(router)) == 1, "a new connection", 2)
        self.assertEqual(3, self.established(self.dbhost))
        # New rules keep the elements.
        self.db.set_read_only(True)
        self.wait_for(lambda: f"dport {RW}" not in router.run(
            "nft", "list", "chain", "inet", "hamr", "choose").stdout, "new rules", 3)
        self.db.sql(f"KILL USER {APPLICATION[0]}")
        self.wait_for(lambda: self.established(self.dbhost) == 0, "the server's ends are closed")
        held = self.dbhost.run("ss", "-Htn", "state", "fin-wait-1", "dst", self.dst()
                               ).stdout.splitlines()
        self.assertNotIn(f":{back['dport']} ", " ".join(held) + " ", "its end was reset")
        # Refused attempts count, since there is no primary any more.
        connects = sorted(sql.stop()["connects"] for sql in (chosen, other))
        self.assertEqual(1, connects[0], "the other one still waits for its first answer")
        self.assertGreater(connects[1], 1)

    # Clients and servers on the router hosts ------------------------------------------------------

    def test_clients_on_the_router_hosts(self):
        self.start()
        leader, follower = self.host(self.leader), self.host(self.follower)
        began_there, began_here = self.sql(follower), self.sql(leader)
        if not self.own_source:
            # The kernel makes the VIP itself the source, and such a socket ends with the address.
            self.check_survived(began_here)
        for _ in range(2):
            # To the client's own host, and away from it.
            self.wait_copied()
            self.move_to(self.follower)
            let_pass(HANGS_MS)
        self.check_survived(began_there)
        if self.own_source:
            self.check_survived(began_here)

    def test_a_server_on_a_router_host(self):
        self.start(on_router=True)
        for first in ("router1", "router2"):
            self.move_to(first)
            sqls = [self.sql(self.client), self.sql(self.host(self.follower))]
            own = self.sql(self.host(first))
            if self.own_source:
                sqls.append(own)
            else:
                self.check_survived(own)
            for _ in range(2):
                self.wait_copied()
                self.move_to(self.follower)
                let_pass(HANGS_MS)
            self.check_survived(*sqls)


class Rules6(Rules):
    vip, prefix, nft = "2001:db8::100", 64, "6"
    own_source = False

    def address(self, host):
        return host.ipv6


if __name__ == "__main__":
    main()
