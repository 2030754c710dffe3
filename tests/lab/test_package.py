#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package on whole hosts: two Debian machines that boot with systemd, a witness, a
MariaDB server and a client. Skipped where systemd-nspawn cannot run.

HAMR_PACKAGE=FILE.deb tests that package; else one is packed from HAMR_BIN_DIR's build."""

import os
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import (LabError, LabTest, MariaDb, Probe, answerers, footprint, let_pass, main,
                     program, run)
from hamrlab.cache import Unavailable
from hamrlab.core import ROOT
from hamrlab.machine import Machine, MachineCluster
from hamrlab.mariadb import APPLICATION
from hamrlab.transactions import Transactions

_made = tempfile.TemporaryDirectory(prefix="hamr-package-")


def version(release="1"):
    """What the programs of a release say that they are."""
    own = run(["dpkg-deb", "-f", package(), "Version"]).stdout.strip().rsplit("-", 1)[0]
    if release != "2":
        return own
    return own[:-1] + ("8" if own.endswith("9") else "9")


def _edit(program_file, old, new):
    """Another text of the same length; symbols' versions are left alone."""
    content = program_file.read_bytes()
    edited = re.sub(rb"(?<!_)" + re.escape(old) + rb"\0", new + rb"\0", content)
    if edited == content or len(edited) != len(content):
        raise LabError(f"{program_file.name} has no {old}")
    program_file.write_bytes(edited)


def package(release="1"):
    """The .deb under test. Another `release` is the same with another version: an earlier one,
    "0", whose agent does not know how to restart in place; a later one, "2"."""
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
    tree = pathlib.Path(tempfile.mkdtemp(dir=_made.name), "tree")
    run(["dpkg-deb", "-R", package(), tree])
    control = tree / "DEBIAN/control"
    lines = control.read_text(encoding="utf-8").splitlines()
    lines = [f"{l.rsplit('-', 1)[0]}-{release}" if l.startswith("Version: ") else l for l in lines]
    control.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if release == "0":
        _edit(tree / "usr/sbin/hamrd", b"/v1/restart", b"/v1/rest4rt")
    else:
        for place in ("usr/sbin/hamrd", "usr/bin/hamr"):
            _edit(tree / place, version().encode(), version(release).encode())
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

    def test_the_completion_knows_every_command(self):
        offered = run(["bash", "-c", f". {ROOT / 'deploy/completion/hamr'}; COMP_CWORD=1;"
                       " COMP_WORDS=(hamr ''); _hamr; echo ${COMPREPLY[@]}"]).stdout.split()
        told = run([program("hamr"), "--help"]).stdout.split("Commands:")[1].split("Options:")[0]
        # One line each; where the words are long, what they mean stands in the next.
        known = {line.split()[0] for line in told.splitlines() if re.match(r"  \S", line)}
        self.assertEqual(sorted(known), sorted(w for w in offered if not w.startswith("-")))

    def test_its_example_is_a_good_configuration(self):
        run([program("hamr"), "check", ROOT / "deploy/hamr.yaml.example"])


