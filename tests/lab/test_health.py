#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Health checks: each kind against the real thing, and what the checks of two hosts decide."""

import json
import os
import pathlib
import shutil
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import ClusterTest, MariaDb, let_pass, main, mysql9, run
from hamrlab.innodb_cluster import plugin_folder
from hamrlab.mariadb import MONITOR

PAGE_USER = ("watcher", "page-secret")
QUICK = {"interval": "50ms", "timeout": "2s"}

_HAPROXY = """global
    master-worker
    pidfile {dir}/haproxy.pid
defaults
    timeout connect 1s
    timeout client 1h
    timeout server 1h
listen mysql
    mode tcp
    bind 127.0.0.1:6446
    server db1 192.0.2.21:3306 check inter 100ms fall 2 rise 1
listen page
    mode http
    bind 127.0.0.1:8404
    stats enable
    stats uri /
    stats auth {user}:{password}
"""

# As Nagios' plugins speak: words, figures behind a bar, an exit code. A file decides.
_SCRIPT = """#!/bin/sh
echo run >>{dir}/runs
if [ -e {dir}/sick ]; then echo "CRITICAL - out of sorts | load=9"; exit 2; fi
echo "OK - in good spirits | load=1"
"""

_ROUTER = """[DEFAULT]
plugin_folder={plugins}
logging_folder=
runtime_folder={dir}
data_folder={dir}
[logger]
level=INFO
[routing:rw]
bind_address=127.0.0.1
bind_port=6446
destinations=192.0.2.21:3306
routing_strategy=first-available
protocol=classic
connect_timeout=1
client_ssl_mode=PREFERRED
client_ssl_cert={tls}/server.pem
client_ssl_key={tls}/server.key
[http_server]
bind_address=127.0.0.1
port=8081
[http_auth_realm:realm]
backend=file
method=basic
name=realm
[http_auth_backend:file]
backend=file
filename={dir}/rest.passwd
[rest_api]
[rest_routing]
require_realm=realm
"""


def certificate(directory, address):
    """A CA, and a certificate of it for `address`: server.pem, server.key, ca.pem."""
    directory.mkdir()
    for name in ("ca", "stranger"):
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", f"/CN=lab {name}", "-keyout", directory / f"{name}.key",
             "-out", directory / f"{name}.pem"], timeout=30)
    run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=lab server",
         "-keyout", directory / "server.key", "-out", directory / "server.csr"], timeout=30)
    (directory / "names").write_text(f"subjectAltName=IP:{address}\n", encoding="ascii")
    run(["openssl", "x509", "-req", "-days", "2", "-in", directory / "server.csr",
         "-CA", directory / "ca.pem", "-CAkey", directory / "ca.key", "-CAcreateserial",
         "-extfile", directory / "names", "-out", directory / "server.pem"], timeout=30)
    return [f"--ssl-{option}={directory / file}" for option, file in
            (("ca", "ca.pem"), ("cert", "server.pem"), ("key", "server.key"))]


class HealthTest(ClusterTest):
    def set_up_hosts(self, witness=True):
        super().set_up_hosts(witness)
        self.routers = (self.r1, self.r2)

    def start_checked(self, *checks, **options):
        """Checks on both hosts; the agents start when prepare() has readied every host."""
        self.make_cluster(extra={"health": list(checks)}, **options)
        for host in self.routers:
            self.prepare(host)
        self.cluster.start()
        for host in self.routers:
            for check in checks:
                self.wait_check(host.name, check["name"], "up")
        self.leader, self.follower = self.settled()
        self._led_before = {name: self._led(name) - (name == self.leader)
                            for name in ("router1", "router2")}
        return self.leader, self.follower

    def prepare(self, host):
        script = host.dir / "check"
        script.write_text(_SCRIPT.format(dir=host.dir), encoding="ascii")
        script.chmod(0o755)

    def check(self, host, name):
        return next(c for c in self.agent(host).status()["checks"] if c["name"] == name)

    def wait_check(self, host, name, state, words="", timeout=15):
        """Waits until the check is so and has said this; returns it."""
        def so():
            check = self.check(host, name)
            return check["state"] == state and words in check["output"] and check
        return self.wait_for(so, f"{host}: check {name} is {state} and says \"{words}\"", timeout)

    def sicken(self, host, sick=True, file="sick"):
        path = self.lab.hosts[host].dir / file
        if sick:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def assert_nothing_moved(self, term):
        self.assertEqual((self.leader, self.follower), self.settled())
        self.assertEqual((1, term), (self.times_led(self.leader), self.term(self.leader)))


