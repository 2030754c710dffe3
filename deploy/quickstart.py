# SPDX-License-Identifier: GPL-2.0-or-later
"""The show behind deploy/quickstart, which installs and builds first: hosts, servers, agents, a
client that never stops asking, and a leader that is cut off."""

import os
import pathlib
import shlex
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lab"))
from hamrlab import (Cluster, Lab, LabError, MariaDb, Probe, Sql, answerers, now_ns, replicate,
                     wait_for)
from hamrlab.mariadb import APPLICATION, template

INTERVAL, MISSES = "10ms", 3
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
    def __init__(self, lab):
        self.lab = lab
        self.routers = [lab.host("router1", 11), lab.host("router2", 12)]
        self.witness = lab.host("witness1", 13)
        self.databases = [lab.host("db1", 21), lab.host("db2", 22)]
        self.client = lab.host("client", 50)
        self.observer = lab.host("observer", 51)
        self.cluster = None
        self.sql = None
        self.ok = True

    def build_up(self):
        template(step)
        servers = [MariaDb(host).start() for host in self.databases]
        replicate(*servers)
        step(f"MariaDB: source db1 {servers[0].endpoint}, replica db2 {servers[1].endpoint}")
        self.cluster = Cluster(self.lab, self.routers, [self.witness], interval=INTERVAL,
                               misses=MISSES, backends=servers, name="quickstart")
        self.cluster.start()
        leader = self.cluster.wait_settled()
        step(f"agents on router1, router2 and witness1: {leader} leads, "
             f"{self.cluster.vip} is its address")
        wait_for(lambda: self.cluster.agents[leader].status()["router"]["state"] == "serving",
                 f"{leader} serves", 20, lab=self.lab)
        self.start_queries()
        step(f"a client queries {self.cluster.vip}:6446 without pause, each time over a new "
             "connection")
        return leader

    def start_queries(self):
        self.sql = Sql(self.client, to=f"{self.cluster.vip}:6446", user=APPLICATION[0],
                       password=APPLICATION[1], timeout_ms=25).wait_event("answered", 20)

    def cut_off(self, leader):
        probe = Probe(self.client, to=self.cluster.vip).wait_event("answered")
        time.sleep(1)
        host = self.lab.hosts[leader]
        at = now_ns()
        self.lab.isolate(host)
        others = [r.name for r in self.routers if r is not host]
        successor = self.cluster_leader(others, 15)
        time.sleep(1.5)
        queries, pings = self.sql.stop(), probe.stop()
        self.start_queries()
        return successor, longest_since(queries, at), longest_since(pings, at), queries

    def cluster_leader(self, names, timeout):
        def leads():
            return next((n for n in names if self.cluster.agents[n].state() == "leader"), None)
        return wait_for(leads, f"one of {', '.join(names)} takes over", timeout, lab=self.lab)

    def healthy(self, seen_from):
        """Whether no node is demoted any more: a cut-off router has lost its backends, too."""
        nodes = self.cluster.agents[seen_from].status()["nodes"].values()
        return all(node["demotion"] == 0 for node in nodes)

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
    successor, sql_ms, ping_ms, queries = show.cut_off(leader)
    agent = show.cluster.agents[successor]

    title("What happened")
    show.expect(successor != leader, f"{successor} leads now; {leader} cannot be reached")
    show.expect(sql_ms < LONGEST_OUTAGE_MS,
                f"the client's queries failed for {sql_ms:.0f} ms, "
                f"the address was silent for {ping_ms:.1f} ms")
    step(f"{queries['succeeded']} queries answered, {queries['failed']} failed; "
         f"heartbeats every {INTERVAL}, {MISSES} missed ones end a lease")
    show.expect(answerers(show.observer, show.cluster.vip) == [successor],
                f"one host answers for {show.cluster.vip}: {successor}")
    show.expect(show.cluster.agents[leader].state() != "leader",
                f"{leader} itself knows that it leads no longer")

    title(f"{leader} is connected again")
    show.lab.heal()
    name = show.cluster.wait_settled()
    show.expect(name == successor, f"{name} still leads, {leader} follows")
    wait_for(lambda: show.healthy(successor), "every node is healthy again", 20, lab=show.lab)

    title(f"hamr history, on {successor}")
    indented(agent.hamr("history").stdout)
    title(f"hamr status, on {successor}")
    indented(agent.hamr("status").stdout)


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
    client = f"ip netns exec {show.client.namespace} mariadb"
    say("  # a query through the address")
    say(f"  {client} -h {cluster.vip} -P 6446 -u {APPLICATION[0]} -p{APPLICATION[1]} "
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
    once = "--once" in sys.argv[1:]
    try:
        with Lab() as lab:
            show = Show(lab)
            run(show)
            if not once:
                explain(show)
                stay(show)
            ok = show.ok
    except LabError as error:
        print(f"\nquickstart: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    say("\nNothing is left behind but build/." if ok else "\nSomething above FAILED.")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