class MachineTest(LabTest):
    """router1 and router2 are machines with the package; witness1, db1 and client are not."""

    router = None
    extra = None
    files = {}
    timing = {"interval": "20ms", "misses": 5}

    def setUp(self):
        super().setUp()
        try:
            self.machines = [Machine(self.lab, f"router{i}", 10 + i, package()) for i in (1, 2)]
        except Unavailable as why:
            self.skipTest(str(why))
        self.witness, self.client = self.lab.host("witness1", 13), self.lab.host("client", 50)
        self.db = MariaDb(self.lab.host("db1", 21)).start()
        self.cluster = MachineCluster(self.lab, self.machines, [self.witness],
                                      backends=[self.db], router=self.router, extra=self.extra,
                                      **self.timing)
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
        self.assertIn("follow", other.agent.show("StatusText"))
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

    def test_a_network_that_comes_after_the_boot(self):
        leader, other = self.start()
        leader.poweroff()
        leader.boot(link=False)
        self.wait_for(lambda: leader.journal() and "hamrd[" in leader.journal(), "it is tried")
        leader.add_link()
        leader.agent.wait_ready()
        self.settled(other.name)
        self.assert_healthy(leader)

    def test_a_drain_survives_a_reboot(self):
        leader, other = self.start()
        leader.inside("hamr", "drain", "--timeout", "1s", timeout=60)
        self.settled(other.name)
        leader.poweroff()
        leader.boot()
        self.settled(other.name)
        nodes = other.agent.status()["nodes"]
        self.assertEqual((True, False), (nodes[leader.name]["drained"],
                                         nodes[other.name]["drained"]))
        leader.inside("hamr", "undrain")
        self.wait_for(lambda: not other.agent.status()["nodes"][leader.name]["drained"],
                      "every node knows that it is back")

    def test_a_configuration_that_became_bad(self):
        machine = self.machines[0]
        machine.put("/etc/hamr/hamr.yaml", "clustre: lab\n")
        machine.inside("systemctl", "--no-block", "start", "hamrd")
        self.wait_for(lambda: "hamr.yaml:1:1:" in machine.journal(), "it says what is wrong")
        agent = self.cluster.agent(machine)
        self.wait_for(lambda: agent.running, "it goes on by itself when that is mended")
        self.assertLess(int(agent.show("NRestarts")), 5)
        agent.wait_ready()

    def test_upgrade_removal_and_purge(self):
        leader, other = self.start()
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


