# SPDX-License-Identifier: GPL-2.0-or-later
"""MariaDB servers on hosts, each on its host's address, port 3306.

An empty data directory with the lab's accounts is made once and kept in build/lab-cache; a server
starts from a copy of it, in about 0.15 s."""

import os
import shutil
import subprocess
import tempfile

from .core import ROOT, LabError, run, wait_for
from .process import Process

MONITOR = ("hamr", "monitor-secret")
APPLICATION = ("app", "app-secret")
_REPLICATION = ("replication", "replication-secret")

_ACCOUNTS = f"""
CREATE USER '{MONITOR[0]}'@'%' IDENTIFIED BY '{MONITOR[1]}';
GRANT USAGE, REPLICA MONITOR ON *.* TO '{MONITOR[0]}'@'%';
CREATE USER '{_REPLICATION[0]}'@'%' IDENTIFIED BY '{_REPLICATION[1]}';
GRANT REPLICATION REPLICA ON *.* TO '{_REPLICATION[0]}'@'%';
CREATE DATABASE shop;
CREATE TABLE shop.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(100));
CREATE USER '{APPLICATION[0]}'@'%' IDENTIFIED BY '{APPLICATION[1]}';
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO '{APPLICATION[0]}'@'%';
"""


def _options(datadir, socket, user="root"):
    return ["--no-defaults", f"--datadir={datadir}", f"--socket={socket}",
            f"--pid-file={datadir}/server.pid", f"--user={user}", "--skip-name-resolve",
            "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M",
            "--innodb-flush-log-at-trx-commit=2", "--performance-schema=OFF",
            "--aria-pagecache-buffer-size=1M", "--key-buffer-size=1M"]


def _ask(socket, statements, timeout=20):
    return run(["mariadb", "--no-defaults", "--protocol=socket", f"--socket={socket}",
                "--user=root", "--batch", "--skip-column-names"],
               stdin=statements, timeout=timeout).stdout.strip()


def template(progress=None):
    """The cached data directory; made when there is none for this version."""
    version = run(["mariadbd", "--version"]).stdout.split()[2]
    place = ROOT / "build" / "lab-cache" / f"mariadb-{version}-1"
    if place.exists():
        return place
    if progress:
        progress("preparing an empty MariaDB data directory (once)")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="new-", dir=place.parent) as work:
        data = os.path.join(work, "data")
        socket = os.path.join(work, "s")
        # --force: the machine's own name need not resolve.
        run(["mariadb-install-db", "--no-defaults", "--force", f"--datadir={data}", "--user=root",
             "--auth-root-authentication-method=normal", "--skip-test-db",
             "--innodb-log-file-size=4M"], timeout=120)
        with subprocess.Popen(["mariadbd", *_options(data, socket), "--skip-networking"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                wait_for(lambda: _ask(socket, "SELECT 1"), "the template server", 30)
                _ask(socket, _ACCOUNTS)
            finally:
                server.terminate()
                server.wait(30)
        shutil.move(data, place)
    return place


class MariaDb:
    """One server. start() waits until it answers."""

    def __init__(self, host, server_id=None):
        self.host = host
        self.server_id = server_id or host.number
        self.address = host.ipv4
        self.port = 3306
        self.datadir = host.dir / "mariadb"
        self.socket = host.dir / "mariadb.sock"
        self.process: Process | None = None

    def make_data(self):
        if not self.datadir.exists():
            run(["cp", "-a", "--sparse=always", template(), self.datadir])

    def options(self, user="root"):
        return _options(self.datadir, self.socket, user)

    def start(self, read_only=False):
        self.make_data()
        self.process = self.host.spawn("mariadbd", [
            "mariadbd", *self.options(), f"--port={self.port}",
            "--bind-address=*", f"--server-id={self.server_id}", "--log-bin=bin",
            "--log-slave-updates", f"--read-only={int(read_only)}"])
        self.wait_ready()
        return self

    def wait_ready(self, timeout=30):
        def ready():
            if not self.process.running:
                raise LabError(f"mariadbd on {self.host.name} ended, see {self.process.log}")
            return self.sql("SELECT 1")
        wait_for(ready, f"mariadbd on {self.host.name}", timeout)

    @property
    def endpoint(self):
        return f"{self.address}:{self.port}"

    def sql(self, statements):
        """Runs statements as root over the socket; returns the rows, tabs between columns."""
        return _ask(self.socket, statements)

    def set_read_only(self, on):
        self.sql(f"SET GLOBAL read_only = {int(on)}")

    def follow(self, source):
        self.sql(f"""SET GLOBAL gtid_slave_pos = @@gtid_binlog_pos;
            CHANGE MASTER TO MASTER_HOST='{source.address}', MASTER_PORT={source.port},
              MASTER_USER='{_REPLICATION[0]}', MASTER_PASSWORD='{_REPLICATION[1]}',
              MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos;
            START SLAVE;""")

    @property
    def replicating(self):
        return self.sql("SELECT variable_value FROM information_schema.global_status"
                        " WHERE variable_name = 'slave_running'") == "ON"

    def caught_up(self, source, timeout=10):
        position = source.sql("SELECT @@gtid_binlog_pos")
        return self.sql(f"SELECT MASTER_GTID_WAIT('{position}', {timeout})") == "0"

    def stop(self):
        self.process.terminate(30)

    def kill(self):
        self.process.kill()


def replicate(source, *replicas):
    """Makes `replicas` follow `source`: read-only, caught up."""
    source.set_read_only(False)
    for replica in replicas:
        replica.set_read_only(True)
        replica.follow(source)
    for replica in replicas:
        wait_for(lambda r=replica: r.replicating, f"{replica.host.name} replicates")


def switch_roles(old, new):
    """A planned switch: `new` becomes the source, `old` follows it. Nothing is lost."""
    old.set_read_only(True)
    if not new.caught_up(old):
        raise LabError(f"{new.host.name} did not catch up with {old.host.name}")
    new.sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0;")
    old.follow(new)
