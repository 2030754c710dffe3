#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A database server is taken out of service: nothing new goes to it, nothing is cut, on whichever
router leads, until it is taken back."""

import errno
import json
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import ClusterTest, MariaDb, Sql, let_pass, main, replicate
from hamrlab.mariadb import APPLICATION
from hamrlab.tools import connect_error

RW, RO = 6446, 6447
COUNT = 8


@unittest.skipUnless(shutil.which("mariadbd"), "mariadb-server is not installed")
class BackendDrain(ClusterTest):
    def setUp(self):
        super().setUp()
        self.db1 = MariaDb(self.lab.host("db1", 21)).start()
        self.db2 = MariaDb(self.lab.host("db2", 22)).start()
        replicate(self.db1, self.db2)
        self.leader, self.follower = self.start_cluster(backends=[self.db1, self.db2])
        for name in (self.leader, self.follower):
            self.serves(name)
        self.leader, self.follower = self.settled()

    def serves(self, name):
        self.wait_for(lambda: self.router(name)["state"] == "serving"
                      and self.demotion(name) == 0, f"{name} serves")
        self.wait_for(lambda: [s["state"] for s in self.agent(name).status()["flows"]["streams"]]
                      == ["synced"], f"{name}'s stream is synced")

    def router(self, name):
        return self.agent(name).status()["router"]

    def backend(self, name, db):
        return next(b for b in self.router(name)["backends"] if b["address"] == db.endpoint)

    def order(self, name, what, db, *options, check=True):
        address = db if isinstance(db, str) else db.endpoint
        return self.agent(name).hamr("backend", what, address, *options, check=check)

    def sql(self, port, **options):
        return Sql(self.client, to=f"{self.cluster.vip}:{port}", user=APPLICATION[0],
                   password=APPLICATION[1], **{"timeout_ms": 500, **options})

    def old_ones(self, count=COUNT):
        """Connections through the read-only route that ask and ask."""
        clients = [self.sql(RO, mode="persistent", timeout_ms=5000, interval_us=5000)
                   for _ in range(count)]
        for client in clients:
            client.wait_event("answered")
        for name in (self.leader, self.follower):
            self.wait_for(lambda n=name: self.backend(n, self.db2)["flows"] == count,
                          f"{name} knows of all {count} connections")
        return clients

    def check_unharmed(self, clients, server="22"):
        for client in clients:
            result = client.stop()
            self.assertEqual(([server], 1, 0), (list(result["answers"]), result["connects"],
                                                result["failed"]), result["errors"])

    def who_serves(self, port, times=6):
        """The servers that answer as many new connections."""
        served = set()
        for _ in range(times):
            served |= set(self.sql(port, mode="connect", duration_ms=30).result()["answers"])
        return served

    def check_drained(self):
        for name in (self.leader, self.follower):
            backend = self.backend(name, self.db2)
            self.assertEqual(("draining", True), (backend["state"], backend["draining"]), name)
        self.assertEqual({"21"}, self.who_serves(RO))

    def test_a_secondary_under_load_is_drained_and_taken_back(self):
        self.assertEqual({"22"}, self.who_serves(RO))
        clients = self.old_ones()
        # On the follower: any node will do.
        said = self.order(self.follower, "drain", self.db2).stdout
        self.assertIn(f"{self.db2.endpoint} is draining: nothing new is given to it, {COUNT} "
                      "connections", said.replace("\n", " "))
        self.assertIn(f"confirmed by {self.leader}\n", said)
        self.check_drained()
        self.assertIn(f"{COUNT} connections left", self.agent(self.leader).hamr("status").stdout)
        again = json.loads(self.order(self.leader, "drain", self.db2, "--json").stdout)
        self.assertIn("was draining already", again["message"])
        self.assertEqual(([self.follower], []), (again["confirmed"], again["notes"]))
        waited = self.order(self.leader, "drain", self.db2, "--wait=300ms", check=False)
        self.assertEqual(1, waited.returncode)
        self.assertIn(f"{COUNT} connections left after 300 ms", waited.stderr)

        # A failover keeps it, and the old connections.
        self.agent(self.leader).failover()
        self.leader, self.follower = self.settled()
        self.check_drained()
        let_pass(300)
        self.check_unharmed(clients)
        done = self.order(self.leader, "drain", self.db2, "--wait")
        self.assertIn("no connection is left: the server can be stopped\n", done.stdout)

        said = self.order(self.follower, "undrain", self.db2).stdout
        self.assertIn(f"{self.db2.endpoint} is used again\nconfirmed by {self.leader}\n", said)
        self.assertEqual({"22"}, self.who_serves(RO))
        for name in (self.leader, self.follower):
            self.assertEqual("up", self.backend(name, self.db2)["state"])
            self.assertIn(f"backend {self.db2.endpoint} is used again", " ".join(
                self.reasons(name)))
        self.assertEqual(1, self.times_led(self.leader))

    def test_it_outlives_the_agents(self):
        clients = self.old_ones(2)
        self.order(self.leader, "drain", self.db2)
        # In place, then killed, then both at once.
        self.agent(self.leader).hamr("restart")
        self.leader, self.follower = self.settled()
        self.serves_drained()
        self.agent(self.leader).kill()
        self.wait_leads(self.follower)
        self.assertEqual({"21"}, self.who_serves(RO))
        self.agent(self.leader).start().wait_ready()
        self.leader, self.follower = self.settled()
        self.serves_drained()
        self.check_unharmed(clients)
        for name in (self.leader, self.follower):
            self.agent(name).kill()
        for name in (self.leader, self.follower):
            self.agent(name).start()
        for name in (self.leader, self.follower):
            self.agent(name).wait_ready()
        self.leader, self.follower = self.settled()
        self.serves_drained()
        self.assertIn("drained since before this start", " ".join(self.reasons(self.leader)))

    def serves_drained(self):
        for name in (self.leader, self.follower):
            self.wait_for(lambda n=name: self.backend(n, self.db2)["state"] == "draining"
                          and self.demotion(n) == 0, f"{name} drains the backend")
        self.wait_for(lambda: connect_error(self.client, f"{self.cluster.vip}:{RO}") == 0,
                      "it serves")
        self.check_drained()

    def test_a_router_that_was_down_learns_it(self):
        self.agent(self.follower).kill()
        self.wait_for(lambda: self.agent(self.leader).status()["flows"]["streams"][0]["state"]
                      != "synced", "the stream ends")
        said = self.order(self.leader, "drain", self.db2).stdout.replace("\n  ", " ")
        self.assertIn(f"- {self.follower} is not connected: it will hear of it when it is back\n",
                      said)
        self.agent(self.follower).start().wait_ready()
        self.settled()
        self.wait_for(lambda: self.backend(self.follower, self.db2)["draining"], "it has heard")
        self.agent(self.leader).kill()
        self.wait_leads(self.follower)
        self.assertEqual({"21"}, self.who_serves(RO))
        # And that it is taken back, while the other is away.
        self.order(self.follower, "undrain", self.db2)
        self.agent(self.leader).start().wait_ready()
        self.settled()
        self.wait_for(lambda: not self.backend(self.leader, self.db2)["draining"], "it has heard")

    def test_the_last_backend_of_a_route(self):
        term = self.term(self.leader)
        said = self.order(self.leader, "drain", "192.0.2.21").stdout.replace("\n  ", " ")
        self.assertIn("- route rw leads nowhere now, new connections to it are reset: `hamr "
                      f"backend undrain {self.db1.endpoint}`, or give its role to another server",
                      said)
        self.assertEqual(errno.ECONNREFUSED,
                         connect_error(self.client, f"{self.cluster.vip}:{RW}"))
        self.assertEqual({"22"}, self.who_serves(RO))
        let_pass(1500)
        status = self.agent(self.leader).status()
        self.assertEqual("degraded", status["router"]["state"])
        self.assertIn("route rw leads nowhere", " ".join(w["what"] for w in status["warnings"]))
        self.assertEqual(0, self.demotion(self.leader), "it is the same on every host")
        self.assertEqual((term, 1), (self.term(self.leader), self.times_led(self.leader)))
        self.order(self.follower, "undrain", self.db1)
        self.assertEqual({"21"}, self.who_serves(RW))

    def test_what_is_refused(self):
        unknown = self.order(self.leader, "drain", "192.0.2.29", check=False)
        self.assertEqual(1, unknown.returncode)
        self.assertIn('unknown backend "192.0.2.29"; backends of this cluster are: '
                      f"{self.db1.endpoint}, {self.db2.endpoint}", unknown.stderr)
        witness = self.order("witness1", "drain", self.db1, check=False)
        self.assertEqual(1, witness.returncode)
        self.assertIn("this node, witness1, is a witness", witness.stderr)
        self.assertIn("was not drained", self.order(self.leader, "undrain", self.db1).stdout)


class OtherRouters(ClusterTest):
    def test_a_supervised_router_has_its_own_tools(self):
        self.start_cluster(router={"kind": "command", "command": ["/bin/sleep", "1000"]})
        refused = self.agent("router1").hamr("backend", "drain", "192.0.2.21", check=False)
        self.assertEqual(1, refused.returncode)
        self.assertIn("router command routes by itself", refused.stderr)
        self.assertIn("use its own tools", refused.stderr)


if __name__ == "__main__":
    main()
