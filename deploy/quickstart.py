# SPDX-License-Identifier: GPL-2.0-or-later
"""The show behind deploy/quickstart, which installs and builds first: hosts, servers, agents, a
client that never stops asking, and a leader that is cut off."""

import argparse
import os
import shlex
import signal
import sys
import time

from quickstart_routers import KINDS, ROOT
from hamrlab import Lab, LabError, Probe, Sql, answerers, now_ns, wait_for
from hamrlab.mariadb import APPLICATION

# Above this the show has failed, whatever the machine.
LONGEST_OUTAGE_MS = 5000


def say(text=""):
    print(text, flush=True)


def step(text):
    say(f"  - {text}")


def title(text):
    say(f"\n{text}\n{'-' * len(text)}")


def indented(text):
    for line in text.rstrip().splitlines():
        say(f"    {line}".rstrip())


class Show:
    def __init__(self, lab, kind):
        self.lab = lab
        self.stage = KINDS[kind](step)
        self.routers = [lab.host("router1", 11), lab.host("router2", 12)]
        self.witness = lab.host("witness1", 13)
        self.databases = [lab.host(f"db{n}", 20 + n) for n in range(1, self.stage.databases + 1)]
        self.client = lab.host("client", 50)
        self.observer = lab.host("observer", 51)
        self.cluster = None
        self.sql = None
        self.ok = True

    @property
    def target(self):
        return f"{self.cluster.vip}:{self.stage.port}"

    def build_up(self):
        self.stage.start_databases(self.databases)
        self.cluster = self.stage.cluster(self.lab, self.routers, self.witness)
        self.cluster.start()
        for host in self.routers:
            self.wait_serving(host.name)
        leader = self.cluster.wait_settled()
        step(f"agents on router1, router2 and witness1: {leader} leads, "
             f"{self.cluster.vip} is its address")
        if self.stage.supervised:
            pids = [self.router(host.name)["process"]["pid"] for host in self.routers]
            step(f"the agents of router1 and router2 run {self.stage.program} (pids "
                 f"{pids[0]} and {pids[1]})")
        self.start_queries()
        step(f"a client queries {self.target} without pause, each time over a new connection")
        return leader

    def router(self, name):
        return self.cluster.agents[name].status()["router"]

    def wait_serving(self, name):
        wait_for(lambda: self.router(name)["state"] == "serving", f"{name} serves", 30,
                 lab=self.lab)

    def start_queries(self):
        # A router of its own process answers a new connection later than the kernel does.
        timeout = 250 if self.stage.supervised else 25
        self.sql = Sql(self.client, to=self.target, user=APPLICATION[0], password=APPLICATION[1],
                       timeout_ms=timeout).wait_event("answered", 20)

    def standing_connection(self):
        """A client that keeps its connection, and trusts TCP to tell when that has ended."""
        return Sql(self.client, to=self.target, user=APPLICATION[0], password=APPLICATION[1],
                   mode="persistent", timeout_ms=10_000).wait_event("answered", 20)

    def cut_off(self, leader):
        standing = self.standing_connection() if self.stage.supervised else None
        probe = Probe(self.client, to=self.cluster.vip).wait_event("answered")
        time.sleep(1)
        host = self.lab.hosts[leader]
        at = now_ns()
        self.lab.isolate(host)
        others = [r.name for r in self.routers if r is not host]
        successor = self.cluster_leader(others, 15)
        time.sleep(1.5)
        queries, pings = self.sql.stop(), probe.stop()
        kept = standing.stop() if standing else None
        self.start_queries()
        return successor, longest_since(queries, at), longest_since(pings, at), queries, kept

    def kill_router(self, leader):
        """SIGKILL for the leader's router; the successor and how long queries failed."""
        self.sql.stop()
        self.start_queries()
        time.sleep(0.5)
        at = now_ns()
        os.kill(self.router(leader)["process"]["pid"], signal.SIGKILL)
        successor = self.cluster_leader([r.name for r in self.routers if r.name != leader], 15)
        time.sleep(1)
        queries = self.sql.stop()
        self.start_queries()
        return successor, longest_since(queries, at)

    def cluster_leader(self, names, timeout):
        def leads():
            return next((n for n in names if self.cluster.agents[n].state() == "leader"), None)
        return wait_for(leads, f"one of {', '.join(names)} takes over", timeout, lab=self.lab)

    def healthy(self, seen_from):
        """Whether no node is demoted any more, and every check is up: a cut-off router has lost
        its backends, too."""
        nodes = self.cluster.agents[seen_from].status()["nodes"].values()
        checks = [check for host in self.routers
                  for check in self.cluster.agents[host.name].status()["checks"]]
        return (all(node["demotion"] == 0 for node in nodes)
                and all(check["state"] == "up" for check in checks))

    def expect(self, good, text):
        self.ok &= bool(good)
        say(f"  {'ok  ' if good else 'FAIL'}  {text}")


def longest_since(result, at_ns):
    return max((gap["ms"] for gap in result["gaps"] if gap["to_ns"] >= at_ns), default=0.0)


