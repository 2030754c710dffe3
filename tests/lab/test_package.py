#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package on whole hosts: two Debian machines that boot with systemd, a witness, a
MariaDB server and a client. Skipped where systemd-nspawn cannot run.

HAMR_PACKAGE=FILE.deb tests that package; else one is packed from HAMR_BIN_DIR's build."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import LabTest, MariaDb, Probe, answerers, footprint, main, program, run
from hamrlab.cache import Unavailable
from hamrlab.core import ROOT
from hamrlab.machine import Machine, MachineCluster
from hamrlab.mariadb import APPLICATION

_made = tempfile.TemporaryDirectory(prefix="hamr-package-")


def package(release="1"):
    """The .deb under test; another `release` is the same with a higher version."""
    path = pathlib.Path(_made.name, f"hamr-{release}.deb")
    if path.exists():
        return path
    if release == "1":
        given = os.environ.get("HAMR_PACKAGE")
        if not given:
            build = pathlib.Path(program("hamrd")).resolve().parents[1]
            given = run([ROOT / "deploy/package", "--from", build, "--to", _made.name],
                        timeout=120).stdout.splitlines()[-1]
        shutil.copy(given, path)
        return path
    tree = pathlib.Path(_made.name, "tree")
    run(["dpkg-deb", "-R", package(), tree])
    control = tree / "DEBIAN/control"
    lines = control.read_text(encoding="utf-8").splitlines()
    lines = [f"{l.rsplit('-', 1)[0]}-{release}" if l.startswith("Version: ") else l for l in lines]
    control.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(["dpkg-deb", "-b", tree, path])
    shutil.rmtree(tree)
    return path


class Contents(unittest.TestCase):
    """The file itself, without any host."""

    def test_everything_is_where_debian_wants_it(self):
        listed = {line.split(None, 5)[5]: line.split()[0]
                  for line in run(["dpkg-deb", "-c", package()]).stdout.splitlines()}
        modes = {"usr/bin/hamr": "-rwxr-xr-x", "usr/sbin/hamrd": "-rwxr-xr-x",
                 "etc/hamr/": "drwxr-x---", "etc/default/hamr": "-rw-r--r--",
                 "usr/lib/systemd/system/hamrd.service": "-rw-r--r--",
                 "usr/share/man/man1/hamr.1.gz": "-rw-r--r--",
                 "usr/share/man/man5/hamr.yaml.5.gz": "-rw-r--r--",
                 "usr/share/man/man8/hamrd.8.gz": "-rw-r--r--",
                 "usr/share/doc/hamr/copyright": "-rw-r--r--",
                 "usr/share/doc/hamr/changelog.gz": "-rw-r--r--",
                 "usr/share/doc/hamr/examples/hamr.yaml.example": "-rw-r--r--",
                 "usr/share/bash-completion/completions/hamr": "-rw-r--r--"}
        for path, mode in modes.items():
            with self.subTest(path):
                self.assertEqual(mode, listed.get("./" + path))
        depends = run(["dpkg-deb", "-f", package(), "Depends"]).stdout
        for name in ("nftables", "libmariadb3", "libbpf1", "libc6"):
            self.assertIn(name, depends)

    def test_lintian_finds_no_error(self):
        if shutil.which("lintian") is None:
            self.skipTest("lintian is not installed (deploy/packages.sh test)")
        done = run(["lintian", "--allow-root", "--fail-on", "error", package()], check=False,
                   timeout=120)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_its_example_is_a_good_configuration(self):
        run([program("hamr"), "check", ROOT / "deploy/hamr.yaml.example"])