@unittest.skipUnless(shutil.which("mariadbd") and shutil.which("haproxy"),
                     "mariadb-server or haproxy is not installed")
class Kinds(HealthTest):
    """MariaDB behind HAProxy."""

    checks = (
        {"kind": "mysql", "name": "stranger", "target": "127.0.0.1:6446", **QUICK},
        {"kind": "mysql", "name": "user", "target": "127.0.0.1:6446", "user": MONITOR[0],
         "password_file": "{dir}/monitor.password", "query": "SELECT @@server_id", **QUICK},
        {"kind": "tcp", "name": "port", "target": "127.0.0.1:6446", **QUICK},
        {"kind": "http", "name": "page", "url": "http://127.0.0.1:8404/", "user": PAGE_USER[0],
         "password_file": "{dir}/page.password", "contains": "Statistics Report", **QUICK},
        {"kind": "process", "name": "process", "process": "haproxy",
         "pid_file": "{dir}/haproxy.pid", **QUICK},
        {"kind": "command", "name": "script", "command": ["{dir}/check"], **QUICK},
    )

    def prepare(self, host):
        super().prepare(host)
        for file, text in (("monitor.password", MONITOR[1]), ("page.password", PAGE_USER[1])):
            path = host.dir / file
            path.write_text(text + "\n", encoding="ascii")
            path.chmod(0o600)
        config = host.dir / "haproxy.cfg"
        config.write_text(_HAPROXY.format(dir=host.dir, user=PAGE_USER[0], password=PAGE_USER[1]),
                          encoding="ascii")
        self.haproxy = getattr(self, "haproxy", {})
        self.haproxy[host.name] = host.spawn("haproxy", ["haproxy", "-W", "-db", "-f", config,
                                                         "-p", host.dir / "haproxy.pid"])

    def test_each_says_what_it_finds(self):
        database = MariaDb(self.lab.host("db1", 21)).start()
        leader, follower = self.start_checked(*self.checks)
        for name, words in (("stranger", "a server answered (access denied is what was expected"),
                            ("user", '"SELECT @@server_id" gave 21 (MariaDB 1'),
                            ("port", "127.0.0.1:6446 accepted a connection"),
                            ("page", "HTTP 200 from http://127.0.0.1:8404/ contains"),
                            ("process", "runs (haproxy)"), ("script", "OK - in good spirits")):
            check = self.wait_check(leader, name, "up", words)
            self.assertIsNotNone(check["since"])
        self.assertNotIn("load=", self.check(leader, "script")["output"])
        term = self.term(leader)
        # All hosts lose the server at once: it shows, and nothing moves.
        database.kill()
        for host in (leader, follower):
            self.wait_check(host, "user", "down", "closed without a greeting")
            self.wait_check(host, "stranger", "down", "closed without a greeting")
            self.assertEqual("up", self.check(host, "port")["state"], "HAProxy goes on accepting")
        let_pass(1000)
        self.assert_nothing_moved(term)
        database.start()
        for host in (leader, follower):
            self.wait_check(host, "user", "up")
        # A server that is stopped is found out, though its kernel accepts.
        database.process.stop()
        for host in (leader, follower):
            self.wait_check(host, "user", "down", "")
            self.wait_check(host, "stranger", "down", "")
        database.process.cont()
        self.wait_check(leader, "user", "up")
        self.wait_check(leader, "stranger", "up", timeout=40)
        # The leader's HAProxy dies: its host alone is sick.
        self.wait_check(follower, "user", "up", timeout=40)
        self.wait_check(follower, "stranger", "up", timeout=40)
        self.haproxy[leader].kill()
        for pid in run(["ip", "netns", "pids", self.lab.hosts[leader].namespace]).stdout.split():
            if pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii") == "haproxy\n":
                os.kill(int(pid), signal.SIGKILL)
        self.wait_leads(follower)
        self.wait_check(leader, "process", "down", "does not run")
        self.wait_check(leader, "port", "down", "connection refused by 127.0.0.1:6446")
        self.wait_check(leader, "page", "down", "connection refused by 127.0.0.1:8404")
        self.assertIn("handover", self.reasons(leader, leader, "follower")[-1])

    def test_secrets_are_not_shown(self):
        MariaDb(self.lab.host("db1", 21)).start()
        leader, _ = self.start_checked(*self.checks)
        for text in (self.agent(leader).hamr("status").stdout, json.dumps(
                self.agent(leader).status()), pathlib.Path(
                    self.agent(leader).process.log).read_text(encoding="utf-8")):
            self.assertNotIn(MONITOR[1], text)
            self.assertNotIn(PAGE_USER[1], text)


