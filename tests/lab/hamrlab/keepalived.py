# SPDX-License-Identifier: GPL-2.0-or-later
"""keepalived on a host: the lab's first tenant, and the peer that the bench compares with."""

import os
import signal

from .core import run

_CONFIG = """global_defs {{
    router_id {name}
    vrrp_version 3
}}
vrrp_instance lab {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {advert}
    nopreempt
    virtual_ipaddress {{
        {vip} dev eth0
    }}
}}
"""


class Keepalived:
    """One VRRPv3 instance with one address."""

    def __init__(self, host, priority, vip="192.0.2.100/24", advert="0.01"):
        self.host = host
        self.vip = vip
        self.process = None
        self.config = host.dir / "keepalived.conf"
        self.config.write_text(_CONFIG.format(name=host.name, priority=priority, vip=vip,
                                              advert=advert), encoding="utf-8")

    def start(self):
        run_dir = self.host.dir
        for old in ("keepalived.pid", "vrrp.pid"):
            (run_dir / old).unlink(missing_ok=True)
        self.process = self.host.spawn("keepalived", [
            "keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp",
            "--use-file", self.config, "--pid", run_dir / "keepalived.pid",
            "--vrrp_pid", run_dir / "vrrp.pid"])
        return self

    @property
    def running(self):
        return self.process is not None and self.process.running

    @property
    def leads(self):
        return self.host.has_address(self.vip.split("/")[0])

    def pids(self):
        """The parent and its children."""
        if not self.running:
            return []
        children = run(["ps", "-o", "pid=", "--ppid", self.process.pid], check=False).stdout
        return [self.process.pid, *map(int, children.split())]

    def signal(self, number):
        """To parent and children, children first."""
        for pid in reversed(self.pids()):
            os.kill(pid, number)

    def terminate(self):
        self.process.terminate()

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
