#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Restart in place: the agent executes its program again, and nothing moves."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import MariaDb, answerers, haproxy, let_pass, main
from hamrlab.core import program, run
from hamrlab.tools import Tool
from test_flows_embedded import EmbeddedTest

BUSY = 1000
# Of one connection: together they ask 2,000 times a second.
EVERY_US = 500_000
# The shortest that TCP waits before it sends again.
RETRANSMISSION_MS = 200
# Executes the real program: at once when it rehearses, else when nobody holds it.
HELD = """#!/bin/sh
case "$1" in --rehearse) ;; *) while [ -e {hold} ]; do sleep 0.01; done ;; esac
exec {hamrd} "$@"
"""
SLOW = """#!/bin/sh
sleep 0.4
exec {hamrd} "$@"
"""
# Rehearses well, and is not there when it matters.
FLEETING = """#!/bin/sh
{hamrd} "$@" && rm {own}
"""


class Serve(Tool):
    command = "serve"


class Load(Tool):
    command = "load"


class UpgradeTest(EmbeddedTest):
    def start_from(self, **options):
        """As start_cluster(), but each router's agent is a program of its own, a copy of hamrd,
        which upgrade() replaces."""
        self.make_cluster(**options)
        for host in (self.r1, self.r2):
            (host.dir / "bin").mkdir()
            shutil.copy(program("hamrd"), self.own(host.name))
        for host in (self.r1, self.r2, *self.witnesses):
            agent = self.cluster.agent(host)
            path = program("hamrd") if host in self.witnesses else self.own(host.name)
            agent.process = host.spawn("hamrd", [
                path, "--config", agent.config, "--node", host.name,
                "--socket", agent.socket, "--state", host.dir / "state"])
        for agent in self.cluster.agents.values():
            agent.wait_ready()
        return self.settled()

    def own(self, name):
        return self.lab.hosts[name].dir / "bin" / "hamrd"

    def upgrade(self, name, content, mode=0o755):
        """Moves another program over this router's, as a package does it; text or bytes."""
        own = self.own(name)
        new = own.with_suffix(".new")
        if isinstance(content, str):
            content = content.format(hamrd=program("hamrd"), own=own,
                                     hold=own.with_suffix(".hold")).encode()
        new.write_bytes(content)
        new.chmod(mode)
        new.rename(own)

    def ask_restart(self, name):
        """`hamr restart` in the background."""
        asked = subprocess.Popen([*map(str, self.agent(name).command), "restart"],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(asked.wait)
        self.addCleanup(asked.kill)
        return asked

    def serve(self):
        """A server behind the routers that answers a Load, and for them a real one behind that."""
        self.set_up_hosts()
        self.set_up_hosts = lambda witness=True: None
        host = self.lab.host("db1", 21)
        database = MariaDb(host)
        database.port = 3307
        database.start()
        Serve(host, port=3306, relay_from=[self.r1.ipv4, self.r2.ipv4], relay_to="127.0.0.1:3307")
        return f"{host.ipv4}:3306"

    def load(self, count):
        return Load(self.client, to=f"{self.cluster.vip}:6446", connections=count,
                    every_us=EVERY_US, grace_ms=3000).wait_event("measuring", 30)

    def check_load(self, load, count):
        """All have been answered all the time, each byte was right."""
        result = load.stop()
        longest = max(result["longest_ms_by_slot"])
        print(f"    {result['requests']} requests on {count} connections, longest {longest:.1f} ms,"
              f" {result['retransmissions']} retransmitted", flush=True)
        self.assertEqual((count, 0, 0, {}), (result["alive"], result["hanging"], result["wrong"],
                                             result["losses"]))
        return result

    def pieces(self, name):
        """What must be the same before and after."""
        status = self.agent(name).status()
        group = status["groups"]["default"]
        return {"pid": self.agent(name).pid, "leader": group["leader"], "term": group["term"],
                "state": group["state"]}

    def restart(self, name, check=True):
        return self.agent(name).hamr("restart", check=check)

    def silences(self, name):
        """For how long each restart of this node kept it silent, in milliseconds."""
        return [float(reason.split(",")[1].split()[0]) for reason in self.reasons(name)
                if reason.startswith("restarted in place")]


class Upgrade(UpgradeTest):
    def test_a_leader_goes_on_with_its_term_and_its_address_answers_all_the_time(self):
        leader, other = self.start_cluster(interval="200ms", misses=5)
        probe = self.probe()
        with self.watch() as watched:
            before = self.pieces(leader)
            for _ in range(3):
                started = self.agent(leader).status()["started"]
                done = self.restart(leader)
                self.assertIn("restarted", done.stdout)
                self.assertNotEqual(started, self.agent(leader).status()["started"])
                self.assertEqual(before, self.pieces(leader))
                self.assertEqual((leader, other), self.settled())
                let_pass(300)
        result = probe.stop()
        silent = self.silences(leader)
        print(f"longest gap {result['outage_ms']:.2f} ms, without frames {silent} ms")
        self.assertEqual(3, len(silent))
        # A busy machine makes a prober late; an address that went with the agent were gone longer.
        self.assertLess(result["outage_ms"], max(20, min(silent)))
        self.assertEqual([self.lab.hosts[leader].mac], list(result["macs"]))
        self.assertEqual([], watched.frames(host=other))
        self.assertEqual(1, self.times_led(leader))
        self.assertEqual([], self.agent(leader).status()["warnings"])
        self.assertEqual([leader], answerers(self.observer, self.cluster.vip))

    def test_restarts_of_followers_change_nothing(self):
        leader, other = self.start_cluster(interval="20ms", misses=5)
        before, probe = self.pieces(leader), self.probe()
        for name in (other, "witness1"):
            pid = self.agent(name).pid
            self.restart(name)
            self.assertEqual(pid, self.agent(name).pid)
            self.assertEqual(before, self.pieces(leader))
        self.assertEqual((leader, other), self.settled())
        self.assertLess(probe.stop()["outage_ms"], 25)
        self.assertEqual(1, self.times_led(leader))

    def test_a_leader_whose_lease_is_too_short_hands_over_first(self):
        leader, other = self.start_cluster(interval="2ms", misses=3)
        probe = self.probe()
        pid = self.agent(leader).pid
        done = self.restart(leader)
        self.assertIn("handed over", done.stdout)
        self.assertEqual(pid, self.agent(leader).pid)
        self.wait_for(lambda: self.reasons(leader, leader, "follower"), "it has handed over")
        self.assertIn("handover", " ".join(self.reasons(leader, leader, "follower")))
        self.assertLess(probe.stop()["outage_ms"], 200)

    def test_the_signal_does_it_too_and_a_stop_afterwards_is_clean(self):
        leader, other = self.start_cluster(interval="200ms", misses=5)
        before = self.pieces(leader)
        os.kill(self.agent(leader).pid, signal.SIGUSR2)
        self.wait_for(lambda: self.silences(leader), "it has restarted")
        self.assertEqual(before, self.pieces(leader))
        self.assertEqual(0, self.agent(leader).terminate())
        self.wait_leads(other)
        self.assertFalse(self.lab.hosts[leader].has_address(self.cluster.vip))
        self.assertEqual([other], answerers(self.observer, self.cluster.vip))

    def test_a_node_whose_link_is_down_restarts(self):
        """What it learns of its link while it begins is no reason to speak: its sockets are not
        there yet. (Found by tests/lab/nemesis --minutes 2 --seed 3 --shape routers: it crashed.)"""
        leader, other = self.start_cluster()
        self.lab.link_down(self.lab.hosts[leader])
        self.wait_leads(other)
        for _ in range(3):
            # Cut off, it asks for votes all the time: there is always something to say.
            self.wait_for(lambda: self.agent(leader).state() == "candidate", "it asks")
            before = len(self.silences(leader))
            self.restart(leader)
            self.wait_for(lambda n=before: len(self.silences(leader)) > n, "it has restarted")
        self.lab.heal()
        self.assertEqual((other, leader), self.settled())

    def test_a_stop_while_a_restart_is_under_way_is_a_stop(self):
        """(Found by tests/lab/nemesis --minutes 30 --seed 2026: the agent lived on.)"""
        leader, other = self.start_from()
        self.upgrade(leader, SLOW)
        asked = self.ask_restart(leader)
        pattern = f"{self.own(leader)} --rehearse"
        self.wait_for(lambda: pattern in run(["ps", "-eo", "args"]).stdout, "it rehearses")
        self.assertEqual(0, self.agent(leader).terminate())
        asked.wait(15)
        self.wait_leads(other)
        self.assertEqual([other], answerers(self.observer, self.cluster.vip))

    def test_a_leader_that_is_cut_off_after_a_restart_is_replaced(self):
        leader, other = self.start_cluster(interval="200ms", misses=5)
        self.restart(leader)
        self.lab.isolate(self.lab.hosts[leader])
        self.wait_leads(other)
        self.wait_for(lambda: self.agent(leader).state() != "leader", "the old leader gave up")
        self.wait_for(lambda: not self.lab.hosts[leader].has_address(self.cluster.vip),
                      "the old leader has taken the address off")
        self.lab.heal()
        self.assertEqual((other, leader), self.settled())


class Refused(UpgradeTest):
    def change(self, name, old, new):
        config = pathlib.Path(self.agent(name).config)
        text = config.read_text(encoding="utf-8")
        self.assertIn(old, text)
        config.write_text(text.replace(old, new), encoding="utf-8")
        return lambda: config.write_text(text, encoding="utf-8")

    def test_what_speaks_against_a_restart_is_told_and_nothing_has_moved(self):
        leader, _ = self.start_cluster(interval="200ms", misses=5)
        before, probe = self.pieces(leader), self.probe()
        cases = (("misses: 5", "misses: 4", "misses"),
                 ("cluster: lab", "cluster: other", "cluster"),
                 ("quorum: auto", "quorum: none", "quorum"),
                 ("vip: 192.0.2.100", "vip: 192.0.2.101", "addresses"),
                 ("vip: 192", "vp: 192", "vp"))
        started = self.agent(leader).status()["started"]
        for old, new, words in cases:
            with self.subTest(new=new):
                back = self.change(leader, old, new)
                done = self.restart(leader, check=False)
                self.assertEqual(1, done.returncode, done.stdout)
                self.assertIn(words, done.stderr)
                back()
        self.assertEqual(started, self.agent(leader).status()["started"])
        self.assertEqual(before, self.pieces(leader))
        self.assertLess(probe.stop()["outage_ms"], 25)

    def test_a_program_that_cannot_run_is_a_reason_and_a_new_one_is_taken(self):
        leader, _ = self.start_from(interval="200ms", misses=5)
        real = pathlib.Path(program("hamrd")).read_bytes()
        # Another machine's: the field is e_machine, and no kernel here knows that number.
        foreign = real[:18] + b"\xf3\xf3" + real[20:]
        bad_config = "#!/bin/sh\necho hamr.yaml:3:1: unknown key >&2; exit 78\n"
        own, pid = str(self.own(leader)), self.agent(leader).pid
        before, probe = self.pieces(leader), self.probe()
        started = self.agent(leader).status()["started"]
        no_program = (own, "is not a program that this host can run")
        cases = (("not executable", real, 0o644, (own, "Permission denied")),
                 ("another architecture", foreign, 0o755, no_program),
                 ("garbage", b"\0garbage", 0o755, no_program),
                 ("a cut-off file", real[:1 << 20], 0o755, (own,)),
                 ("refuses the configuration", bad_config, 0o755, ("3:1: unknown key",)),
                 ("an older one", "#!/bin/sh\necho unknown option >&2; exit 2\n", 0o755,
                  ("unknown option",)),
                 ("says something else", "#!/bin/sh\necho hamrd 9\n", 0o755,
                  ("does not know how to restart in place",)),
                 ("crashes", "#!/bin/sh\nkill -SEGV $$\n", 0o755, ("signal 11",)))
        for what, content, mode, words in cases:
            with self.subTest(what):
                self.upgrade(leader, content, mode)
                self.assert_refused(leader, *words)
        self.own(leader).unlink()
        self.assert_refused(leader, own, "No such file")
        self.assertEqual(started, self.agent(leader).status()["started"])
        self.assertEqual(before, self.pieces(leader))
        self.upgrade(leader, real)
        self.restart(leader)
        self.assertEqual(before, self.pieces(leader))
        self.assertEqual(own, os.readlink(f"/proc/{pid}/exe"))
        self.assertLess(probe.stop()["outage_ms"], RETRANSMISSION_MS)
        self.assertEqual(1, self.times_led(leader))

    def assert_refused(self, name, *words):
        """The one who asked is told why, and so is the log."""
        done = self.restart(name, check=False)
        log = pathlib.Path(self.agent(name).process.log).read_text(encoding="utf-8")
        self.assertEqual(1, done.returncode, done.stdout)
        for word in words:
            self.assertIn(word, done.stderr)
            self.assertIn(word, log)

    def test_a_program_that_vanishes_after_its_rehearsal(self):
        leader, _ = self.start_from(interval="200ms", misses=5)
        before, started = self.pieces(leader), self.agent(leader).status()["started"]
        self.upgrade(leader, FLEETING)
        os.kill(before["pid"], signal.SIGUSR2)
        self.wait_for(lambda: any(r.startswith("not restarted: execute") and "No such file" in r
                                  for r in self.reasons(leader)), "the history tells why")
        self.assertEqual((before, started),
                         (self.pieces(leader), self.agent(leader).status()["started"]))
        # Real-time again, and ready for the next order.
        self.assertIn("FF", self.r1.run("ps", "-L", "-o", "cls=", "-p", before["pid"]).stdout)
        self.upgrade(leader, pathlib.Path(program("hamrd")).read_bytes())
        self.restart(leader)
        self.assertEqual(before, self.pieces(leader))
        self.assertEqual(1, self.times_led(leader))

    def test_nothing_goes_over_by_accident(self):
        leader, _ = self.start_cluster(interval="200ms", misses=5)
        folder = f"/proc/{self.agent(leader).pid}/fd"
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.agent(leader).socket))
            self.agent(leader).status()  # so the connection has been accepted
            self.restart(leader)
            asking.settimeout(5)
            self.assertEqual(b"", asking.recv(1), "a client of the old program is let go")
        self.settled()
        before = len(os.listdir(folder))
        for _ in range(3):
            self.restart(leader)
        self.settled()
        self.wait_for(lambda: len(os.listdir(folder)) <= before, "no descriptor is left over")


