# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benches of data paths share: the load and its server, routers to compare with, and how
long the machine's processors were busy."""

import os
import time

from hamrlab import run
from hamrlab.load import Load, Serve, WatchedServe

__all__ = ["PASSTHROUGH_PORT", "PORT", "Busy", "Load", "Serve", "WatchedServe", "haproxy_config",
           "many_ports", "mysqlrouter_config", "pids_of"]

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
