#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The embedded router in front of a MariaDB source and its replica."""

import errno
import os
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import (ClusterTest, MariaDb, Sql, footprint, let_pass, main, replicate,
                     switch_roles, wait_for)
from hamrlab.mariadb import APPLICATION

RW, RO = 6446, 6447

_CONNECT = """
import socket, sys
s = socket.socket()
s.settimeout(2)
print(s.connect_ex((sys.argv[1], int(sys.argv[2]))))
"""


class RouterTest(ClusterTest):
    def connect(self, port, address=None):
        """errno of a connection from the client; 0 when it is accepted."""
        done = self.client.run(sys.executable, "-c", _CONNECT, address or self.cluster.vip, port)
        return int(done.stdout)

    def sql(self, port=RW, **options):
        return Sql(self.client, to=f"{self.cluster.vip}:{port}", user=APPLICATION[0],
                   password=APPLICATION[1], **{"timeout_ms": 500, **options})

    def who_serves(self, port):
        """The server_id that answers a new connection, None when nobody does."""
        sql = self.sql(port)
        try:
            self.wait_for(lambda: any(e["event"] == "answered" for e in sql.events()), "a row", 1)
        except Exception:  # pylint: disable=broad-except
            sql.stop()
            return None
        return max(sql.stop()["answers"].items(), key=lambda item: item[1])[0]

    def backends(self, name):
        return {b["address"]: b for b in self.agent(name).status()["router"]["backends"]}

    def router_state(self, name):
        return self.agent(name).status()["router"]["state"]


@unittest.skipUnless(shutil.which("mariadbd"), "mariadb-server is not installed")
class WithMariaDb(RouterTest):
    def setUp(self):
        super().setUp()
        self.db1 = MariaDb(self.lab.host("db1", 21)).start()
        self.db2 = MariaDb(self.lab.host("db2", 22)).start()
        replicate(self.db1, self.db2)
        self.leader, self.follower = self.start_cluster(backends=[self.db1, self.db2])
        for name in (self.leader, self.follower):
            self.wait_for(lambda n=name: self.roles(n) == {"21": "primary", "22": "secondary"}
                          and self.router_state(n) == "serving" and self.demotion(n) == 0,
                          f"{name} serves")
        self.leader, self.follower = self.settled()

    def roles(self, name):
        return {a.split(":")[0].rsplit(".", 1)[1]: b["role"]
                for a, b in self.backends(name).items() if b["state"] == "up"}

    def test_routes_lead_to_the_role_and_follow_it(self):
        self.assertEqual(("21", "22"), (self.who_serves(RW), self.who_serves(RO)))
        address = self.sql(RW, query="SELECT SUBSTRING_INDEX(USER(), '@', -1)",
                           duration_ms=200).result()["answers"]
        self.assertEqual([self.cluster.vip], list(address), "servers see the VIP")
        switch_roles(self.db1, self.db2)
        self.wait_for(lambda: self.who_serves(RW) == "22", "rw follows the primary")
        self.wait_for(lambda: self.who_serves(RO) == "21", "ro follows the secondary")
        self.assertEqual(1, self.times_led(self.leader))
        # Both routers have seen it: it stays so after a handover.
        self.agent(self.leader).failover()
        self.assertEqual(("22", "21"), (self.who_serves(RW), self.who_serves(RO)))

    def test_without_a_secondary_ro_falls_back_to_the_primary(self):
        self.db2.kill()
        self.wait_for(lambda: self.who_serves(RO) == "21", "ro falls back")
        self.assertEqual("21", self.who_serves(RW))
        self.db2.start(read_only=True)
        self.wait_for(lambda: self.who_serves(RO) == "22", "and returns")

    def test_without_a_source_rw_is_refused_at_once_and_nobody_moves(self):
        term = self.term(self.leader)
        self.db1.kill()
        self.wait_for(lambda: self.connect(RW) == errno.ECONNREFUSED, "rw is refused")
        self.assertEqual("22", self.who_serves(RO))
        for name in (self.leader, self.follower):
            self.wait_for(lambda n=name: self.demotion(n) > 0, f"{name} is demoted")
            self.assertNotEqual("serving", self.router_state(name))
        # The replica goes too: all are as sick as before.
        self.db2.kill()
        self.wait_for(lambda: self.connect(RO) == errno.ECONNREFUSED, "ro is refused")
        let_pass(1500)
        self.assertEqual((self.leader, self.follower), self.settled())
        self.assertEqual((1, term), (self.times_led(self.leader), self.term(self.leader)))
        self.db1.start()
        self.wait_for(lambda: self.who_serves(RW) == "21", "rw serves again")
        self.wait_for(lambda: self.demotion(self.leader) == 0, "healthy again")

    def test_a_router_that_alone_loses_the_servers_gives_up_the_lead(self):
        host = self.lab.hosts[self.leader]
        for db in (self.db1, self.db2):
            host.ip("route", "add", "blackhole", f"{db.address}/32")
        self.wait_leads(self.follower)
        self.assertEqual("21", self.who_serves(RW))
        self.assertGreater(self.demotion(self.leader), 0)
        self.assertIn(f"handover to {self.follower}",
                      self.reasons(self.leader, self.leader, "follower")[-1])
        for db in (self.db1, self.db2):
            host.ip("route", "del", "blackhole", f"{db.address}/32")
        self.wait_for(lambda: self.demotion(self.leader) == 0, "it is healthy again")
        self.assertEqual((self.follower, self.leader), self.settled())
        self.assertEqual(1, self.times_led(self.follower))

    def test_queries_go_on_after_takeover_and_handover(self):
        sql = self.sql(timeout_ms=100).wait_event("answered")
        self.agent(self.leader).failover()
        self.assertEqual((self.follower, self.leader), self.settled())
        self.lab.isolate(self.lab.hosts[self.follower])
        self.wait_leads(self.leader)
        self.wait_for(lambda: self.who_serves(RW) == "21", "queries through the new leader")
        let_pass(300)
        result = sql.stop()
        self.assertFalse(result["open_ended"])
        self.assertEqual(["21"], list(result["answers"]))

    def test_queries_go_on_when_the_agent_is_killed(self):
        sql = self.sql(timeout_ms=100).wait_event("answered")
        self.agent(self.leader).kill()
        self.wait_leads(self.follower)
        self.wait_for(lambda: self.who_serves(RW) == "21", "queries through the new leader")
        let_pass(300)
        self.assertFalse(sql.stop()["open_ended"])

    def test_two_writable_servers_are_a_warning_and_one_primary(self):
        self.db2.set_read_only(False)
        self.wait_for(lambda: "two writable" in " ".join(
            w["what"] for w in self.agent(self.leader).status()["warnings"]), "the warning")
        self.assertEqual("21", self.who_serves(RW))

    def test_a_monitor_that_may_not_log_in_says_so(self):
        self.db1.sql("SET PASSWORD FOR hamr = PASSWORD('another'); KILL USER hamr;")
        self.wait_for(lambda: "Access denied" in " ".join(
            w["what"] for w in self.agent(self.leader).status()["warnings"]), "the warning")
        self.assertNotIn("monitor-secret", self.agent(self.leader).hamr("status").stdout)


