# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts made of network namespaces, and what runs on them: see tests/lab/README.md."""

from .agent import Agent, Cluster
from .cache import Unavailable, cache_dir, cached
from .case import LabTest, main
from .core import LabError, dump, have_program, now_ns, program, run, wait_for
from .examples import ExampleCluster
from .keepalived import Keepalived
from .mariadb import MariaDb, replicate, switch_roles
from .net import Host, Lab, sweep
from .process import Process
from .standard import LATE_NS, ClusterTest, footprint, let_pass
from .tools import (Arping, Capture, FrameCapture, Probe, Sql, Stalls, Sweep, answerers,
                    connect_error, labtool, reaches)

# Modules of real servers and routers, used by their names: galera, haproxy, innodb_cluster, mysql9,
# proxysql.

__all__ = [
    "Agent", "Arping", "Capture", "Cluster", "ClusterTest", "ExampleCluster", "FrameCapture",
    "Host", "Keepalived", "LATE_NS", "Lab", "LabError", "LabTest", "MariaDb", "Probe", "Process",
    "Sql", "Stalls", "Sweep", "Unavailable", "answerers", "cache_dir", "cached", "connect_error",
    "dump", "footprint", "have_program", "labtool", "let_pass", "main", "now_ns", "program",
    "reaches", "replicate", "run", "sweep", "switch_roles", "wait_for",
]
