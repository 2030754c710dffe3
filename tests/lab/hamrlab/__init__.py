# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts made of network namespaces, and what runs on them: see tests/lab/README.md."""

from .agent import Agent, Cluster
from .case import LabTest, main
from .core import LabError, dump, have_program, now_ns, program, wait_for
from .keepalived import Keepalived
from .mariadb import MariaDb, replicate, switch_roles
from .net import Host, Lab, sweep
from .process import Process
from .tools import (Arping, Capture, FrameCapture, Probe, Sql, answerers, labtool,
                    reaches)

__all__ = [
    "Agent", "Arping", "Capture", "Cluster", "FrameCapture", "Host", "Keepalived", "Lab",
    "LabError", "LabTest", "MariaDb", "Probe", "Process", "Sql", "answerers", "dump",
    "have_program", "labtool", "main", "now_ns", "program", "reaches", "replicate", "sweep",
    "switch_roles", "wait_for",
]
