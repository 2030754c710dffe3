# SPDX-License-Identifier: GPL-2.0-or-later
"""A Galera cluster of MariaDB servers, each with a clustercheck on port 9200.

Databases run as the user mysql, since a server's state is handed to a joining one by rsync, which
gives up root. Packages: mariadb-server, galera-4, rsync, socat."""

import pathlib
import shutil

from .core import ROOT, LabError, run, wait_for
from .mariadb import MariaDb

PROVIDER = "/usr/lib/galera/libgalera_smm.so"
CLUSTERCHECK = ROOT / "deploy/examples/haproxy-galera/clustercheck"
CHECK_PORT = 9200


def missing():
    """Why there is no Galera here, or None."""
    for needed in ("mariadbd", "rsync", "socat", "wsrep_sst_rsync"):
        if not shutil.which(needed):
            return f"{needed} is not installed"
    return None if pathlib.Path(PROVIDER).exists() else "galera-4 is not installed"


class GaleraNode(MariaDb):
    """One member. `seeds`: the hosts of all."""

    def __init__(self, host, seeds):
        super().__init__(host)
        self.seeds = [seed.ipv4 for seed in seeds]
        self.check = None
        # In a directory of its own that the user mysql may reach.
        self.home = host.dir / "galera"
        self.datadir, self.socket = self.home / "data", self.home / "s"

    def start(self, new_cluster=False):  # pylint: disable=arguments-renamed
        if not self.home.exists():
            for path in (self.host.lab.dir, self.host.dir):
                path.chmod(0o711)
            self.home.mkdir()
            self.make_data()
            run(["chown", "-R", "mysql:mysql", self.home])
        options = {
            "port": self.port, "bind-address": "*", "server-id": self.server_id,
            "binlog-format": "ROW", "innodb-autoinc-lock-mode": 2, "wsrep-on": "ON",
            "wsrep-provider": PROVIDER, "wsrep-cluster-name": "shop",
            "wsrep-cluster-address": "gcomm://" + ("" if new_cluster else ",".join(self.seeds)),
            "wsrep-node-address": self.address, "wsrep-node-name": self.host.name,
            "wsrep-sst-method": "rsync", "wsrep-provider-options": "gcache.size=8M",
        }
        self.process = self.host.spawn("mariadbd", [
            "mariadbd", *self.options("mysql"),
            *(f"--{name}={value}" for name, value in options.items())])
        return self

    def start_check(self):
        """Serves HTTP 200 on port 9200 while the node is synced, else 503."""
        self.check = self.host.spawn("clustercheck", [
            "socat", f"TCP-LISTEN:{CHECK_PORT},reuseaddr,fork,backlog=64",
            f"EXEC:{CLUSTERCHECK} --socket={self.socket} --user=root"])
        return self

    def status(self, name):
        return self.sql("SELECT variable_value FROM information_schema.global_status"
                        f" WHERE variable_name = '{name}'")

    @property
    def synced(self):
        if not self.process.running:
            raise LabError(f"mariadbd on {self.host.name} ended, see {self.process.log}")
        return (self.status("wsrep_cluster_status"), self.status("wsrep_local_state"),
                self.status("wsrep_ready")) == ("Primary", "4", "ON")


class GaleraCluster:
    """Members on these hosts. start() takes about 8 s; a member has about 80 MiB resident."""

    def __init__(self, hosts):
        self.nodes = [GaleraNode(host, hosts) for host in hosts]

    def start(self):
        for number, node in enumerate(self.nodes):
            node.start(new_cluster=number == 0)
            self.wait_synced(node)
            node.start_check()
        return self

    def restart(self):
        """From clean copies, whatever was before: quicker than to repair."""
        self.kill()
        for node in self.nodes:
            if node.check is not None and node.check.running:
                node.check.kill()
            shutil.rmtree(node.home, ignore_errors=True)
        return self.start()

    def kill(self):
        for node in self.nodes:
            if node.process is not None and node.process.running:
                node.process.kill()

    def all_synced(self):
        try:
            return all(node.synced for node in self.nodes)
        except LabError:
            return False

    def node(self, name):
        """The member on the host of this name."""
        return next(n for n in self.nodes if n.host.name == name)

    def wait_synced(self, *nodes, timeout=40):
        for node in nodes or self.nodes:
            wait_for(lambda n=node: n.synced, f"{node.host.name} is synced", timeout, 0.1)
