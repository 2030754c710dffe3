# SPDX-License-Identifier: GPL-2.0-or-later
"""MySQL 9 and MySQL Router on a machine whose own packages are older: the programs are taken from
Debian sid and kept apart (see hamrlab/cache.py); the machine's package database is not touched.

They need a newer C library than the host has, so each is started through the loader that came
with it; the wrappers in bin/ do that. What sid has moves: the version found first is kept."""

import os
import pathlib
import re
import shutil
import subprocess

from .cache import Unavailable, cached
from .core import LabError, run, wait_for
from .process import Process

PACKAGES = ("mysql-server-core", "mysql-client-core", "mysql-router")
_MIRROR = "http://deb.debian.org/debian"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What the three depend on and never open here.
_UNUSED = re.compile(r"perl|gconv|gdbm|libdb5|-base$|sasl2-modules")
_PROGRAMS = {"mysqld": "usr/sbin/mysqld", "mysql": "usr/bin/mysql",
             "mysqlrouter": "usr/bin/mysqlrouter",
             "mysqlrouter_passwd": "usr/bin/mysqlrouter_passwd"}
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/mysql-router", "usr/lib/mysqlrouter/plugin")
_LOADER = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"

APPLICATION = ("app", "app-secret")
MONITOR = ("hamr", "monitor-secret")
ADMIN = ("root", "root-secret")

_failure = None


def _apt(root):
    return ["-o", f"Dir::State={root}", "-o", f"Dir::State::Lists={root}/lists",
            "-o", f"Dir::State::status={root}/status", "-o", f"Dir::Cache={root}/cache",
            "-o", f"Dir::Etc::SourceList={root}/sources.list", "-o", "Dir::Etc::SourceParts=-",
            "-o", "Dir::Etc::Preferences=-", "-o", "Dir::Etc::PreferencesParts=-",
            "-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=amd64",
            "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=2",
            "-o", "Acquire::http::Timeout=20", "-q"]


def _fetch(archive):
    """Downloads the packages and packs what is needed of them into a tar.zst."""
    root = archive.parent / "apt"
    for path in ("lists/partial", "cache/archives/partial", "debs", "prefix"):
        (root / path).mkdir(parents=True)
    (root / "status").touch()
    (root / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_MIRROR} sid main\n",
                                       encoding="ascii")
    run(["apt-get", *_apt(root), "-o", "APT::Update::Error-Mode=any", "update"], timeout=120)
    plan = run(["apt-get", *_apt(root), "--no-install-recommends", "-s", "install", *PACKAGES],
               timeout=60).stdout
    names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    names = [name for name in names if not _UNUSED.search(name)]
    run(["env", "-C", root / "debs", "apt-get", *_apt(root), "download", *names], timeout=300)
    for package in sorted((root / "debs").glob("*.deb")):
        run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --exclude=./usr/share/doc'
             ' --exclude=./usr/share/man --exclude=./etc', "unpack", package, root / "prefix"],
            timeout=60)
    for program in [*(root / "prefix/usr/bin").iterdir(), *(root / "prefix/usr/sbin").iterdir()]:
        if program.name not in _PROGRAMS:
            program.unlink()
    run(["tar", "--zstd", "-cf", archive, "-C", root / "prefix", "usr"], timeout=120)


def _unpack(archive, prefix):
    for place in (prefix, prefix / "bin", prefix / "run"):
        place.mkdir()
    run(["tar", "--zstd", "-xf", archive, "-C", prefix, "--no-same-owner"], timeout=120)


def _write_wrappers(prefix):
    libraries = ":".join(str(prefix / path) for path in _LIBRARIES)
    for name, path in _PROGRAMS.items():
        # Through a link of the program's own name: that is what the process is called then.
        link = prefix / "run" / name
        if not link.is_symlink():
            link.symlink_to(prefix / _LOADER)
        wrapper = prefix / "bin" / name
        text = (f"#!/bin/sh\nexec {link} --inhibit-cache --library-path {libraries}"
                f' {prefix / path} "$@"\n')
        if not wrapper.exists() or wrapper.read_text(encoding="ascii") != text:
            wrapper.write_text(text, encoding="ascii")
            wrapper.chmod(0o755)


def installation(progress=None):
    """The prefix with bin/mysqld, bin/mysql, bin/mysqlrouter and bin/mysqlrouter_passwd.

    Downloads 60 MB the first time. Unavailable says why it cannot be had."""
    global _failure
    if _failure:
        raise Unavailable(_failure)
    try:
        if os.uname().machine != "x86_64":
            raise LabError(f"only done for x86_64, this is {os.uname().machine}")
        for needed in ("apt-get", "dpkg-deb", "tar", "zstd"):
            if not shutil.which(needed):
                raise LabError(f"{needed} is not installed")
        if not pathlib.Path(_KEYRING).exists():
            raise LabError(f"{_KEYRING} is missing, which verifies Debian's packages")

        def make(prefix):
            if progress:
                progress("fetching MySQL 9 and MySQL Router from Debian sid (once)")
            _unpack(cached("mysql9.tar.zst", _fetch), prefix)

        prefix = cached("mysql9", make)
        _write_wrappers(prefix)
        run([prefix / "bin" / "mysqld", "--no-defaults", "--version"])
        return prefix
    except LabError as error:
        lines = str(error).splitlines()
        _failure = ("MySQL 9 cannot be had from Debian sid: "
                    + next((line for line in lines if line.startswith("E:")), lines[0]))
        raise Unavailable(_failure) from error