@unittest.skipUnless(shutil.which("mariadbd"), "mariadb-server is not installed")
class Busy(UpgradeTest):
    """Connections of the embedded router while its agent restarts."""

    def test_a_thousand_busy_connections_notice_nothing(self):
        backend = self.serve()
        leader, other = self.start_cluster(backends=[backend], interval="200ms", misses=5)
        self.serves(leader)
        before, load = self.pieces(leader), self.load(BUSY)
        let_pass(1000)
        for name in (leader, other, leader, "witness1", leader):
            self.restart(name)
            let_pass(200)
        result = self.check_load(load, BUSY)
        self.assertEqual(before, self.pieces(leader))
        self.assertEqual((leader, other), self.settled())
        self.assertEqual(1, self.times_led(leader))
        self.assertEqual(0, result["retransmissions"])
        self.assertLess(max(result["longest_ms_by_slot"]), RETRANSMISSION_MS)

    def test_a_program_that_starts_slowly_hands_over_first_and_nobody_is_lost(self):
        backend = self.serve()
        leader, other = self.start_from(backends=[backend], interval="100ms", misses=5)
        self.serves(leader)
        load, pid = self.load(BUSY), self.agent(leader).pid
        self.upgrade(leader, SLOW)
        self.assertIn("restarted", self.restart(leader).stdout)
        self.assertEqual((other, leader), self.settled())
        self.assertEqual(pid, self.agent(leader).pid)
        self.assertIn("leadership has been handed over; restarting in place",
                      self.reasons(leader))
        # The same of a follower: the leader goes on.
        before = self.pieces(other)
        self.restart(leader)
        self.assertEqual((other, leader), self.settled())
        self.assertEqual(before, self.pieces(other))
        self.check_load(load, BUSY)

    def test_what_changes_while_the_agent_is_away_is_known_after_it(self):
        """Nobody reads the kernel's events for as long as the program is held, but the kernel
        routes: connections begin and end. Afterwards the peer knows, as the power cut shows."""
        backend = self.serve()
        leader, other = self.start_from(backends=[backend], interval="500ms", misses=5)
        self.serves(leader)
        stay, gone = self.load(30), self.load(40)
        self.same_flows(70)
        self.upgrade(leader, HELD)
        hold, pid = self.own(leader).with_suffix(".hold"), self.agent(leader).pid
        hold.touch()
        asked = self.ask_restart(leader)
        self.wait_for(lambda: pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii")
                      == "hamrd\n" and os.readlink(f"/proc/{pid}/exe") != str(self.own(leader))
                      and "sh" in os.readlink(f"/proc/{pid}/exe"), "the old program has ended")
        self.check_load(gone, 40)
        new = self.load(20)
        hold.unlink()
        said, _ = asked.communicate(timeout=20)
        self.assertEqual(0, asked.returncode, said)
        self.same_flows(50)
        self.assertEqual((50, 0), (self.told(leader)["own"], self.told(leader)["replicas"]))
        self.assertEqual((0, 50), (self.told(other)["own"], self.told(other)["replicas"]))
        self.assertEqual(1, self.times_led(leader))
        self.power_cut(leader)
        self.wait_leads(other)
        let_pass(1500)
        self.check_load(stay, 30)
        self.check_load(new, 20)


