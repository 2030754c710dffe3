# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands behind the address in each kind of quickstart: databases, and the routers' own
configuration. The supervised ones run the files of deploy/examples."""

import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lab"))
from hamrlab import (Cluster, ExampleCluster, LabError, MariaDb, galera, innodb_cluster, mariadb,
                     mysql9, replicate)
from hamrlab.examples import place


class Embedded:
    """The kernel routes; a MariaDB source and its replica."""

    kind, port, databases, program = "embedded", 6446, 2, None
    supervised = False
    interval, misses = "10ms", 3

    def __init__(self, step):
        self.step = step
        self.servers = []

    def start_databases(self, hosts):
        mariadb.template(self.step)
        self.servers = [MariaDb(host).start() for host in hosts]
        replicate(*self.servers)
        source, replica = self.servers
        self.step(f"MariaDB: source {source.host.name} {source.endpoint}, replica "
                  f"{replica.host.name} {replica.endpoint}")

    def cluster(self, lab, routers, witness):
        return Cluster(lab, routers, [witness], interval=self.interval, misses=self.misses,
                       backends=self.servers, name="quickstart")


class _Supervised:
    example = ""
    databases = 3
    supervised = True
    # The defaults: the examples say nothing of heartbeats.
    interval, misses = "100ms", 3

    def __init__(self, step):
        self.step = step
        self.edits = []

    def cluster(self, lab, routers, witness):
        self.step(f"configuration: deploy/examples/{self.example}")
        return ExampleCluster(lab, self.example, routers, [witness], edits=self.edits)


class Haproxy(_Supervised):
    """HAProxy on both routers, a Galera cluster of three MariaDB servers."""

    kind, port, program = "haproxy", 3306, "haproxy"
    example = "haproxy-galera"

    def start_databases(self, hosts):
        if reason := galera.missing():
            raise LabError(reason)
        mariadb.template(self.step)
        galera.GaleraCluster(hosts).start()
        self.step("Galera: " + ", ".join(f"{h.name} {h.ipv4}:3306" for h in hosts)
                  + ", clustercheck on 9200")


class MysqlRouter(_Supervised):
    """MySQL Router, bootstrapped from Group Replication with three MySQL 9 servers."""

    kind, port, program = "mysqlrouter", 6446, "mysqlrouter"
    example = "mysqlrouter-innodb-cluster"

    def __init__(self, step):
        super().__init__(step)
        self.mysql = None

    def start_databases(self, hosts):
        mysql9.installation(self.step)
        self.mysql = innodb_cluster.InnodbCluster(hosts).start()
        self.step(f"MySQL {mysql9.version()}, Group Replication: "
                  + ", ".join(f"{h.name} {h.ipv4}:3306" for h in hosts))

    def cluster(self, lab, routers, witness):
        for host in routers:
            directory = place(host, "/var/lib/mysqlrouter/shop")
            shutil.rmtree(directory, ignore_errors=True)
            self.mysql.bootstrap_router(host, directory)
        self.step("mysqlrouter --bootstrap on " + " and ".join(host.name for host in routers))
        self.edits = [("kind: mysqlrouter",
                       f"kind: mysqlrouter\n  program: {mysql9.program('mysqlrouter')}")]
        return super().cluster(lab, routers, witness)


KINDS = {stage.kind: stage for stage in (Embedded, Haproxy, MysqlRouter)}