def missing():
    """Why MySQL 9 cannot be had here, or None; takes some seconds the first time."""
    try:
        installation()
        return None
    except Unavailable as error:
        return str(error)


def program(name):
    return str(installation() / "bin" / name)


def version():
    """Of the server: "9.7.4"."""
    return re.search(r"Ver (\S+?)(-\S+)? ", run([program("mysqld"), "--no-defaults",
                                                 "--version"]).stdout)[1]


_ACCOUNTS = f"""
ALTER USER 'root'@'localhost' IDENTIFIED BY '';
CREATE USER '{ADMIN[0]}'@'%' IDENTIFIED BY '{ADMIN[1]}';
GRANT ALL ON *.* TO '{ADMIN[0]}'@'%' WITH GRANT OPTION;
CREATE USER 'replication'@'%' IDENTIFIED BY 'replication-secret';
GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, GROUP_REPLICATION_STREAM
  ON *.* TO 'replication'@'%';
CREATE USER '{MONITOR[0]}'@'%' IDENTIFIED BY '{MONITOR[1]}';
GRANT REPLICATION CLIENT ON *.* TO '{MONITOR[0]}'@'%';
GRANT SELECT ON performance_schema.* TO '{MONITOR[0]}'@'%';
CREATE DATABASE shop;
CREATE TABLE shop.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(100));
CREATE USER '{APPLICATION[0]}'@'%' IDENTIFIED BY '{APPLICATION[1]}';
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO '{APPLICATION[0]}'@'%';
RESET BINARY LOGS AND GTIDS;
"""


def _options(prefix, datadir, socket):
    share = prefix / "usr/share/mysql"
    return ["--no-defaults", f"--basedir={prefix / 'usr'}", f"--datadir={datadir}",
            f"--lc-messages-dir={share}", f"--character-sets-dir={share / 'charsets'}",
            f"--plugin-dir={prefix / 'usr/lib/mysql/plugin'}", f"--socket={socket}",
            f"--pid-file={datadir}/server.pid", "--user=root", "--secure-file-priv=NULL",
            "--mysqlx=OFF", "--skip-name-resolve", "--log-error-verbosity=2",
            "--innodb-buffer-pool-size=16M", "--innodb-redo-log-capacity=8M",
            "--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0", "--max-connections=100",
            "--table-open-cache=200", "--table-definition-cache=400",
            "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--log-bin=bin"]


def _ask(prefix, socket, statements, timeout=20):
    return run([prefix / "bin" / "mysql", "--no-defaults", f"--socket={socket}", "--user=root",
                "--batch", "--skip-column-names"], stdin=statements, timeout=timeout).stdout.strip()


def _make_template(place):
    prefix = installation()
    socket = place.parent / "s"
    run([program("mysqld"), *_options(prefix, place, socket), "--initialize-insecure"],
        timeout=120)
    with subprocess.Popen([program("mysqld"), *_options(prefix, place, socket),
                           "--skip-networking"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: _ask(prefix, socket, "SELECT 1"), "the template server", 60, 0.1)
            _ask(prefix, socket, _ACCOUNTS)
        finally:
            server.terminate()
            server.wait(60)
    (place / "auto.cnf").unlink()


class Mysql9:
    """One server on its host's address, port 3306. start() waits until it answers."""

    def __init__(self, host, server_id=None, options=()):
        self.host = host
        self.server_id = server_id or host.number
        self.address = host.ipv4
        self.port = 3306
        self.uuid = f"00000000-0000-0000-0000-0000000000{self.server_id:02d}"
        self.datadir = host.dir / "mysql"
        self.socket = host.dir / "mysql.sock"
        self.options = list(options)
        self.process: Process | None = None

    def start(self):
        prefix = installation()
        if not self.datadir.exists():
            template = cached(f"mysql9-data-{version()}-1", _make_template)
            run(["cp", "-a", "--sparse=always", template, self.datadir])
            (self.datadir / "auto.cnf").write_text(f"[auto]\nserver-uuid={self.uuid}\n",
                                                   encoding="ascii")
        self.process = self.host.spawn("mysqld", [
            prefix / "bin" / "mysqld", *_options(prefix, self.datadir, self.socket),
            f"--port={self.port}", "--bind-address=*", f"--server-id={self.server_id}",
            *self.options])
        return self

    def wait_ready(self, timeout=60):
        def ready():
            if not self.process.running:
                raise LabError(f"mysqld on {self.host.name} ended, see {self.process.log}")
            return self.sql("SELECT 1")
        wait_for(ready, f"mysqld on {self.host.name}", timeout, 0.05)
        return self

    @property
    def endpoint(self):
        return f"{self.address}:{self.port}"

    def sql(self, statements, timeout=20):
        """Runs statements as root over the socket; returns the rows, tabs between columns."""
        return _ask(installation(), self.socket, statements, timeout)

    def stop(self):
        self.process.terminate(60)

    def kill(self):
        self.process.kill()