@unittest.skipIf(haproxy.missing(), haproxy.missing())
class WithHaproxy(UpgradeTest):
    """A router of its own goes on as it is."""

    def test_its_process_and_its_sessions_live(self):
        self.set_up_hosts()
        self.set_up_hosts = lambda witness=True: None
        Serve(self.lab.host("db1", 21), port=3306)
        for host in (self.r1, self.r2):
            haproxy.one_server(host)
        leader, other = self.start_cluster(
            interval="200ms", misses=5,
            router={"kind": "haproxy", "config": "{dir}/haproxy.cfg"},
            extra={"health": [{"kind": "tcp", "target": "127.0.0.1:6446", "interval": "50ms"}]})
        for name in (leader, other):
            self.wait_for(lambda n=name: self.process(n)["state"] == "running"
                          and self.demotion(n) == 0, f"the router of {name} serves", 20)
        before, load = self.pieces(leader), self.load(200)
        pids = {name: self.process(name)["pid"] for name in (leader, other)}
        for name in (leader, other, leader):
            self.restart(name)
            self.wait_for(lambda n=name: self.process(n)["state"] == "running", "it is adopted")
            process = self.process(name)
            self.assertEqual((pids[name], True, 0), (process["pid"], process["adopted"],
                                                     process["restarts"]))
        self.check_load(load, 200)
        self.assertEqual(before, self.pieces(leader))
        self.assertEqual((leader, other), self.settled())
        self.assertEqual([0, 0], [self.demotion(name) for name in (leader, other)])
        self.assertEqual(1, self.times_led(leader))

    def process(self, name):
        return self.agent(name).status()["router"]["process"]


if __name__ == "__main__":
    main()
