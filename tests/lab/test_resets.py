#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections whose server is gone, is not the primary any more or is not configured any more end
at once, at both ends, also those that only wait; all others go on."""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import ClusterTest, MariaDb, let_pass, main, now_ns, replicate, switch_roles
from hamrlab.mariadb import APPLICATION
from hamrlab.tools import Tool, connect_error
from hamrlab.transactions import Transactions
from hamrlab.waiters import Waiters

RW, RO = 6446, 6447
WAITING, ASKING = 200, 20
# Two probes that wait half a second each, and a busy machine.
PATIENCE_MS = 4000
_CONNECT = """
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
"""


class Load(Tool):
    command = "load"


@unittest.skipUnless(shutil.which("mariadbd"), "mariadb-server is not installed")
class Resets(ClusterTest):
    def start(self, count=2, v6=False):
        """A source and its replicas behind the routers; clients may wait as long as they like."""
        self.set_up_hosts()
        self.set_up_hosts = lambda witness=True: None
        hosts = [self.lab.host(f"db{n}", 20 + n) for n in range(1, count + 1)]
        self.dbs = [MariaDb(host).start() for host in hosts]
        replicate(*self.dbs)
        for db in self.dbs:
            db.sql("SET GLOBAL max_connections = 2000; SET GLOBAL max_connect_errors = 100000;"
                   " SET GLOBAL connect_timeout = 3600")
        backends = [f"[{host.ipv6}]:3306" if v6 else f"{host.ipv4}:3306" for host in hosts]
        vip = "2001:db8::100/64" if v6 else "192.0.2.100/24"
        self.start_cluster(backends=backends, vip=vip)
        self.at = f"[{self.cluster.vip}]" if v6 else self.cluster.vip
        for name in ("router1", "router2"):
            self.wait_for(lambda n=name: self.agent(n).status()["router"]["state"] == "serving"
                          and self.demotion(n) == 0, f"{name} serves", 20)
            self.wait_for(lambda n=name: [s["state"] for s in
                                          self.agent(n).status()["flows"]["streams"]]
                          == ["synced"], f"{name}'s stream is synced")
        self.leader, self.follower = self.settled()
        return self.dbs

    def waiters(self, port, count=WAITING):
        return Waiters(self.client, f"{self.at}:{port}", count)

    def load(self, port):
        """Sessions that ask again and again; each byte of the answers is verified."""
        return Load(self.client, to=f"{self.at}:{port}", connections=ASKING, every_us=20_000,
                    grace_ms=1000, statement="SELECT REPEAT('x', 100)", user=APPLICATION[0],
                    password=APPLICATION[1]).wait_event("measuring")

    def went_on(self, load):
        result = load.stop()
        self.assertEqual((ASKING, 0, {}), (result["alive"], result["wrong"], result["losses"]))
        self.assertGreater(result["requests"], ASKING)

    def all_reset(self, waiters, count, since):
        """All of them, within our patience; prints how long the last one took."""
        self.wait_for(lambda: waiters.ended() >= count, f"{count} clients see a reset")
        result = waiters.stop()
        self.assertEqual({"ECONNRESET"}, {end["error"] for end in result["ends"]})
        last = (max(end["ns"] for end in result["ends"]) - since) / 1e6
        print(f"    {count} reset, the last one after {last:.0f} ms", flush=True)
        self.assertLess(last, PATIENCE_MS)
        return result

    def resets_told(self, name=None):
        return [reason for reason in self.reasons(name or self.leader) if " reset: " in reason]

    def sessions(self, db):
        """Of clients that wait."""
        return int(db.sql("SELECT COUNT(*) FROM information_schema.processlist"
                          " WHERE user = 'unauthenticated user'"))

    def own(self, name):
        return self.agent(name).status()["flows"]["own"]

    def check_power_cut_and_demotion(self, v6):
        """The writer is demoted; then the new one loses its power."""
        old, new = self.start(v6=v6)
        waiting, reading = self.waiters(RW), self.load(RO)
        at = now_ns()
        switch_roles(old, new)
        self.all_reset(waiting, WAITING, at)
        self.wait_for(lambda: self.sessions(old) == 0, "the demoted server's sessions have ended")
        self.wait_for(lambda: self.resets_told(), "the history tells")
        self.assertRegex(self.resets_told()[0], f"^{WAITING} connections to .*: not the primary")
        # What read from the secondary goes on, now that it is the primary.
        writing, more = self.waiters(RW), self.load(RO)
        self.assertEqual(WAITING, self.sessions(new))
        at = now_ns()
        self.went_on(reading)
        self.lab.link_down(new.host)
        self.all_reset(writing, WAITING, at)
        self.wait_for(lambda: len(self.resets_told()) == 2, "the history tells")
        self.assertRegex(self.resets_told()[1], f"^{WAITING} connections to .*: down")
        # Those of the other server are as they were.
        self.went_on(more)
        self.assertEqual([], self.resets_told(self.follower), "only the leader acts")
        self.wait_for(lambda: self.own(self.leader) == 0, "none is left")
        self.wait_for(lambda: self.agent(self.follower).status()["flows"]["replicas"] == 0,
                      "nor in the other kernel")
        self.assertEqual(1, self.times_led(self.leader))

    def test_a_demotion_and_a_power_cut(self):
        self.check_power_cut_and_demotion(v6=False)

    def test_a_demotion_and_a_power_cut_ipv6(self):
        self.check_power_cut_and_demotion(v6=True)

    def test_a_secondary_without_power_takes_only_its_own(self):
        self.start(count=3)
        writing, reading = self.waiters(RW, 50), self.waiters(RO, 100)
        self.assertEqual([50, 50, 50], [self.sessions(db) for db in self.dbs])
        at = now_ns()
        self.lab.link_down(self.dbs[2].host)
        # Half of these are given to it, before anybody knows; their next attempt is not.
        late = [self.client.spawn(f"late{n}", [sys.executable, "-c", _CONNECT, self.at, str(RO)])
                for n in range(4)]
        result = self.all_reset(reading, 50, at)
        self.assertEqual((50, 50), (len(result["ends"]), result["open"]))
        result = writing.stop()
        self.assertEqual(([], 50), (result["ends"], result["open"]))
        for client in late:
            self.wait_for(lambda c=client: not c.running, "who came late is connected")
            self.assertEqual(0, client.returncode)

    def test_a_server_that_is_not_configured_any_more(self):
        first, second = self.start()
        writing, reading = self.load(RW), self.waiters(RO)
        for host in (self.r1, self.r2):
            text = host.agent.config.read_text(encoding="utf-8")
            host.agent.config.write_text(text.replace(f", {second.endpoint}", ""),
                                         encoding="utf-8")
        self.agent(self.follower).hamr("restart")
        self.settled()
        self.assertEqual(WAITING, self.sessions(second))
        at = now_ns()
        self.agent(self.leader).hamr("restart")
        self.all_reset(reading, WAITING, at)
        self.wait_for(lambda: self.sessions(second) == 0, "the server knows")
        # Whoever leads after its restart: on a busy machine leadership may have moved for it.
        self.wait_for(lambda: self.resets_told("router1") + self.resets_told("router2"),
                      "the history tells")
        self.assertRegex((self.resets_told("router1") + self.resets_told("router2"))[0],
                         "not configured")
        self.went_on(writing)
        self.assertEqual(0, connect_error(self.client, f"{self.at}:{RO}"))

    def test_a_flow_that_begins_late_ends_too(self):
        """As of a client that was on its way when the rules changed."""
        _, second = self.start()
        host, vip = self.lab.hosts[self.leader], self.cluster.vip

        def entries(backend):
            listed = host.run("conntrack", "-L", "-p", "tcp", "-d", vip, check=False).stdout
            return sum(f"src={backend} dst={vip}" in line for line in listed.splitlines())
        for number, backend in enumerate((second.address, "192.0.2.77")):
            host.run("conntrack", "-I", "-p", "tcp", "-s", "192.0.2.50", "-d", vip,
                     "--sport", str(40000 + number), "--dport", str(RW), "--state", "ESTABLISHED",
                     "-u", "ASSURED,SEEN_REPLY", "-t", "1000", "-g", f"{backend}:3306", "-n", vip)
            self.wait_for(lambda b=backend: any(f" {b}:3306 " in told
                                                for told in self.resets_told()), "it was reset")
            self.assertEqual(0, entries(backend))

    def test_servers_that_nobody_saw_for_a_while_keep_their_connections(self):
        """Both routers are cut off from everything: whoever leads then knows that it has not
        looked yet."""
        first, _ = self.start()
        working = Transactions(self.client, f"{self.at}:{RW}", ASKING)
        waiting, reading = self.waiters(RW, 50), self.waiters(RO, 50)
        self.lab.isolate(self.r1, self.r2)
        let_pass(3000)
        self.assertEqual({"down"}, {b["state"] for b in
                                    self.agent(self.leader).status()["router"]["backends"]})
        self.lab.heal()
        self.leader, self.follower = self.settled()
        self.wait_for(lambda: {b["state"] for b in
                               self.agent(self.leader).status()["router"]["backends"]} == {"up"},
                      "they are up again")
        let_pass(1000)
        self.assertEqual([], self.resets_told("router1") + self.resets_told("router2"))
        result = working.commit()
        self.assertEqual(([], ASKING), (result["errors"], result["committed"]))
        # But what is seen from now on counts.
        at = now_ns()
        self.lab.link_down(first.host)
        self.all_reset(waiting, 50, at)
        result = reading.stop()
        self.assertEqual(([], 50), (result["ends"], result["open"]))


if __name__ == "__main__":
    main()
