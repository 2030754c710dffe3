#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""labtool load and serve: what they count is what happened to each connection."""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import LabTest, MariaDb, Sql, let_pass, main
from hamrlab.mariadb import APPLICATION
from hamrlab.tools import Tool

COUNT = 200
# Answers as `serve` does, but for one byte.
_WRONG = """
import socket
listener = socket.create_server(("", 3306))
while True:
    connection, _ = listener.accept()
    connection.recv(100)
    connection.sendall(b"\\0" * 200)
"""


class Serve(Tool):
    command = "serve"


class Load(Tool):
    command = "load"


class LoadTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client, self.server = self.lab.host("client", 50), self.lab.host("server", 21)
        self.to = f"{self.server.ipv4}:3306"

    def load(self, **options):
        return Load(self.client, to=self.to, **{"connections": COUNT, "grace_ms": 300, **options})

    def counts(self, result):
        """Alive, hanging, lost; together they are all."""
        alive, hanging = result["alive"], result["hanging"]
        return alive, hanging, result["connections"] - alive - hanging

    def test_answers_are_counted_at_both_ends(self):
        serve = Serve(self.server, port=3306)
        result = self.load(every_us=50_000, duration_ms=500).result()
        self.assertEqual((COUNT, 0, 0), self.counts(result))
        self.assertEqual((0, 0, {}), (result["wrong"], result["retransmissions"],
                                      result["losses"]))
        self.assertGreater(result["requests"], COUNT)
        answered = serve.stop()
        self.assertEqual((COUNT, 0), (answered["accepted"], answered["wrong"]))
        self.assertGreaterEqual(answered["answered"], result["requests"])

    def test_long_answers_and_short_connections(self):
        Serve(self.server, port=3306)
        result = self.load(connections=2, answer=3_000_000, duration_ms=300).result()
        self.assertEqual((0, {}), (result["wrong"], result["losses"]))
        self.assertGreaterEqual(result["bytes"], 3_000_000 * result["requests"])
        result = self.load(connections=4, per_connection=1, duration_ms=300).result()
        self.assertEqual((0, {}), (result["wrong"], result["losses"]))
        self.assertGreater(result["connects"], 4)

    def test_a_network_that_is_cut_and_heals_loses_nobody(self):
        Serve(self.server, port=3306)
        load = self.load(every_us=50_000, grace_ms=5000).wait_event("measuring")
        let_pass(300)
        self.lab.isolate(self.server)
        let_pass(500)
        self.lab.heal()
        result = load.stop()
        self.assertEqual((COUNT, 0, 0), self.counts(result))
        self.assertGreater(result["retransmissions"], 0)
        self.assertGreater(max(result["longest_ms_by_slot"]), 200)

    def test_an_answer_that_is_owed_hangs(self):
        serve = Serve(self.server, port=3306)
        load = self.load(every_us=50_000).wait_event("measuring")
        let_pass(300)
        serve.process.stop()
        let_pass(200)
        self.assertEqual((0, COUNT, 0), self.counts(load.stop()))

    def test_a_server_that_dies_loses_all(self):
        serve = Serve(self.server, port=3306)
        load = self.load(every_us=50_000).wait_event("measuring")
        serve.process.kill()
        result = load.result()
        self.assertEqual((0, 0, COUNT), self.counts(result))
        self.assertEqual(COUNT, sum(result["losses"].values()))
        self.assertLessEqual(set(result["losses"]), {"ECONNRESET", "EPIPE", "EOF"})

    def test_wrong_bytes_are_seen(self):
        server = self.server.spawn("wrong", [sys.executable, "-c", _WRONG])
        self.wait_for(lambda: ":3306" in self.server.run("ss", "-ltn").stdout, "it listens")
        result = self.load(connections=1).result()
        self.assertEqual((1, {"wrong bytes": 1}), (result["wrong"], result["losses"]))
        self.assertTrue(server.running)

    @unittest.skipUnless(shutil.which("mariadbd"), "mariadb-server is not installed")
    def test_a_real_server_and_the_relay_to_it(self):
        database = MariaDb(self.server)
        database.port = 3307
        database.start()
        Serve(self.server, port=3306, relay_from=self.client.ipv4, relay_to="127.0.0.1:3307")
        user, password = APPLICATION
        sql = Sql(self.client, to=self.to, user=user, password=password, timeout_ms=2000)
        self.assertEqual({"21"}, set(sql.wait_event("answered").stop()["answers"]))
        result = self.load(connections=10, duration_ms=300, statement="SELECT REPEAT('x', 100)",
                           user=user, password=password).result()
        self.assertEqual((10, 0, 0), self.counts(result))
        self.assertEqual((0, {}), (result["wrong"], result["losses"]))
        self.assertGreater(result["requests"], 10)


if __name__ == "__main__":
    main()