class Decisions(HealthTest):
    """A script on each host, told by a file what to say."""

    script = {"kind": "command", "name": "script", "command": ["{dir}/check"], "interval": "50ms"}

    def test_a_sick_leader_hands_over_and_does_not_come_back(self):
        leader, follower = self.start_checked(self.script)
        self.sicken(leader)
        self.wait_leads(follower)
        check = self.wait_check(leader, "script", "down",
                                "exit code 2 (critical): CRITICAL - out of sorts")
        self.assertEqual((100, False), (check["weight"], check["fatal"]))
        self.assertEqual(100, self.demotion(leader))
        self.assertIn("out of sorts", self.agent(leader).hamr("status").stdout)
        self.sicken(leader, False)
        self.wait_for(lambda: self.demotion(leader) == 0, "it is well again")
        let_pass(500)
        self.assertEqual((follower, leader), self.settled())
        self.assertEqual(1, self.times_led(follower))

    def test_when_all_are_sick_nothing_moves(self):
        leader, follower = self.start_checked(self.script)
        term = self.term(leader)
        for host in (leader, follower):
            self.sicken(host)
        for host in (leader, follower):
            self.wait_check(host, "script", "down")
        let_pass(1000)
        self.assert_nothing_moved(term)
        # The follower recovers first: it is better now.
        self.sicken(follower, False)
        self.wait_leads(follower)

    def test_weights_are_added_and_compared(self):
        light = {**self.script, "name": "light", "weight": 10,
                 "command": ["/usr/bin/test", "!", "-e", "{dir}/light"]}
        heavy = {**self.script, "name": "heavy", "weight": 100,
                 "command": ["/usr/bin/test", "!", "-e", "{dir}/heavy"]}
        shown = {**self.script, "name": "shown", "weight": 0,
                 "command": ["/usr/bin/test", "!", "-e", "{dir}/shown"]}
        leader, follower = self.start_checked(light, heavy, shown)
        term = self.term(leader)
        self.sicken(leader, file="shown")
        self.wait_check(leader, "shown", "down")
        self.sicken(follower, file="heavy")
        self.wait_check(follower, "heavy", "down")
        self.sicken(leader, file="light")
        self.wait_check(leader, "light", "down")
        let_pass(500)
        self.assert_nothing_moved(term)
        self.assertEqual((10, 100), (self.demotion(leader), self.demotion(follower)))
        self.sicken(leader, file="heavy")
        self.wait_leads(follower)
        self.assertEqual(110, self.demotion(leader))

    def test_a_fatal_check_outweighs_all_others(self):
        fatal = {**self.script, "name": "fatal", "fatal": True}
        other = {"kind": "command", "name": "other", "interval": "50ms", "weight": 999999,
                 "command": ["/usr/bin/test", "!", "-e", "{dir}/other"]}
        leader, follower = self.start_checked(fatal, other)
        self.sicken(follower, file="other")
        self.wait_check(follower, "other", "down")
        self.sicken(leader)
        self.wait_leads(follower)
        self.assertTrue(self.check(leader, "fatal")["fatal"])

    def test_flapping_is_damped_and_shown(self):
        check = {**self.script, "rise": 2, "fall": 1, "interval": "20ms"}
        leader, follower = self.start_checked(check)
        runs = self.lab.hosts[leader].dir / "runs"

        def good_runs_needed():
            self.sicken(leader)
            self.wait_check(leader, "script", "down")
            before = runs.read_text(encoding="ascii").count("run")
            self.sicken(leader, False)
            self.wait_check(leader, "script", "up")
            return runs.read_text(encoding="ascii").count("run") - before

        for flaps in range(5):
            needed = good_runs_needed()
            self.assertGreaterEqual(needed, 2 << min(flaps, 3))
            self.assertEqual(flaps, self.check(leader, "script")["flaps"])
        self.assertIn("it flaps", pathlib.Path(self.agent(leader).process.log).read_text(
            encoding="utf-8"))
        self.assertEqual((follower, leader), self.settled())
        self.assertEqual(1, self.times_led(follower), "leadership went once, and stayed")

    def test_a_check_that_hangs_is_killed_and_delays_no_other(self):
        hangs = {"kind": "command", "name": "hangs", "interval": "100ms", "timeout": "300ms",
                 "weight": 0, "command": ["/bin/sh", "-c", "trap '' TERM; exec sleep 4711"]}
        self.make_cluster(extra={"health": [hangs, self.script]})
        for host in self.routers:
            self.prepare(host)
        self.cluster.start()
        for host in self.routers:
            self.wait_check(host.name, "hangs", "down",
                            "/bin/sh did not end within 300 ms and was killed")
            self.wait_check(host.name, "script", "up")
        leader, _ = self.settled()
        runs = self.lab.hosts[leader].dir / "runs"
        before = runs.read_text(encoding="ascii").count("run")
        self.wait_for(lambda: runs.read_text(encoding="ascii").count("run") > before + 20,
                      "the other check goes on")
        namespace = self.lab.hosts[leader].namespace
        self.agent(leader).terminate()
        self.assertEqual("", run(["ip", "netns", "pids", namespace]).stdout.strip(),
                         "no process is left")


