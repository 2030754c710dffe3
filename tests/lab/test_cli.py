#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What operators see: hamr's answers and exit codes, and what hamrd refuses to start with."""

import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import ClusterTest, answerers, footprint, haproxy, let_pass, main, program, run

NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]


class Answers(ClusterTest):
    def test_status_has_every_promised_key(self):
        leader, other = self.start_cluster(backends=["192.0.2.21:3306"])
        status = self.agent(leader).status()
        self.assertEqual(("lab", leader, "majority"),
                         (status["cluster"], status["node"], status["quorum"]))
        self.assertRegex(status["version"], r"^\d+\.\d+\.\d+")
        group = status["groups"]["default"]
        self.assertEqual((["192.0.2.100/24"], "leader", leader, 2),
                         (group["addresses"], group["state"], group["leader"], group["needed"]))
        self.assertGreaterEqual(group["votes"], 2)
        self.assertGreater(group["lease_ms"], 0)
        self.assertGreaterEqual(group["term"], 1)
        self.assertRegex(group["since"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertTrue(group["reason"])
        self.assertEqual({"router1": "router", "router2": "router", "witness1": "witness"},
                         {n: v["role"] for n, v in status["nodes"].items()})
        for node in status["nodes"].values():
            self.assertEqual({"role", "state", "demotion", "last_heard_ms", "drained"},
                             set(node) & {"role", "state", "demotion", "last_heard_ms", "drained"})
            self.assertEqual("alive", node["state"])
        self.assertEqual(0, status["nodes"][leader]["last_heard_ms"])
        router = status["router"]
        self.assertEqual(("embedded", 0), (router["kind"], router["flows"]))
        self.assertEqual("192.0.2.21:3306", router["backends"][0]["address"])
        self.assertLessEqual({"role", "state", "topology"}, set(router["backends"][0]))
        self.assertLessEqual({"bad_signature", "replayed", "wrong_cluster", "unknown_node",
                              "malformed"}, set(status["drops"]))
        for warning in status["warnings"]:
            self.assertTrue(warning["what"] and warning["remedy"])
        for name, state in ((other, "follower"), ("witness1", "witness")):
            group = self.agent(name).status()["groups"]["default"]
            self.assertEqual((state, leader), (group["state"], group["leader"]))

    def test_status_and_history_for_people(self):
        leader, other = self.start_cluster()
        text = self.agent(leader).hamr("status").stdout
        for word in ("192.0.2.100/24", leader, "this node", "majority", "witness1", "alive"):
            self.assertIn(word, text)
        self.assertNotIn("\x1b", text)
        self.agent(leader).failover()
        self.settled()
        entry = [e for e in self.agent(other).history() if e["to"] == "leader"
                 and e["node"] == other][-1]
        self.assertLessEqual({"time", "node", "group", "from", "to", "reason", "term"}, set(entry))
        self.assertIn("handover", entry["reason"])
        times = [e["time"] for e in self.agent(other).history()]
        self.assertEqual(sorted(times), times)
        text = self.agent(other).hamr("history").stdout
        self.assertIn("handover from " + leader, text)
        # It outlives the agent.
        self.agent(other).kill()
        self.agent(other).start().wait_ready()
        self.assertIn(entry["reason"], self.reasons(other, other, "leader"))

    def test_errors_have_codes_and_words(self):
        leader, _ = self.start_cluster()
        agent = self.agent(leader)
        cases = ((["failover", "--to", "router9"], 1, "unknown node"),
                 (["failover", "--group", "none-such"], 1, "unknown group"),
                 (["failover", "--to", "witness1"], 1, "witness"),
                 (["failover", "--to"], 2, "--to"), (["failovr"], 2, "failover"),
                 (["status", "--jsn"], 2, "--json"), (["status", "extra"], 2, "extra"),
                 ([], 2, "command"), (["check"], 2, "FILE"))
        for arguments, code, word in cases:
            with self.subTest(" ".join(arguments)):
                done = agent.hamr(*arguments, check=False)
                self.assertEqual((code, ""), (done.returncode, done.stdout))
                self.assertIn(word, done.stderr)
        self.assertEqual(0, agent.hamr("version").returncode)
        self.assertEqual("leader", agent.state())

    def test_an_agent_that_is_not_there_or_may_not_be_asked(self):
        leader, _ = self.start_cluster()
        agent = self.agent(leader)
        # hamr where nobody may read it, but the socket's directory or the socket may not be used.
        for path in (self.lab.dir, agent.host.dir):
            hamr = shutil.copy(program("hamr"), self.lab.dir / "hamr")
            path.chmod(0o711)
            with self.subTest(open=path.name):
                done = agent.host.run(*NOBODY, hamr, "--socket", agent.socket, "status",
                                      check=False)
                self.assertEqual(77, done.returncode, done.stderr)
                self.assertIn("permission", done.stderr)
        self.assertEqual(0, agent.terminate())
        for command in (["status"], ["history"], ["failover"], ["status", "--json"]):
            done = agent.hamr(*command, check=False)
            self.assertEqual((69, ""), (done.returncode, done.stdout))
            self.assertIn(str(agent.socket), done.stderr)

    def test_an_agent_that_hangs_is_told_apart(self):
        leader, _ = self.start_cluster()
        agent = self.agent(leader)
        agent.stop()
        done = agent.hamr("status", check=False)
        self.assertEqual(69, done.returncode)
        self.assertIn("did not answer", done.stderr)
        agent.cont()
        self.settled()

    def test_check_and_keygen_need_no_agent(self):
        self.make_cluster()
        agent = self.cluster.agent(self.r1)
        done = run([program("hamr"), "check", agent.config])
        self.assertIn("good", done.stdout)
        first, second = (run([program("hamr"), "keygen"]).stdout for _ in range(2))
        self.assertNotEqual(first, second)
        self.assertRegex(first, r"^[A-Za-z0-9_-]{1,16} [A-Za-z0-9+/]{43}=\n$")


class Drain(ClusterTest):
    """A node out of service and back, as an operator does it."""

    def drained(self, name, seen_from=None):
        return self.agent(seen_from or name).status()["nodes"][name]["drained"]

    def test_drain_moves_leadership_lasts_over_restarts_and_is_seen_everywhere(self):
        leader, other = self.start_cluster()
        agent = self.agent(leader)
        done = agent.hamr("drain", "--timeout", "2s")
        self.assertEqual("", done.stderr)
        self.assertIn(f"{leader}: leadership moved to {other}\n", done.stdout)
        self.assertIn(f"{leader}: drained", done.stdout.splitlines()[-1])
        self.assertEqual("drained", agent.status()["drain"]["state"])
        self.assertEqual("drained", agent.state())
        for name in (other, "witness1"):
            self.wait_for(lambda n=name: self.drained(leader, n), f"{name} knows")
            self.assertIn(f"{leader} is drained", self.agent(name).hamr("status").stdout)
        self.assertIn(f"{leader} (this node) is drained", agent.hamr("status").stdout)
        # Over a clean restart and a crash.
        for end in (agent.terminate, agent.kill):
            end()
            agent.start().wait_ready()
            self.wait_for(lambda: self.drained(leader, other), "it is drained again")
            self.assertEqual("drained", agent.status()["drain"]["state"])
        self.cluster.wait_settled()
        self.assertEqual(1, self.times_led(leader))
        # Nobody can make it lead by accident.
        refused = self.agent(other).hamr("failover", "--to", leader, check=False)
        self.assertEqual(1, refused.returncode)
        self.assertIn("drained", refused.stderr)
        done = agent.hamr("undrain")
        self.assertIn("takes part again", done.stdout)
        self.wait_for(lambda: not self.drained(leader, other), "it takes part again")
        # It has started a moment ago, and the leader hears a beat later that this is over.
        self.wait_for(lambda: self.agent(other).failover("--to", leader, check=False).returncode
                      == 0, "leadership can be moved to it")
        self.wait_leads(leader)
        self.assertIn("was not drained", agent.hamr("undrain").stdout)

    def test_drain_of_a_follower_moves_nothing(self):
        leader, other = self.start_cluster()
        term = self.term(leader)
        done = self.agent(other).hamr("drain")
        self.assertNotIn("leadership", done.stdout)
        self.assertIn(f"{other}: drained", done.stdout)
        self.assertEqual((leader, term), (self.cluster.wait_leader(), self.term(leader)))

    def test_drain_without_a_successor_is_refused_and_remembered(self):
        leader, other = self.start_cluster()
        self.agent(other).terminate()
        agent = self.agent(leader)
        done = agent.hamr("drain", check=False)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("no other node that is as healthy can lead", done.stderr)
        self.assertEqual("leader", agent.state())
        self.assertEqual("moving", agent.status()["drain"]["state"])
        self.assertIn("(this node) drains", agent.hamr("status").stdout)
        self.agent(other).start().wait_ready()
        self.wait_leads(other)
        self.wait_for(lambda: agent.status()["drain"]["state"] == "drained", "it is drained")

    def test_drain_on_a_witness_and_a_reload_of_nothing_new(self):
        leader, _ = self.start_cluster()
        for command in ("drain", "undrain"):
            done = self.agent("witness1").hamr(command, check=False)
            self.assertEqual((1, ""), (done.returncode, done.stdout))
            self.assertIn("witness", done.stderr)
        for name in (leader, "witness1"):
            started = self.agent(name).status()["started"]
            done = self.agent(name).hamr("reload")
            self.assertIn("nothing has changed", done.stdout)
            self.assertEqual(started, self.agent(name).status()["started"])
        self.assertEqual(2, self.agent(leader).hamr("drain", "--timeout", "30",
                                                    check=False).returncode)


class Supervised(ClusterTest):
    """What operators see of a router that the agent runs."""

    def start(self):
        if not shutil.which("haproxy"):
            self.skipTest("haproxy is not installed")
        self.make_cluster(
            router={"kind": "haproxy", "config": "{dir}/haproxy.cfg"},
            extra={"health": [
                {"kind": "tcp", "target": "127.0.0.1:6446", "interval": "50ms"},
                {"kind": "command", "command": ["/bin/ls", "{dir}/fine"], "name": "file is there",
                 "interval": "50ms", "weight": 7}]})
        database = self.lab.host("db1", 21)
        database.spawn("echo", ["socat", "TCP4-LISTEN:3306,fork,reuseaddr", "PIPE"])
        for host in (self.r1, self.r2):
            (host.dir / "fine").touch()
            haproxy.one_server(host)
        self.cluster.start()
        for name in ("router1", "router2"):
            self.wait_for(lambda n=name: self.agent(n).status()["router"]["state"] == "serving"
                          and self.demotion(n) == 0, f"the router of {name} serves", 20)
        return self.settled()

    def connect(self, name):
        """A client's connection to the router of that host itself, which stays open."""
        host = self.lab.hosts[name]
        connection = self.client.spawn(
            f"connection-{name}", ["socat", "-u", f"TCP4:{host.ipv4}:6446", "STDOUT"])
        self.wait_for(lambda: f"{host.ipv4}:6446" in self.client.run(
            "ss", "-Htn", "state", "established").stdout, "it is connected")
        return connection

    def test_status_shows_process_and_checks(self):
        leader, other = self.start()
        agent = self.agent(leader)
        status = agent.status()
        process = status["router"]["process"]
        self.assertEqual(("running", 0, "", False), (process["state"], process["restarts"],
                                                     process["unit"], process["adopted"]))
        self.assertGreater(process["pid"], 0)
        self.assertEqual([("tcp 127.0.0.1:6446", "tcp", "up", 100, False),
                          ("file is there", "command", "up", 7, False)],
                         [(c["name"], c["kind"], c["state"], c["weight"], c["fatal"])
                          for c in status["checks"]])
        text = agent.hamr("status").stdout
        for words in ("all is well", "router haproxy", f"running, pid {process['pid']}",
                      "tcp 127.0.0.1:6446", "file is there", "up "):
            self.assertIn(words, text)
        # What is wrong stands at the top, with its reason, and moves leadership.
        (self.lab.hosts[leader].dir / "fine").unlink()
        self.wait_leads(other)
        self.wait_for(lambda: self.demotion(leader) == 7, "it weighs 7")
        top = agent.hamr("status").stdout.split("\n\n")[0]
        self.assertIn("not well", top)
        self.assertIn("- check file is there down: ", top)
        self.assertIn("No such file", " ".join(top.split()))
        self.assertIn("what to do", top)
        longest = max(len(line) for line in agent.hamr("status").stdout.splitlines())
        self.assertLessEqual(longest, 100)

    def test_drain_waits_for_connections_and_tells_how_many(self):
        leader, other = self.start()
        connection = self.connect(leader)
        drain = self.lab.hosts[leader].spawn(
            "drain", [*self.agent(leader).command, "drain", "--timeout", "60s"])
        said = pathlib.Path(drain.log)
        self.wait_for(lambda: "1 connection left, " in said.read_text(encoding="utf-8"),
                      "it tells of the connection", 20)
        self.assertEqual(1, self.agent(leader).status()["drain"]["connections"])
        connection.terminate()
        self.assertEqual(0, drain.wait(20), said.read_text(encoding="utf-8"))
        lines = said.read_text(encoding="utf-8").splitlines()
        self.assertIn(f"{leader}: leadership moved to {other}", lines)
        self.assertEqual(f"{leader}: drained", lines[-1])

    def test_drain_cuts_what_outlasts_its_limit(self):
        leader, _ = self.start()
        self.connect(leader)
        done = self.agent(leader).hamr("drain", "--timeout", "500ms")
        self.assertIn("1 connection", done.stdout)
        self.assertRegex(done.stdout.splitlines()[-1], rf"^{leader}: drained")
        self.wait_for(lambda: ":6446" not in self.client.run(
            "ss", "-Htn", "state", "established").stdout, "it is cut")
        self.agent(leader).hamr("undrain")
        self.wait_for(lambda: self.agent(leader).status()["router"]["state"] == "serving",
                      "it serves again", 20)

    def test_reload_in_the_routers_own_way(self):
        leader, _ = self.start()
        agent, host = self.agent(leader), self.lab.hosts[leader]
        pid = agent.status()["router"]["process"]["pid"]
        file = host.dir / "haproxy.cfg"
        good = file.read_text(encoding="ascii")
        file.write_text(good + "    bind 0.0.0.0:6447\n", encoding="ascii")
        done = agent.hamr("reload")
        self.assertIn("haproxy has reloaded", done.stdout)
        self.wait_for(lambda: ":6447" in host.run("ss", "-Htln").stdout, "it has the new port")
        self.assertEqual(pid, agent.status()["router"]["process"]["pid"])
        file.write_text(good + "    nonsense\n", encoding="ascii")
        done = agent.hamr("reload", check=False)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("nonsense", done.stderr)
        self.assertEqual(leader, self.cluster.wait_leader())
        self.assertEqual("serving", agent.status()["router"]["state"])


class Start(ClusterTest):
    """What hamrd refuses to start with: the reason, the code, and nothing changed."""

    def setUp(self):
        super().setUp()
        self.make_cluster(backends=["192.0.2.21:3306"])
        self.before = footprint(self.r1)

    def refused(self, argv, code, *words, env=None):
        process = self.r1.spawn("refused", argv, env=env)
        got = process.wait(15)
        said = pathlib.Path(process.log).read_text(encoding="utf-8")
        self.assertEqual(code, got, said)
        for word in words:
            self.assertIn(word, said)
        pathlib.Path(process.log).unlink()
        return said

    def hamrd(self, agent, *prefix):
        return [*prefix, program("hamrd"), "--config", agent.config, "--node", agent.host.name,
                "--socket", agent.socket]

    def assert_nothing_started(self):
        self.assertEqual(self.before, footprint(self.r1))
        self.assertFalse((self.r1.dir / "hamrd.sock").exists())

    def test_every_problem_of_a_configuration_with_its_place(self):
        agent = self.cluster.agent(self.r1)
        good = agent.config.read_text(encoding="utf-8")
        cases = (("cluster:", "clustre:", ["cluster"]), ("20ms", "1ms", ["interval"]),
                 ("20ms", "2s", ["interval"]), ("misses: 5", "misses: 1", ["misses"]),
                 ("misses: 5", "misses: 5\n  colour: red", ["colour"]),
                 ("192.0.2.12", "192.0.2.11", ["192.0.2.11"]),
                 ("192.0.2.100/24", "192.0.2.11/24", ["192.0.2.11"]),
                 ("quorum: auto", "quorum: autos\nvip2: x", ["autos", "vip2"]),
                 ("quorum: auto", "quorum: [", []))
        place = re.compile(re.escape(str(agent.config)) + r":\d+:\d+: \S")
        for old, new, words in cases:
            with self.subTest(new):
                self.assertIn(old, good)
                agent.config.write_text(good.replace(old, new), encoding="utf-8")
                said = self.refused(self.hamrd(agent), 78, *words)
                self.assertTrue(all(place.match(line) for line in said.splitlines()), said)
                self.assertGreaterEqual(len(said.splitlines()), max(1, len(words)))
                done = run([program("hamr"), "check", agent.config], check=False)
                self.assertEqual(78, done.returncode)
                self.assertIn(done.stderr.splitlines()[0], said)
        self.assert_nothing_started()

    def test_files_and_names_that_do_not_fit(self):
        agent = self.cluster.agent(self.r1)
        command = self.hamrd(agent)
        key = self.r1.dir / "hamr.key"
        key.chmod(0o644)
        self.refused(command, 78, str(key), "chmod 600")
        key.chmod(0o600)
        key.write_text("k1 too-short\n", encoding="ascii")
        self.refused(command, 78, f"{key}:1:")
        key.unlink()
        self.refused(command, 78, str(key))
        key.write_text(self.cluster.key, encoding="ascii")
        key.chmod(0o600)
        password = self.r1.dir / "monitor.password"
        password.chmod(0o640)
        self.refused(command, 78, str(password), "chmod 600")
        password.chmod(0o600)
        self.refused([*command, "--node", "router9"], 78, "router9", "router1")
        self.refused([program("hamrd"), "--config", "/nonexistent/hamr.yaml"], 78, "/nonexistent")
        self.refused([program("hamrd"), "--confg", "x"], 2, "--help")
        self.assert_nothing_started()

    def test_a_node_finds_itself_by_its_address(self):
        agent = self.cluster.agent(self.r1)
        agent.process = self.r1.spawn("hamrd", [program("hamrd"), "--config", agent.config,
                                                "--socket", agent.socket])
        agent.wait_ready()
        self.assertEqual("router1", agent.status()["node"])
        self.assertEqual(0, agent.terminate())
        self.assert_nothing_started()

    def test_missing_capabilities_are_named(self):
        agent = self.cluster.agent(self.r1)
        for without, word in (("-net_admin", "CAP_NET_ADMIN"), ("-bpf,-sys_admin", "CAP_BPF"),
                              ("-net_raw", "CAP_NET_RAW")):
            with self.subTest(without):
                self.refused(self.hamrd(agent, "setpriv", "--bounding-set", without), 77, word)
                self.assert_nothing_started()

    def test_as_somebody_else_it_says_no_permission(self):
        agent = self.cluster.agent(self.r1)
        self.lab.dir.chmod(0o711)
        hamrd = shutil.copy(program("hamrd"), self.lab.dir / "hamrd")
        self.refused([*NOBODY, hamrd, *self.hamrd(agent)[1:]], 77, "ermission")
        self.assert_nothing_started()

    def test_without_nftables_it_names_the_package(self):
        agent = self.cluster.agent(self.r1)
        hide = "mount -t tmpfs none /usr/sbin && exec \"$@\""
        said = self.refused(self.hamrd(agent, "sh", "-c", hide, "sh"), 1, "nft")
        self.assertIn("nftables", said)
        self.assert_nothing_started()

    def test_two_agents_on_one_host(self):
        self.cluster.start()
        leader, other = self.settled()
        agent = self.agent("router1")
        before = footprint(self.r1)
        self.refused(self.hamrd(agent), 1, "running")
        self.refused([*self.hamrd(agent)[:-1], str(self.r1.dir / "another.sock")], 1)
        self.assertEqual(before, footprint(self.r1))
        self.assertEqual((leader, other), self.settled())
        self.assertEqual(1, self.times_led(leader))
        # A socket that a dead agent left is no obstacle.
        agent.kill()
        self.assertTrue(agent.socket.exists())
        agent.start().wait_ready()

    def test_an_interface_that_comes_later(self):
        self.make_cluster_with_late_link()
        late = self.cluster.agents["router2"]
        told = " ".join(w["what"] for w in late.status()["warnings"])
        self.assertIn("eth1", told)
        self.assertGreater(self.demotion("router2"), 0)
        self.assertIn("eth1", self.agent("router2").hamr("status").stdout)
        self.r2.add_link("eth1", "service", addresses=["198.51.100.12/24"])
        self.wait_for(lambda: self.demotion("router2") == 0, "it goes on")
        self.assertEqual([], late.status()["warnings"])
        self.settled()
        self.wait_for(lambda: self.agent("router2").state() == "follower", "it may lead")
        self.agent("router1").failover("--to", "router2")
        self.wait_for(lambda: self.r2.has_address("198.51.100.100"), "it holds the address")

    def make_cluster_with_late_link(self):
        self.lab.add_bridge("service")
        del self.cluster.config["vip"]
        self.cluster.config["vips"] = {"default": {"addresses": ["198.51.100.100/24"],
                                                   "interface": "eth1"}}
        self.cluster.config["router"] = {"kind": "none"}
        self.r1.add_link("eth1", "service", addresses=["198.51.100.11/24"])
        self.cluster.start()
        self.wait_leads("router1")

    def test_a_host_whose_network_comes_later(self):
        late = self.lab.host("router3", 14, link=False)
        self.cluster.routers.append(late)
        self.cluster.config["nodes"]["router3"] = late.ipv4
        self.cluster.start()
        agent = late.agent
        let_pass(300)
        self.assertEqual("never_heard", agent.status()["nodes"]["router1"]["state"])
        self.assertTrue(agent.status()["warnings"])
        late.add_link()
        self.settled()
        self.wait_for(lambda: agent.state() == "follower", "it follows")
        self.agent(self.cluster.wait_leader()).failover("--to", "router3")
        self.wait_for(lambda: answerers(self.observer, self.cluster.vip) == ["router3"], "it leads")


if __name__ == "__main__":
    main()