class Settings(RouterTest):
    def test_settings_are_recorded_changed_and_restored(self):
        self.make_cluster(backends=["192.0.2.21:3306"])
        for host in (self.r1, self.r2):
            host.sysctl("net.ipv4.conf.eth0.send_redirects", 1)
        before = footprint(self.r1)["settings"]
        self.cluster.start()
        self.settled()
        for name, value in (("ipv4.conf.eth0.send_redirects", "0"),
                            ("ipv4.conf.all.send_redirects", "0"),
                            ("ipv4.conf.eth0.arp_announce", "2"),
                            ("ipv4.conf.eth0.forwarding", "1"),
                            ("netfilter.nf_conntrack_events", "1")):
            wait_for(lambda n=name, v=value: self.r1.sysctl("net." + n) == v, f"{name} = {value}")
        self.assertTrue(pathlib.Path(self.r1.dir, "hamrd.sysctls").exists())
        self.agent("router1").kill()
        self.agent("router1").start().wait_ready()
        wait_for(lambda: self.r1.sysctl("net.ipv4.conf.eth0.forwarding") == "1", "set again")
        self.assertEqual(0, self.agent("router1").terminate())
        self.assertEqual(before, footprint(self.r1)["settings"])

    def test_forwarding_serves_our_flows_only(self):
        self.start_cluster(backends=["192.0.2.21:3306"])
        wait_for(lambda: self.r1.sysctl("net.ipv4.conf.eth0.forwarding") == "1", "it forwards")
        self.client.ip("route", "add", "198.51.100.0/24", "via", self.r1.ipv4)
        self.r1.ip("route", "add", "198.51.100.0/24", "via", self.observer.ipv4)
        self.observer.ip("addr", "add", "198.51.100.51/24", "dev", "lo")
        self.assertNotEqual(errno.ECONNREFUSED, self.connect(9, "198.51.100.51"), "it was routed")
        # Without our rules it is: the way there is a true one.
        self.agent("router1").terminate()
        self.r1.sysctl("net.ipv4.conf.eth0.forwarding", 1)
        self.assertEqual(errno.ECONNREFUSED, self.connect(9, "198.51.100.51"))

    def test_what_nobody_serves_does_not_go_round(self):
        self.start_cluster(backends=["192.0.2.21:3306"])
        vip = self.cluster.vip
        routers = (self.r1, self.r2)
        for router in routers:
            self.agent(router.name).kill()
            if router.has_address(vip):
                router.ip("addr", "del", f"{vip}/24", "dev", "eth0")
        for host, knows in ((self.client, self.r1), (self.r1, self.r2), (self.r2, self.r1)):
            host.ip("neigh", "replace", vip, "lladdr", knows.mac, "dev", "eth0", "nud",
                    "permanent")
        before = sum(map(self.passed_on, routers))
        self.assertNotEqual(0, self.connect(RW))
        passed_on = sum(map(self.passed_on, routers)) - before
        self.assertTrue(2 <= passed_on <= 12, f"two SYNs made {passed_on} packets")

    def passed_on(self, host):
        """How many IPv4 packets this host has forwarded."""
        names, values = [line.split() for line in
                         host.run("cat", "/proc/net/snmp").stdout.splitlines()[:2]]
        return int(values[names.index("ForwDatagrams")])

    def test_kind_none_is_an_address_with_nothing_behind_it(self):
        self.make_cluster()
        before = footprint(self.r1)
        self.cluster.start()
        leader, other = self.settled()
        for port in (RW, RO, 3306):
            self.assertEqual(errno.ECONNREFUSED, self.connect(port))
        now = footprint(self.r1)
        self.assertEqual(before["rules"], now["rules"])
        # The address is no source for ARP; nothing else is changed.
        self.assertEqual([s for s in before["settings"] if "arp_announce" not in s],
                         [s for s in now["settings"] if "arp_announce" not in s])
        status = self.agent(leader).status()["router"]
        self.assertEqual(("none", "off", []), (status["kind"], status["state"], status["backends"]))


if __name__ == "__main__":
    main()