class Upgraded(MachineTest):
    """With a lease that a restart fits into, also on a busy machine."""

    timing = {"interval": "200ms", "misses": 5}

    def state(self, machine):
        """What an upgrade must not change, and that nothing has been stopped or started."""
        group = machine.agent.status()["groups"]["default"]
        return {"term": group["term"], "leader": group["leader"], "pid": machine.agent.pid,
                **{name: machine.agent.show(name)
                   for name in ("ActiveState", "SubState", "NRestarts", "ActiveEnterTimestamp")}}

    def versions(self, machine):
        """The releases of the installed `hamr` and of the running agent."""
        release = {version(r): r for r in ("1", "2")}
        said = machine.inside("hamr", "version").stdout.splitlines()
        self.assertTrue(said[1].endswith("(running)"))
        return tuple(release[line.split()[1]] for line in said)

    def transactions(self, count=50):
        return Transactions(self.client, f"{self.cluster.vip}:6446", count)

    def check_commits(self, transactions, count=50):
        result = transactions.commit()
        self.assertEqual(([], count), (result["errors"], result["committed"]))

    def test_nothing_moves_and_connections_live(self):
        leader, other = self.start()
        self.assert_serves()
        transactions = self.transactions()
        before = self.state(leader)
        for machine in (other, leader):
            own = self.state(machine)
            done = machine.install(package("2"))
            self.assertIn(f"hamrd: restarted: version {version('2')}", done.stdout)
            self.assertEqual(("2", "2"), self.versions(machine))
            self.assertEqual(own, self.state(machine))
            self.assertEqual(before, self.state(leader))
            asked = transactions.ask()
            self.assertEqual(([], 50), (asked["errors"], asked["asked"]))
            self.assertLess(asked["longest_ms"], 1000)
        self.settled(leader.name)
        for machine in (leader, other):
            self.assertIn("lead", machine.agent.show("StatusText"))
            self.assert_healthy(machine)
            self.assertIn(f"restarted in place: version {version('2')}",
                          " ".join(e["reason"] for e in machine.agent.history()))
        # What began before the upgrade outlives the leader that did it.
        self.wait_for(lambda: other.agent.status()["flows"]["replicas"] >= 50, "the peer has them")
        leader.power_cut()
        self.wait_for(lambda: other.agent.state() == "leader", "the peer leads")
        self.check_commits(transactions)

    def test_an_agent_that_does_not_know_how_hands_over(self):
        for machine in self.machines:
            machine.install(package("0"))
        leader, other = self.start()
        transactions, pid = self.transactions(), leader.agent.pid
        self.wait_for(lambda: other.agent.status()["flows"]["replicas"] == 50, "the peer has them")
        done = leader.install(package("2"))
        self.assertIn("hamrd: not restarted in place", done.stdout)
        self.assertIn("restarted by systemd instead", done.stdout)
        self.assertNotEqual(pid, leader.agent.pid)
        leader.agent.wait_ready()
        self.settled(other.name)
        self.assertEqual(("2", "2"), self.versions(leader))
        reason = [e["reason"] for e in other.agent.history()
                  if e["node"] == other.name and e["to"] == "leader"][-1]
        self.assertIn("handover", reason)
        self.assertEqual("0", leader.agent.show("NRestarts"))
        self.check_commits(transactions)

    def test_an_agent_that_could_not_start_again_goes_on(self):
        leader, other = self.start()
        before = self.state(leader)
        # What `hamr check` does not look at.
        leader.inside("mv", "/etc/hamr/hamr.key", "/etc/hamr/away.key")
        done = leader.install(package("2"))
        self.assertIn("the old program goes on", done.stdout)
        self.assertIn("/etc/hamr/hamr.key", done.stdout)
        self.assertEqual("install ok installed", leader.inside(
            "dpkg-query", "-W", "-f", "${Status}", "hamr").stdout)
        self.assertEqual(("2", "1"), self.versions(leader))
        self.assertEqual(before, self.state(leader))
        # Whoever forbids restarts is listened to.
        leader.inside("mv", "/etc/hamr/away.key", "/etc/hamr/hamr.key")
        leader.put("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.assertIn("policy-rc.d forbids it", leader.install(package("2")).stdout)
        self.assertEqual(before, self.state(leader))
        leader.inside("rm", "/usr/sbin/policy-rc.d")
        leader.inside("hamr", "restart")
        self.assertEqual(("2", "2"), self.versions(leader))
        self.assertEqual(before, self.state(leader))
        self.assert_serves()
        self.settled(leader.name)

    def test_a_short_watchdog_and_many_restarts(self):
        for machine in self.machines:
            machine.put("/etc/systemd/system/hamrd.service.d/watchdog.conf",
                        "[Service]\nWatchdogSec=1s\n")
            machine.inside("systemctl", "daemon-reload")
        leader, other = self.start()
        before = {m.name: self.state(m) for m in self.machines}
        for _ in range(4):
            for machine in (other, leader):
                machine.inside("hamr", "restart")
                self.assertEqual(before[machine.name], self.state(machine))
        # As long as it takes the watchdog to miss somebody.
        let_pass(2500)
        for machine in self.machines:
            self.assertEqual(before[machine.name], self.state(machine))
            self.assertIn("lead", machine.agent.show("StatusText"))
            self.assertNotIn("watchdog", machine.journal().lower())
        # And it still watches.
        leader.agent.signal("STOP")
        self.wait_restarted(leader, before[leader.name]["pid"])
        self.assertIn("watchdog", leader.journal().lower())
        self.settled(other.name)
        self.assert_serves()


HAPROXY = """global
    stats socket /run/haproxy/admin.sock mode 660 level admin
    chroot /var/lib/haproxy
    user haproxy
    group haproxy
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
listen mysql
    bind :6446
    server db1 192.0.2.21:3306 check inter 200ms
"""


class WithHaproxy(MachineTest):
    """HAProxy as Debian has it, under the agent."""

    router = {"kind": "haproxy", "config": "/etc/haproxy/haproxy.cfg"}
    files = {"/etc/haproxy/haproxy.cfg": HAPROXY}

    def start(self):
        leader, other = super().start()
        self.assert_serves()
        for machine in self.machines:
            self.wait_for(lambda m=machine: self.routers(m) and self.state(m) == "running",
                          f"HAProxy of {machine.name} serves")
        return leader, other

    def state(self, machine):
        return machine.agent.status()["router"]["process"]["state"]

    def routers(self, machine):
        """The pids of HAProxy in this machine, master first; whoever started them."""
        return [int(pid) for pid in machine.inside("ps", "-C", "haproxy", "-o", "pid=",
                                                   check=False).stdout.split()]

    def test_installed_and_healthy(self):
        leader, other = self.start()
        for machine in self.machines:
            self.assert_healthy(machine)
            self.assertIn("all is well", machine.inside("hamr", "status").stdout)
            classes = machine.inside("ps", "-L", "-C", "haproxy", "-o", "cls=").stdout.split()
            self.assertEqual({"TS"}, set(classes))
        leader.inside("hamr", "reload")
        self.assert_serves()
        before = self.routers(leader)[0]
        leader.inside("systemctl", "reload", "hamrd")
        self.assert_serves()
        self.assertEqual(before, self.routers(leader)[0])
        routers = self.routers(other)
        other.inside("hamr", "restart")
        self.assertEqual(routers, self.routers(other))
        self.wait_for(lambda: self.state(other) == "running", "it goes on with its router")
        leader.inside("systemctl", "stop", "hamrd")
        self.assertEqual([], self.routers(leader))
        self.wait_for(lambda: other.agent.state() == "leader", "the peer leads")
        self.assert_serves()

    def test_the_next_agent_adopts_the_router(self):
        leader, other = self.start()
        for machine, signal in ((other, "KILL"), (leader, "KILL"), (leader, "STOP")):
            with self.subTest(machine=machine.name, signal=signal):
                routers, agent = self.routers(machine), machine.agent.pid
                machine.agent.signal(signal)
                self.wait_restarted(machine, agent, 30)
                self.settled()
                self.assertEqual(routers, self.routers(machine))
                process = machine.agent.status()["router"]["process"]
                self.assertEqual((routers[0], True), (process["pid"], process["adopted"]))
                self.wait_for(lambda m=machine: self.demotion(m) == 0, "it is healthy")
        self.assert_serves()

    def demotion(self, machine):
        return machine.agent.status()["nodes"][machine.name]["demotion"]

    def test_a_crash_of_the_router_moves_leadership(self):
        leader, other = self.start()
        # The master; its worker ends with it.
        leader.inside("kill", "-KILL", self.routers(leader)[0])
        self.settled(other.name)
        self.assert_serves()
        self.wait_for(lambda: self.routers(leader) and self.demotion(leader) == 0,
                      "the router is started again")

    def test_a_stop_that_needed_a_kill_leaves_no_router(self):
        leader, _ = self.start()
        before, agent = self.routers(leader), leader.agent.pid
        # As ExecStop does, before an agent that does not end is killed.
        leader.inside("touch", "/run/hamr/stop")
        leader.agent.signal("KILL")
        self.wait_restarted(leader, agent)
        self.wait_for(lambda: self.routers(leader), "the next agent starts its own router")
        self.assertFalse(set(before) & set(self.routers(leader)))

    def test_power_cut_and_reboot(self):
        leader, other = self.start()
        leader.power_cut()
        self.wait_for(lambda: other.agent.state() == "leader", "the peer leads")
        self.assert_serves()
        leader.boot()
        self.settled(other.name)
        self.wait_for(lambda: self.demotion(leader) == 0, "its router serves again")
        self.assertEqual(self.state(leader), "running")


class WithUnit(WithHaproxy):
    """The same HAProxy as a unit of systemd, which the agent starts and stops over D-Bus."""

    router = {"kind": "systemd", "unit": "haproxy.service"}
    extra = {"health": [{"kind": "mysql", "name": "write", "target": "127.0.0.1:6446"}]}

    # The unit survives a dead agent by itself.
    test_the_next_agent_adopts_the_router = None
    test_a_stop_that_needed_a_kill_leaves_no_router = None

    def test_the_unit_outlives_the_agent(self):
        leader, _ = self.start()
        routers, agent = self.routers(leader), leader.agent.pid
        leader.agent.signal("KILL")
        self.wait_restarted(leader, agent)
        self.settled()
        self.assertEqual(routers, self.routers(leader))


if __name__ == "__main__":
    main()
