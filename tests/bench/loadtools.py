# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benches of data paths share: the load and its server, routers to compare with, and how
long the machine's processors were busy."""

import os
import time

from hamrlab import MariaDb, run
from hamrlab.tools import Tool

# The ports that HAMR's routes and MySQL Router have by themselves.
PORT, PASSTHROUGH_PORT = 6446, 6447
_HAPROXY = """global
    nbthread 1
    maxconn {most}
    stats socket {dir}/haproxy.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen database
    bind *:{port}
    server s1 {target} check
"""
_MYSQLROUTER = """[DEFAULT]
plugin_folder={plugins}
logging_folder=
max_total_connections=4000
[logger]
level=WARNING
sinks=consolelog
[routing:terminating]
bind_address=0.0.0.0
bind_port={port}
destinations={target}
routing_strategy=first-available
protocol=classic
max_connections=2000
client_ssl_mode=DISABLED
server_ssl_mode=DISABLED
[routing:passthrough]
bind_address=0.0.0.0
bind_port={passthrough}
destinations={target}
routing_strategy=first-available
protocol=classic
max_connections=2000
client_ssl_mode=PASSTHROUGH
server_ssl_mode=AS_CLIENT
"""


class Serve(Tool):
    """Serve(host, port=3306, relay_from=[…], relay_to="127.0.0.1:3307"): answers a Load."""

    command = "serve"


class Load(Tool):
    """Load(client, to="192.0.2.100:6446", connections=64, duration_ms=4000)."""

    command = "load"


class WatchedServe:
    """A Serve on port 3306 of a host, behind which a router that watches its backends finds a real
    MariaDB: connections from the routers' own addresses are relayed to it."""

    def __init__(self, host, routers):
        self.database = MariaDb(host)
        self.database.port = 3307
        self.database.start()
        self.endpoint = f"{host.ipv4}:3306"
        self.serve = Serve(host, port=3306, relay_from=[router.ipv4 for router in routers],
                           relay_to="127.0.0.1:3307")


def haproxy_config(host, target, most=4000):
    """HAProxy in TCP mode with one thread, on PORT of every address; the path of its file."""
    file = host.dir / "haproxy.cfg"
    file.write_text(_HAPROXY.format(most=most, dir=host.dir, port=PORT, target=target),
                    encoding="ascii")
    return file


def mysqlrouter_config(host, target):
    """MySQL Router with a terminating route on PORT and one that passes through."""
    from hamrlab.innodb_cluster import plugin_folder
    file = host.dir / "mysqlrouter.conf"
    file.write_text(_MYSQLROUTER.format(plugins=plugin_folder(), target=target, port=PORT,
                                        passthrough=PASSTHROUGH_PORT), encoding="ascii")
    return file


def many_ports(*hosts):
    """Room for thousands of connections a second: what every manual for a busy proxy says."""
    for host in hosts:
        host.sysctl("net.ipv4.ip_local_port_range", "10240 65535")
        host.sysctl("net.ipv4.tcp_tw_reuse", 1)


def pids_of(host):
    return [int(pid) for pid in run(["ip", "netns", "pids", host.namespace]).stdout.split()]


class Busy:
    """How long the processors of the whole machine were not idle, in microseconds, interrupts and
    the kernel's own work included. The kernel measures idle time exactly (it stops its tick for
    it) and tells it in hundredths of a second."""

    def __init__(self):
        self._began, self._idle = time.monotonic(), _idle_seconds()

    def microseconds(self):
        elapsed = time.monotonic() - self._began
        return 1e6 * (elapsed * os.cpu_count() - (_idle_seconds() - self._idle))


def _idle_seconds():
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()
    # user nice system idle iowait …
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
