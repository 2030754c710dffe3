# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of connections, and what answers them."""

from .mariadb import MariaDb
from .tools import Tool


class Serve(Tool):
    """Serve(host, port=3306, relay_from=[…], relay_to="127.0.0.1:3307"): answers a Load. With
    shared=True several of them share a port, since each has room for some 20,000 connections."""

    command = "serve"


class Load(Tool):
    """Load(client, to="192.0.2.100:6446", connections=64, duration_ms=4000)."""

    command = "load"


class WatchedServe:
    """A Serve on port 3306 of a host, behind which a router that watches its backends finds a real
    MariaDB: connections from the routers' own addresses are relayed to it."""

    def __init__(self, host, routers, processes=1):
        self.database = MariaDb(host)
        self.database.port = 3307
        self.database.start()
        self.endpoint = f"{host.ipv4}:3306"
        self.serves = [Serve(host, port=3306, relay_from=[router.ipv4 for router in routers],
                             relay_to="127.0.0.1:3307", shared=processes > 1)
                       for _ in range(processes)]
        self.serve = self.serves[0]
