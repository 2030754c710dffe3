# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that is lost while clients wait for it: HAMR's embedded router, and HAProxy with
`on-marked-down shutdown-sessions`, both asking every half second, twice before silence counts."""

import sys
import time

from hamrlab import Cluster, Lab, LabError, MariaDb, haproxy, now_ns, replicate, wait_for
from hamrlab.waiters import Waiters

PORT = 6446
FAULTS = {"server's power cut": "the server's link goes down",
          "server demoted": "it becomes read-only, and its replica the primary"}
# HAProxy knows no roles: as usual, a small program beside each server tells whether it is writable.
_HAPROXY = """global
    maxconn {most}
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout check 500ms
listen writer
    bind *:{port}
    option httpchk
    default-server check port 9200 inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
    server db1 {servers[0]}
    server db2 {servers[1]}
"""
_TELLER = """
import http.server, os, sys
class Teller(http.server.BaseHTTPRequestHandler):
    def do_OPTIONS(self):
        self.send_response(200 if os.path.exists(sys.argv[1]) else 503)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 9200), Teller).serve_forever()
"""


class Servers:
    """A source and its replica, and what tells HAProxy which is which."""

    def __init__(self, lab, clients):
        self.all = [MariaDb(lab.host(f"db{n}", 20 + n)).start() for n in (1, 2)]
        replicate(*self.all)
        for db in self.all:
            db.sql(f"SET GLOBAL max_connections = {clients + 500};"
                   " SET GLOBAL max_connect_errors = 1000000; SET GLOBAL connect_timeout = 3600")
            db.host.spawn("teller", [sys.executable, "-c", _TELLER, db.host.dir / "writable"])
        self.writable(self.all[0], True)

    @staticmethod
    def writable(db, on):
        file = db.host.dir / "writable"
        if on:
            file.touch()
        else:
            file.unlink()

    def inflict(self, fault, lab):
        """When it happened, in nanoseconds."""
        old, new = self.all
        if fault == "server's power cut":
            at = now_ns()
            lab.link_down(old.host)
            return at
        new.sql("STOP SLAVE; RESET SLAVE ALL")
        at = now_ns()
        old.set_read_only(True)
        self.writable(old, False)
        new.set_read_only(False)
        self.writable(new, True)
        return at


class Embedded:
    def __init__(self, lab, servers, _clients):
        routers = [lab.host("router1", 11), lab.host("router2", 12)]
        self.cluster = Cluster(lab, routers, [lab.host("witness1", 13)], interval="10ms", misses=3,
                               quorum="majority", name="bench", backends=servers.all)
        self.cluster.config["router"]["monitor"]["interval"] = "500ms"
        self.to = f"{self.cluster.vip}:{PORT}"

    def start(self):
        agents = self.cluster.start()
        for name in ("router1", "router2"):
            wait_for(lambda n=name: agents[n].status()["router"]["state"] == "serving",
                     f"{name} serves", 20)
        self.cluster.wait_settled()


class Haproxy:
    def __init__(self, lab, servers, clients):
        self.host = lab.host("router1", 11)
        self.config = self.host.dir / "haproxy.cfg"
        self.config.write_text(
            _HAPROXY.format(most=clients + 200, port=PORT,
                            servers=[db.endpoint for db in servers.all]), encoding="utf-8")
        self.to = f"{self.host.ipv4}:{PORT}"

    def start(self):
        self.host.spawn("haproxy", ["haproxy", "-db", "-f", self.config])
        time.sleep(2)  # both have been asked


CONTENDERS = {"haproxy, every 500 ms": Haproxy, "hamr embedded, every 500 ms": Embedded}


def missing():
    return haproxy.missing()


def one_round(fault, make, options, draw):
    with Lab() as lab:
        client, servers = lab.host("client", 50), Servers(lab, options.clients)
        contender = make(lab, servers, options.clients)
        contender.start()
        clients = Waiters(client, contender.to, options.clients)
        time.sleep(0.5 + draw.random() * 0.5)
        at = servers.inflict(fault, lab)
        try:
            wait_for(lambda: clients.ended() == options.clients, "all know", options.cap)
        except LabError:
            pass
        result = clients.stop()
        return {"hang": result["open"], "errors": sorted({end["error"] for end in result["ends"]}),
                "reset_ms": sorted(round((end["ns"] - at) / 1e6, 3) for end in result["ends"])}
