#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's real servers and routers do what is known of them, without any agent."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import (LabTest, MariaDb, Sql, connect_error, galera, haproxy, innodb_cluster, main,
                     mysql9, program, run, wait_for)
from hamrlab.core import ROOT
from hamrlab.mariadb import APPLICATION

ACCOUNT = {"user": APPLICATION[0], "password": APPLICATION[1]}


class ServersTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.lab.host("client", 50)

    def databases(self):
        return [self.lab.host(f"db{number}", 20 + number) for number in (1, 2, 3)]

    def who_answers(self, target, timeout=10):
        sql = Sql(self.client, to=target, timeout_ms=1000, **ACCOUNT)
        sql.wait_event("answered", timeout)
        return list(sql.stop()["answers"])


class Examples(unittest.TestCase):
    def test_every_example_is_a_good_configuration(self):
        files = sorted((ROOT / "deploy" / "examples").glob("*/hamr.yaml"))
        self.assertEqual(5, len(files))
        for file in files:
            with self.subTest(file.parent.name):
                self.assertIn("good", run([program("hamr"), "check", file]).stdout)


class WithMySql9(ServersTest):
    @classmethod
    def setUpClass(cls):
        if reason := mysql9.missing():
            raise unittest.SkipTest(reason)

    def test_group_replication_and_a_bootstrapped_router(self):
        cluster = innodb_cluster.InnodbCluster(self.databases()).start()
        self.assertEqual("db1", cluster.primary().host.name)
        host = self.lab.host("router1", 11)
        config = cluster.bootstrap_router(host, host.dir / "router")
        router = host.spawn("mysqlrouter", [mysql9.program("mysqlrouter"), "-c", config])
        rw, ro = f"{host.ipv4}:6446", f"{host.ipv4}:6447"
        self.assertEqual(["21"], self.who_answers(rw))
        self.assertLessEqual(set(self.who_answers(ro)), {"22", "23"})

        cluster.server("db1").kill()
        self.wait_for(lambda: connect_error(self.client, rw), "the port closes without a primary")
        primary = cluster.wait_primary()
        self.wait_for(lambda: not connect_error(self.client, rw), "the port opens again", 20)
        self.assertEqual([str(primary.server_id)], self.who_answers(rw))
        with open(f"/proc/{router.pid}/comm", encoding="ascii") as file:
            self.assertEqual("mysqlrouter", file.read().strip())
        self.assertEqual(0, router.terminate())


class WithGalera(ServersTest):
    @classmethod
    def setUpClass(cls):
        if reason := galera.missing() or haproxy.missing():
            raise unittest.SkipTest(reason)

    def check(self, node):
        """The status that clustercheck answers with."""
        code = ("import sys, urllib.request, urllib.error\n"
                "try: print(urllib.request.urlopen(sys.argv[1], timeout=5).status)\n"
                "except urllib.error.HTTPError as error: print(error.code)")
        url = f"http://{node.address}:{galera.CHECK_PORT}/"
        return int(self.client.run(sys.executable, "-c", code, url).stdout)

    def test_three_nodes_and_clustercheck(self):
        cluster = galera.GaleraCluster(self.databases()).start()
        self.assertEqual([200, 200, 200], [self.check(node) for node in cluster.nodes])
        cluster.node("db2").sql("INSERT INTO shop.orders (note) VALUES ('everywhere')")
        for node in cluster.nodes:
            self.wait_for(lambda n=node: n.sql("SELECT note FROM shop.orders") == "everywhere",
                          f"{node.host.name} has the row")
        cluster.node("db1").kill()
        self.assertEqual(503, self.check(cluster.node("db1")))
        self.lab.isolate(cluster.node("db2").host)
        wait_for(lambda: self.check(cluster.node("db3")) == 503, "no quorum, no service", 20)


class WithHaproxy(ServersTest):
    @classmethod
    def setUpClass(cls):
        if reason := haproxy.missing():
            raise unittest.SkipTest(reason)

    def test_an_open_port_without_a_server(self):
        server = MariaDb(self.lab.host("db1", 21)).start()
        router = haproxy.Haproxy(self.lab.host("router1", 11),
                                 {"write": ("*:3306", [server.endpoint])}).start()
        self.assertEqual(["21"], self.who_answers("192.0.2.11:3306"))
        self.assertEqual("UP", router.servers()[("write", "s1")])
        self.assertIn("HAProxy", json.dumps(haproxy.ask(router.socket, "show info")))
        server.kill()
        self.wait_for(lambda: router.servers()[("write", "s1")] == "DOWN", "it is seen")
        self.assertEqual(0, connect_error(self.client, "192.0.2.11:3306"))


if __name__ == "__main__":
    main()