def run(show):
    title("Hosts (network namespaces; the machine's own network is not touched)")
    for host in show.lab.hosts.values():
        step(f"{host.name:9} {host.ipv4:12} {host.ipv6:16} {host.namespace}")
    title("Starting")
    leader = show.build_up()
    title(f"{leader}, the leader, is cut off without warning")
    successor = told_of_takeover(show, leader, *show.cut_off(leader))

    title(f"{leader} is connected again")
    show.lab.heal()
    name = show.cluster.wait_settled()
    show.expect(name == successor, f"{name} still leads, {leader} follows")
    wait_for(lambda: show.healthy(successor), "every node is healthy again", 30, lab=show.lab)
    if show.stage.supervised:
        successor = told_of_crash(show, successor)

    agent = show.cluster.agents[successor]
    title(f"hamr history, on {successor}")
    indented(agent.hamr("history").stdout)
    title(f"hamr status, on {successor}")
    indented(agent.hamr("status").stdout)


def told_of_takeover(show, leader, successor, sql_ms, ping_ms, queries, kept):
    title("What happened")
    show.expect(successor != leader, f"{successor} leads now; {leader} cannot be reached")
    show.expect(sql_ms < LONGEST_OUTAGE_MS,
                f"the client's queries failed for {sql_ms:.0f} ms, "
                f"the address was silent for {ping_ms:.1f} ms")
    step(f"{queries['succeeded']} queries answered, {queries['failed']} failed; heartbeats every "
         f"{show.stage.interval}, {show.stage.misses} missed ones end a lease")
    if kept:
        # Its TCP ended in the process on the host that is gone: no router can hand that over.
        back = not kept["open_ended"] and kept["outage_ms"] < LONGEST_OUTAGE_MS
        show.expect(back and kept["connects"] > 1,
                    "a client with a standing connection lost it, connected again and went on: "
                    f"{kept['outage_ms']:.0f} ms between two answers")
    show.expect(answerers(show.observer, show.cluster.vip) == [successor],
                f"one host answers for {show.cluster.vip}: {successor}")
    show.expect(show.cluster.agents[leader].state() != "leader",
                f"{leader} itself knows that it leads no longer")
    return successor


def told_of_crash(show, leader):
    """The leader's router dies while its host and agent are well; who leads then."""
    title(f"{show.stage.program} on {leader}, the leader, is killed (SIGKILL)")
    successor, sql_ms = show.kill_router(leader)
    show.expect(sql_ms < LONGEST_OUTAGE_MS,
                f"{successor} leads now; the client's queries failed for {sql_ms:.0f} ms")
    show.wait_serving(leader)
    wait_for(lambda: show.healthy(successor), "every node is healthy again", 30, lab=show.lab)
    restarts = show.router(leader)["process"]["restarts"]
    show.expect(restarts == 1, f"the agent of {leader} has started it again, as a spare")
    return successor


def explain(show):
    lab, cluster = show.lab, show.cluster
    hosts = [r.name for r in show.routers] + [show.witness.name]
    title("Explore (another terminal, as root)")
    for name in hosts:
        command = shlex.join([os.path.relpath(cluster.agents[name].command[0], ROOT),
                              *cluster.agents[name].command[1:]])
        say(f"  # {name}")
        verbs = ["status"] if name == show.witness.name else ["status", "history", "failover"]
        for verb in verbs:
            say(f"  {command} {verb}")
    first = show.routers[0].name
    client = f"ip netns exec {show.client.namespace} mariadb --no-defaults"
    say("  # a query through the address")
    say(f"  {client} -h {cluster.vip} -P {show.stage.port} -u {APPLICATION[0]} -p{APPLICATION[1]} "
        "-e 'SELECT @@server_id'")
    say(f"  # cut {first} off silently, and connect it again")
    say(f"  ip -n {lab.switch} link set dev {first} nomaster")
    say(f"  ip -n {lab.switch} link set dev {first} master segment")
    say(f"  # logs and configurations: {lab.dir}")


def stay(show):
    say("\nQueries go on. Ctrl-C ends everything.")
    last = None
    try:
        while True:
            leaders = show.cluster.leaders()
            if leaders != last:
                say(f"  {time.strftime('%H:%M:%S')}  leader: {', '.join(leaders) or 'nobody'}")
                last = leaders
            time.sleep(0.5)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        say("\nending")
    result = show.sql.stop()
    say(f"  meanwhile {result['succeeded']} queries answered, {result['failed']} failed, "
        f"longest pause {result['outage_ms']:.0f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--router", choices=KINDS, default="embedded")
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args()
    try:
        with Lab() as lab:
            show = Show(lab, options.router)
            run(show)
            if not options.once:
                explain(show)
                stay(show)
            ok = show.ok
    except LabError as error:
        print(f"\nquickstart: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    kept = " and the packages of MySQL 9" if options.router == "mysqlrouter" else ""
    say(f"\nNothing is left behind but build/{kept}." if ok else "\nSomething above FAILED.")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