class MachineTest(LabTest):
    """router1 and router2 are machines with the package; witness1, db1 and client are not."""

    router = None
    files = {}

    def setUp(self):
        super().setUp()
        try:
            self.machines = [Machine(self.lab, f"router{i}", 10 + i, package()) for i in (1, 2)]
        except Unavailable as why:
            self.skipTest(str(why))
        self.witness, self.client = self.lab.host("witness1", 13), self.lab.host("client", 50)
        self.db = MariaDb(self.lab.host("db1", 21)).start()
        self.cluster = MachineCluster(self.lab, self.machines, [self.witness], interval="20ms",
                                      misses=5, backends=[self.db], router=self.router)
        for machine in self.machines:
            machine.boot()
            for path, text in self.files.items():
                machine.put(path, text)
            machine.install(package())

    def start(self):
        """Starts all agents; returns the machine that leads and the other one."""
        self.cluster.start()
        return self.settled()

    def settled(self, leader=None):
        """Waits until all agree; the machine that leads and the other one."""
        def agreed():
            name = self.cluster.wait_settled()
            return leader in (None, name) and name
        name = self.wait_for(agreed, f"{leader or 'somebody'} leads", 15)
        self.wait_for(lambda: answerers(self.client, self.cluster.vip, 100) == [name],
                      f"only {name} answers for the address")
        first, second = self.machines
        return (first, second) if first.name == name else (second, first)

    def query(self):
        """Which server answers a client that comes through the address."""
        done = self.client.run(
            "mariadb", "--no-defaults", "-h", self.cluster.vip, "-P", 6446,
            f"-u{APPLICATION[0]}", f"-p{APPLICATION[1]}", "--connect-timeout=2", "-BN",
            "-e", "INSERT INTO shop.orders (note) VALUES ('x'); SELECT @@server_id")
        return int(done.stdout)

    def assert_serves(self):
        self.wait_for(lambda: self.query() == self.db.server_id, "a client reaches the server")

    def wait_restarted(self, machine, before, timeout=20):
        """Waits until systemd has started another hamrd than pid `before`."""
        def again():
            return machine.agent.running and machine.agent.pid not in (0, before)
        self.wait_for(again, f"hamrd of {machine.name} is started again", timeout)
        machine.agent.wait_ready()

    def assert_healthy(self, machine):
        status = machine.agent.status()
        self.assertEqual(([], 0), (status["warnings"],
                                   status["nodes"][machine.name]["demotion"]))