def _missing():
    return mysql9.missing() or (None if shutil.which("openssl") else "openssl is not installed")


class WithMysql9(HealthTest):
    """A real MySQL 9 with caching_sha2_password, directly and behind MySQL Router."""

    @classmethod
    def setUpClass(cls):
        if why := _missing():
            raise unittest.SkipTest(why)
        super().setUpClass()

    def user_check(self, name, **more):
        return {"kind": "mysql", "name": name, "target": "192.0.2.21:3306",
                "user": mysql9.MONITOR[0], "password_file": "{dir}/monitor.password",
                "query": "SELECT VARIABLE_VALUE FROM performance_schema.session_status"
                         " WHERE VARIABLE_NAME = 'Ssl_version'", **QUICK, **more}

    def prepare(self, host):
        super().prepare(host)
        for file, text in (("monitor.password", mysql9.MONITOR[1]),
                           ("rest.password", "rest-secret"), ("wrong.password", "wrong")):
            path = host.dir / file
            path.write_text(text + "\n", encoding="ascii")
            path.chmod(0o600)

    def start_database(self, *options):
        host = self.lab.host("db1", 21)
        self.database = mysql9.Mysql9(host, options=options).start().wait_ready()
        return self.database

    def test_logins_with_and_without_tls(self):
        tls = certificate(self.lab.dir / "tls", "192.0.2.21")
        database = self.start_database(*tls)
        ca = self.lab.dir / "tls" / "ca.pem"
        leader, _ = self.start_checked(
            {"kind": "mysql", "name": "stranger", "target": "192.0.2.21:3306", **QUICK},
            self.user_check("open", query="SELECT 1"), self.user_check("encrypted", tls="required"),
            self.user_check("verified", tls="verified", ca_file=ca))
        self.wait_check(leader, "stranger", "up", f"MySQL {mysql9.version()})")
        for name in ("encrypted", "verified"):
            self.wait_check(leader, name, "up", "gave TLSv1.3")
        # Without the server's memory of passwords each login is a full one: under the server's
        # public key, or through TLS.
        for name in ("open", "encrypted", "verified"):
            database.sql("FLUSH PRIVILEGES")
            let_pass(200)
            self.assertEqual("up", self.check(leader, name)["state"])
        database.sql("SET PERSIST require_secure_transport = ON")
        self.wait_check(leader, "open", "down", "(3159)")
        self.wait_check(leader, "stranger", "up", "a server answered (")
        self.assertEqual("up", self.check(leader, "verified")["state"])
        database.sql("SET PERSIST require_secure_transport = OFF")
        self.wait_check(leader, "open", "up")
        errors = database.sql("SELECT COALESCE(SUM(SUM_CONNECT_ERRORS), 0)"
                              " FROM performance_schema.host_cache")
        self.assertEqual("0", errors, "no handshake was broken off")

    def test_certificates_that_do_not_convince(self):
        self.start_database(*certificate(self.lab.dir / "tls", "192.0.2.77"))
        ca, stranger = (self.lab.dir / "tls" / f"{name}.pem" for name in ("ca", "stranger"))
        self.make_cluster(extra={"health": [
            self.user_check("elsewhere", tls="verified", ca_file=ca),
            self.user_check("stranger", tls="verified", ca_file=stranger)]})
        for host in self.routers:
            self.prepare(host)
        self.cluster.start()
        for name in ("elsewhere", "stranger"):
            self.wait_check("router1", name, "down", "TLS failed")

    def start_router(self, host):
        passwords = host.dir / "rest.passwd"
        run([mysql9.program("mysqlrouter_passwd"), "set", passwords, "watcher"],
            stdin="rest-secret\n")
        config = host.dir / "mysqlrouter.conf"
        config.write_text(_ROUTER.format(dir=host.dir, tls=self.lab.dir / "tls",
                                         plugins=plugin_folder()), encoding="ascii")
        self.router = getattr(self, "router", {})
        self.router[host.name] = host.spawn("mysqlrouter", [
            mysql9.program("mysqlrouter"), "-c", config],
            env={"ROUTER_PID": str(host.dir / "mysqlrouter.pid")})

    def test_behind_mysql_router(self):
        database = self.start_database()
        certificate(self.lab.dir / "tls", "127.0.0.1")
        self.make_cluster()
        for host in self.routers:
            self.start_router(host)
        rest = {"kind": "http", "url": "http://127.0.0.1:8081/api/20190715/routes/rw/health",
                "user": "watcher", "weight": 0, **QUICK}
        self.cluster.config["health"] = [
            {"kind": "mysql", "name": "stranger", "target": "127.0.0.1:6446", **QUICK},
            self.user_check("user", target="127.0.0.1:6446", query="SELECT @@server_id"),
            self.user_check("tls", target="127.0.0.1:6446", query="SELECT @@server_id",
                            tls="verified", ca_file=self.lab.dir / "tls" / "ca.pem"),
            {**rest, "name": "rest", "password_file": "{dir}/rest.password"},
            {**rest, "name": "wrong", "password_file": "{dir}/wrong.password"}]
        for host in self.routers:
            self.prepare(host)
        self.cluster.start()
        for host in self.routers:
            self.wait_check(host.name, "stranger", "up", "a server answered (access denied")
            self.wait_check(host.name, "user", "up", "gave 21")
            self.wait_check(host.name, "tls", "up", "gave 21")
            self.wait_check(host.name, "rest", "up", "HTTP 200")
            self.wait_check(host.name, "wrong", "down", "wrong or missing credentials")
        self.leader, self.follower = self.settled()
        self._led_before = {n: self._led(n) - (n == self.leader) for n in ("router1", "router2")}
        term = self.term(self.leader)
        # The router greets all the same: its greeting proves nothing.
        database.kill()
        for host in self.routers:
            for name in ("stranger", "user"):
                self.wait_check(host.name, name, "down", "no server can be reached behind it")
            self.wait_check(host.name, "tls", "down")
        let_pass(500)
        self.assert_nothing_moved(term)
        database.start().wait_ready()
        for host in self.routers:
            for name in ("stranger", "user", "tls"):
                self.wait_check(host.name, name, "up", timeout=30)
        # A router that hangs.
        self.router[self.leader].stop()
        self.wait_leads(self.follower)
        for name in ("stranger", "user"):
            self.wait_check(self.leader, name, "down", "accepted and never greeted within 2000 ms")
        self.router[self.leader].cont()


if __name__ == "__main__":
    main()
