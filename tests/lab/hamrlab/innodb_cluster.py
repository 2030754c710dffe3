# SPDX-License-Identifier: GPL-2.0-or-later
"""A Group Replication cluster of MySQL 9 servers, with the metadata that MySQL Router wants, and
routers bootstrapped from it.

MySQL Shell, which makes the metadata elsewhere, is in no Debian package: innodb_cluster.sql has
the part of it that a router reads."""

import pathlib
import shutil

from .core import LabError, run, wait_for
from .mysql9 import ADMIN, Mysql9, program

GROUP = "00000000-0000-0000-0000-00000000c1c1"
_METADATA = pathlib.Path(__file__).with_name("innodb_cluster.sql")
_PORT = 33061


class InnodbCluster:
    """Servers on these hosts, in single-primary mode; the first one begins as the primary.

    start() takes about 12 s; each server has about 400 MiB resident."""

    def __init__(self, hosts):
        seeds = ",".join(f"{host.ipv4}:{_PORT}" for host in hosts)
        self.servers = [Mysql9(host, options=[
            "--plugin-load-add=group_replication.so",
            f"--group-replication-group-name={GROUP}",
            f"--group-replication-local-address={host.ipv4}:{_PORT}",
            f"--group-replication-group-seeds={seeds}",
            "--group-replication-ip-allowlist=192.0.2.0/24",
            "--group-replication-recovery-get-public-key=ON",
            "--group-replication-start-on-boot=OFF",
            "--group-replication-message-cache-size=134217728",
            f"--report-host={host.ipv4}",
        ]) for host in hosts]

    def start(self):
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_ready()
        first, *others = self.servers
        first.sql("SET GLOBAL group_replication_bootstrap_group = ON; START GROUP_REPLICATION;"
                  "SET GLOBAL group_replication_bootstrap_group = OFF;", 60)
        first.sql(_metadata(self.servers))
        for server in others:
            self.join(server)
        self.wait_online(self.servers)
        return self

    def restart(self):
        """From clean copies, whatever was before: quicker than to repair."""
        self.kill()
        for server in self.servers:
            if server.datadir.exists():
                shutil.rmtree(server.datadir)
        return self.start()

    def kill(self):
        for server in self.running():
            server.kill()

    def all_online(self):
        try:
            return self.primary() is not None and all(
                state == "ONLINE" for server in self.servers
                for state, _ in self.members(server).values())
        except LabError:
            return False

    @staticmethod
    def join(server):
        """Lets a server into the group; it recovers what it lacks."""
        server.sql("CHANGE REPLICATION SOURCE TO SOURCE_USER = 'replication',"
                   " SOURCE_PASSWORD = 'replication-secret'"
                   " FOR CHANNEL 'group_replication_recovery'; START GROUP_REPLICATION;", 60)

    def server(self, name):
        """The server on the host of this name."""
        return next(s for s in self.servers if s.host.name == name)

    def running(self):
        return [s for s in self.servers if s.process and s.process.running]

    def members(self, seen_from=None):
        """{host name: (state, role)}, as one member sees the group."""
        server = seen_from or self.running()[0]
        rows = server.sql("SELECT member_host, member_state, member_role"
                          " FROM performance_schema.replication_group_members").splitlines()
        names = {s.address: s.host.name for s in self.servers}
        return {names[host]: (state, role)
                for host, state, role in (row.split("\t") for row in rows)}

    def primary(self):
        """The primary as every running member sees it, else None."""
        views = [{n for n, (state, role) in self.members(server).items()
                  if (state, role) == ("ONLINE", "PRIMARY")} for server in self.running()]
        if not views or len(views[0]) != 1 or any(view != views[0] for view in views):
            return None
        server = self.server(next(iter(views[0])))
        # For some seconds the others do not know that it has died.
        return server if server in self.running() else None

    def wait_primary(self, timeout=30):
        """Waits until all who run agree on a primary that runs; returns it."""
        return wait_for(self.primary, "the group has a primary", timeout, 0.1)

    def wait_online(self, servers, timeout=60):
        def online():
            return all(self.members(seen).get(s.host.name, ("", ""))[0] == "ONLINE"
                       for s in servers for seen in servers)
        wait_for(online, "the members are ONLINE", timeout, 0.2)

    def bootstrap_router(self, host, directory, *options):
        """mysqlrouter --bootstrap, as a person runs it on a router's host; returns the path of
        the configuration that it writes."""
        primary = self.primary()
        if primary is None:
            raise LabError("no primary to bootstrap from")
        host.run(program("mysqlrouter"), "--bootstrap",
                 f"{ADMIN[0]}@{primary.endpoint}", "--directory", directory, "--user=root",
                 "--name", host.name, "--report-host", host.ipv4, "--force",
                 "--conf-set-option=DEFAULT.plugin_folder=" + plugin_folder(),
                 *options, stdin=ADMIN[1] + "\n", timeout=60)
        return pathlib.Path(directory, "mysqlrouter.conf")


def plugin_folder():
    """Where MySQL Router finds its plugins, which it does not know itself here."""
    return str(pathlib.Path(program("mysqlrouter")).parents[1] / "usr/lib/mysqlrouter/plugin")


def _metadata(servers):
    rows = ",\n".join(
        f"({number}, @cluster, '{s.endpoint}', '{s.uuid}', '{s.host.name}', JSON_OBJECT("
        f"'mysqlClassic', '{s.endpoint}', 'grLocal', '{s.address}:{_PORT}'))"
        for number, s in enumerate(servers, 1))
    return (_METADATA.read_text(encoding="utf-8").replace("@GROUP@", GROUP)
            .replace("@INSTANCES@", rows))
