# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is compared in the routing bench. All of a part run at the same time, each on a host of its
own, and lead to the same server; only one is under load at a time."""

import re

from hamrlab import Cluster, LabError, Sql, mysql9, run, wait_for
from hamrlab.mariadb import APPLICATION
from loadtools import (PASSTHROUGH_PORT, PORT, WatchedServe, haproxy_config, many_ports,
                       mysqlrouter_config)

VIP = "192.0.2.100"
DIRECT, EMBEDDED, HAPROXY = "direct", "embedded", "haproxy"
TERMINATING, PASSTHROUGH = "mysqlrouter", "mysqlrouter passthrough"
# 100 bytes on the wire, and 200 of answer in five packets.
STATEMENT = "SELECT REPEAT('v', 140) AS answer".ljust(94) + ";"
BULK_STATEMENT = "SELECT REPEAT('v', 8000000) AS answer"


class _Part:
    """Hosts, a cluster of two routers and a witness, HAProxy; `ways` is where each one listens."""

    def __init__(self, lab):
        self.lab = lab
        self.client, self.database = lab.host("client", 50), lab.host("db1", 21)
        self.routers = [lab.host("router1", 11), lab.host("router2", 12)]
        self.haproxy = lab.host("haproxy", 31)
        self.witness = lab.host("witness1", 13)
        many_ports(self.client, self.database, self.haproxy, *self.routers)
        self.target = f"{self.database.ipv4}:3306"
        self.start_server()
        self.cluster = Cluster(lab, self.routers, [self.witness], interval="20ms", misses=5,
                               quorum="majority", backends=[self.target], name="bench")
        self.haproxy.spawn("haproxy", ["haproxy", "-db", "-f",
                                       haproxy_config(self.haproxy, self.target)])
        self.ways = {DIRECT: self.target, EMBEDDED: f"{VIP}:{PORT}",
                     HAPROXY: f"{self.haproxy.ipv4}:{PORT}"}

    def start_server(self):
        raise NotImplementedError

    def start(self):
        self.cluster.start()
        agents = self.cluster.agents

        def serving():
            return all(agents[h.name].status()["router"]["state"] == "serving"
                       for h in self.routers)
        wait_for(serving, "both routers serve", 30, lab=self.lab)
        self.cluster.wait_settled()
        return self


class BytesPart(_Part):
    """labtool's server, which costs as little as a server can."""

    name = "bytes"
    request: dict = {}
    bulk: dict = {"answer": 64 << 20}

    def start_server(self):
        self.served = WatchedServe(self.database, self.routers)


class SqlPart(_Part):
    """A real server, MySQL 9, and with it MySQL Router, which speaks nothing but MySQL."""

    name = "sql"
    account = {"user": APPLICATION[0], "password": APPLICATION[1]}
    request = {"statement": STATEMENT, **account}
    bulk = {"statement": BULK_STATEMENT, **account}

    def start_server(self):
        self.served = mysql9.Mysql9(self.database, options=["--max-connections=2000"])
        self.served.start().wait_ready()

    def start(self):
        super().start()
        host = self.lab.host("mysqlrouter", 32)
        many_ports(host)
        router = host.spawn("mysqlrouter", [mysql9.program("mysqlrouter"), "-c",
                                            mysqlrouter_config(host, self.target)])
        self.ways |= {TERMINATING: f"{host.ipv4}:{PORT}",
                      PASSTHROUGH: f"{host.ipv4}:{PASSTHROUGH_PORT}"}
        for way in self.ways.values():
            # The first login of an account takes longer: the server has to learn its password.
            Sql(self.client, to=way, timeout_ms=5000, **self.account).wait_event(
                "answered", 30).stop()
        if not router.running:
            raise LabError("mysqlrouter ended")
        return self


def versions():
    """The programs that are compared."""
    found = {"haproxy": run(["haproxy", "-v"]).stdout.split()[2]}
    if mysql9.missing() is None:
        told = run([mysql9.program("mysqlrouter"), "--version"]).stdout
        found["mysqlrouter"] = re.search(r"Ver (\S+)", told)[1]
        found["mysql"] = mysql9.version()
    return found
