# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts made of network namespaces, and what runs on them: see tests/lab/README.md."""

from .agent import Agent, Cluster
from .case import LabTest, main
from .core import LabError, dump, have_program, now_ns, program, run, wait_for
from .keepalived import Keepalived
from .mariadb import MariaDb, replicate, switch_roles
from .net import Host, Lab, sweep
from .process import Process
from .standard import LATE_NS, ClusterTest, footprint, let_pass
from .tools import (Arping, Capture, FrameCapture, Probe, Sql, Stalls, answerers, labtool,
                    reaches)

__all__ = [
    "Agent", "Arping", "Capture", "Cluster", "ClusterTest", "FrameCapture", "Host",
    "Keepalived", "LATE_NS", "Lab", "LabError", "LabTest", "MariaDb", "Probe", "Process", "Sql",
    "Stalls", "answerers", "dump", "footprint", "have_program", "labtool", "let_pass", "main",
    "now_ns", "program", "reaches", "replicate", "run", "sweep", "switch_roles", "wait_for",
]