class Installed(MachineTest):
    def test_from_nothing_to_a_cluster(self):
        machine = self.machines[0]
        self.assertEqual("enabled", machine.inside("systemctl", "is-enabled", "hamrd").stdout
                         .strip())
        shown = machine.inside("systemctl", "status", "hamrd", check=False).stdout
        self.assertIn("/etc/hamr/hamr.yaml was not met", shown)
        self.assertEqual("running", machine.inside("systemctl", "is-system-running",
                                                   check=False).stdout.strip())
        leader, other = self.start()
        self.assert_serves()
        for machine in self.machines:
            machine.inside("hamr", "check", "/etc/hamr/hamr.yaml")
            self.assert_healthy(machine)
            self.assertIn("all is well", machine.inside("hamr", "status").stdout)
        # What systemd shows: started, ready, and who leads.
        self.assertEqual("notify", leader.agent.show("Type"))
        self.wait_for(lambda: "lead" in leader.agent.show("StatusText"), "systemd knows who leads")
        self.assertIn(leader.name, other.agent.show("StatusText"))
        shown = leader.inside("systemctl", "status", "hamrd").stdout
        self.assertIn("Status:", shown)
        # One thread has real-time priority, and memory is locked.
        threads = leader.inside("ps", "-L", "-o", "cls,rtprio", "-p", leader.agent.pid).stdout
        self.assertIn("FF     40", threads)
        status = leader.inside("cat", f"/proc/{leader.agent.pid}/status").stdout
        self.assertGreater(int(status.split("VmLck:")[1].split()[0]), 0)
        moved = other.agent.failover("--to", other.name)
        self.assertIn(other.name, moved.stdout)
        self.settled(other.name)
        self.assert_serves()

    def test_the_leader_reboots(self):
        leader, other = self.start()
        leader.poweroff()
        self.settled_without(leader, other)
        reason = [e["reason"] for e in other.agent.history()
                  if e["node"] == other.name and e["to"] == "leader"][-1]
        self.assertIn("handover", reason)
        self.assert_serves()
        leader.boot()
        self.settled(other.name)
        self.assert_healthy(leader)
        # Not before three seconds: it has forgotten what it promised in its earlier life.
        self.wait_for(lambda: other.agent.failover("--to", leader.name), "it may lead again")
        self.settled(leader.name)
        self.assert_serves()

    def test_the_leader_loses_power(self):
        leader, other = self.start()
        probe = Probe(self.client, to=self.cluster.vip).wait_event("answered")
        leader.power_cut()
        self.settled_without(leader, other)
        self.assert_serves()
        outage = probe.stop()["outage_ms"]
        print(f"power cut: the address was away for {outage:.0f} ms", flush=True)
        self.assertLess(outage, 3000)
        booted = leader.boot()
        print(f"the machine booted in {booted:.1f} s", flush=True)
        self.settled(other.name)
        self.assert_healthy(leader)

    def settled_without(self, lost, leader):
        self.wait_for(lambda: leader.agent.state() == "leader", f"{leader.name} leads")
        self.wait_for(lambda: answerers(self.client, self.cluster.vip, 100) == [leader.name],
                      f"{leader.name} answers, {lost.name} does not")

    def test_a_killed_agent_is_cleaned_up_after_and_started_again(self):
        leader, other = self.start()
        before = leader.agent.pid
        leader.agent.signal("KILL")
        self.wait_restarted(leader, before)
        self.assertEqual("1", leader.agent.show("NRestarts"))
        self.settled()
        self.wait_for(lambda: "addresses: done" in leader.journal(), "ExecStopPost cleaned up")
        self.assertIn("gate: done", leader.journal())
        self.assert_serves()
        self.assert_healthy(leader)
        self.assertEqual([], other.agent.status()["warnings"])

    def test_a_hung_agent_is_found_by_the_watchdog(self):
        leader, other = self.start()
        before = leader.agent.pid
        leader.agent.signal("STOP")
        # The peer does not wait for that.
        self.wait_for(lambda: other.agent.state() == "leader", "the peer leads", 3)
        self.assertEqual(before, leader.agent.pid)
        self.wait_restarted(leader, before, 30)
        self.assertIn("watchdog", leader.journal().lower())
        self.settled(other.name)
        self.assert_serves()
        self.assert_healthy(leader)

    def test_stopped_it_leaves_nothing(self):
        before = {m.name: footprint(m) for m in self.machines}
        leader, other = self.start()
        self.assert_serves()
        leader.inside("systemctl", "stop", "hamrd")
        self.assertEqual("inactive", leader.agent.show("ActiveState"))
        self.assertEqual(before[leader.name], footprint(leader))
        self.settled_without(leader, other)
        self.assert_serves()

    def test_a_configuration_that_became_bad(self):
        machine = self.machines[0]
        machine.put("/etc/hamr/hamr.yaml", "clustre: lab\n")
        machine.inside("systemctl", "--no-block", "start", "hamrd")
        self.wait_for(lambda: "hamr.yaml:1:1:" in machine.journal(), "it says what is wrong")
        self.cluster.start()
        self.wait_for(lambda: machine.agent.running, "it goes on by itself when that is mended")
        self.assertLess(int(machine.agent.show("NRestarts")), 20)
        self.settled()

    def test_upgrade_removal_and_purge(self):
        leader, other = self.start()
        pids = {m.name: m.agent.pid for m in self.machines}
        leader.install(package("2"))
        self.assertNotEqual(pids[leader.name], leader.agent.pid)
        self.settled(other.name)
        reason = [e["reason"] for e in other.agent.history()
                  if e["node"] == other.name and e["to"] == "leader"][-1]
        self.assertIn("handover", reason)
        # Stopped by the administrator, so the upgrade does not start it.
        leader.inside("systemctl", "stop", "hamrd")
        leader.install(package("2"))
        self.assertEqual("inactive", leader.agent.show("ActiveState"))
        self.assertTrue((leader.root / "etc/hamr/hamr.key").exists())
        leader.agent.start().wait_ready()
        self.settled(other.name)

        other.inside("dpkg", "-r", "hamr", timeout=60)
        self.settled_without(other, leader)
        self.assertEqual("", other.inside("nft", "list", "ruleset").stdout)
        self.assertTrue((other.root / "etc/hamr/hamr.yaml").exists())
        self.assertTrue((other.root / "etc/default/hamr").exists())
        other.inside("dpkg", "-P", "hamr", timeout=60)
        for gone in ("etc/default/hamr", "var/lib/hamr", "usr/lib/hamr",
                     "etc/systemd/system/multi-user.target.wants/hamrd.service"):
            self.assertFalse(os.path.lexists(other.root / gone), gone)
        self.assertEqual("", other.inside("sh", "-c", "ls -d /run/hamr 2>/dev/null; true").stdout)
        # The administrator's own files are nobody else's to remove.
        self.assertTrue((other.root / "etc/hamr/hamr.key").exists())
        self.assert_serves()


if __name__ == "__main__":
    main()
