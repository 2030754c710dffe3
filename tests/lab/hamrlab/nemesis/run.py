# SPDX-License-Identifier: GPL-2.0-or-later
"""Rounds of faults and heals, and what became of them."""

import collections
import heapq
import itertools
import random
import sys
import time

from ..agent import Cluster
from ..core import LabError, now_ns
from ..mariadb import MariaDb
from . import health
from .faults import DEAD, FAULTS, STOPPED, Skip, World
from .observers import Observers
from .plan import plan_round
from .service import distribution

SHAPES = {"routers": (3, 0), "witness": (2, 1)}
INTERVALS_MS = (20, 30, 50)
MISSES = 3
PORT = 6446
VIPS = ("192.0.2.100/24", "2001:db8::100/64")
RESOLUTION_NS = 1_000_000
# After a heal: the quarantine of a voter that has just started, the start of an agent on a busy
# machine, and some leases for the election.
QUARANTINE_S, START_S, LEASES = 3.0, 2.0, 10
# What need not be at once: streams between routers connect again, warnings go, peers are heard.
SETTLE_S = 15.0
_TICK_S = 0.02


class Failure(Exception):
    """What ends a run early. `kind` is its exit code's name."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Run:
    """One run on a lab of its own; report() after go()."""

    def __init__(self, lab, shape, seed, minutes, say, broken=None):
        self._lab, self._shape, self._seed, self._say = lab, shape, seed, say
        self._broken = broken
        self._ends_ns = now_ns() + int(minutes * 60e9)
        self._minutes = minutes
        self._begun_ns = now_ns()
        self._draw = random.Random(f"{seed}/targets")
        self.interval_ms = random.Random(f"{seed}/options").choice(INTERVALS_MS)
        self.lease_ms = self.interval_ms * MISSES
        self.bound_s = QUARANTINE_S + START_S + LEASES * self.lease_ms / 1000
        self.faults = collections.Counter()
        self.skipped = 0
        self.rounds = 0
        self.recovery_ms, self.settle_ms = [], []
        self._tools = {}
        self._log = collections.deque(maxlen=60)
        self._make()

    def _make(self):
        routers, witnesses = SHAPES[self._shape]
        lab = self._lab
        self.routers = [lab.host(f"router{n}", 10 + n) for n in range(1, routers + 1)]
        self.witnesses = [lab.host(f"witness{n}", 20 + n) for n in range(1, witnesses + 1)]
        self.database = lab.host("db1", 31)
        self.observer = lab.host("observer", 51)
        MariaDb(self.database).start()
        self.cluster = Cluster(
            lab, self.routers, self.witnesses, vip=VIPS, interval=f"{self.interval_ms}ms",
            misses=MISSES, quorum="majority", backends=[f"{self.database.ipv4}:3306"])
        # A route that is served over IPv4 and, for want of a server, refused over IPv6.
        self.cluster.config["router"]["routes"] = {"rw": {"port": PORT, "to": "primary"}}
        self.world = World(lab, self.cluster, lambda: self.observers.leader())
        self.observers = Observers(lab, self.observer, VIPS, self.routers, RESOLUTION_NS,
                                   self.world.undefended_at)
        self.cluster.start()

    def say(self, text):
        line = f"{(now_ns() - self._begun_ns) / 1e9:9.3f}  {text}"
        self._log.append(line)
        self._say(line)

    def go(self):
        """Raises Failure, or LabError when the lab itself is in trouble."""
        try:
            self._wait_served(now_ns(), "the start")
            self._wait_well()
            if self._broken:
                self._break_gate()
            while now_ns() < self._ends_ns:
                self._round(plan_round(self._seed, self.rounds, *self._names()))
                self.rounds += 1
        finally:
            self._tools = self.observers.stop()
        self._judge()
        if self._tools["lost_records"]:
            raise LabError(f"{self._tools['lost_records']} frames were not recorded")

    def _names(self):
        return [h.name for h in self.routers], [h.name for h in self.witnesses]

    def _judge(self):
        found = self.observers.judge.violations
        if found:
            around = self.observers.around(found[0].since_ns - 50_000_000,
                                           found[0].voice.ns + 10_000_000)
            raise Failure("two-answered", "\n".join([
                *map(str, found), f"--- from {50} ms before the first offence", *around,
                "--- what was done", *self._log]))

    def _look(self):
        """Between all else: brings the verdict up to date."""
        self.observers.read()
        self._judge()
        self.world.reap()
        died = self.world.died()
        if died:
            raise Failure("died", f"the agent of {died[0]} has ended by itself: "
                          f"{self.world.agent(died[0]).process.returncode}\n"
                          + "\n".join(self._log))

    def _pass(self, until_ns):
        while True:
            self._look()
            left = (until_ns - now_ns()) / 1e9
            if left <= 0:
                return
            time.sleep(min(left, _TICK_S))

    def _round(self, plan):
        begun, order = now_ns(), itertools.count()
        self.say(f"round {plan.number}: {len(plan.steps)} faults in {plan.lasts:.1f} s")
        agenda = [(begun + int(step.at * 1e9), next(order), step, None) for step in plan.steps]
        heapq.heapify(agenda)
        while agenda and agenda[0][0] < begun + plan.lasts * 1e9:
            at, _, step, end = heapq.heappop(agenda)
            self._pass(at)
            if end:
                self.say(f"end of {step}")
                end()
                continue
            end = self._begin(step)
            if end:
                heapq.heappush(agenda, (at + int(step.lasts * 1e9), next(order), step, end))
        self._pass(begun + int(plan.lasts * 1e9))
        healed = self.world.heal()
        self.say("healed")
        self._wait_served(healed, f"round {plan.number}")
        self._wait_well()
        self._calm(plan)

    def _begin(self, step):
        node = self.world.resolve(step, self._draw)
        try:
            end = FAULTS[step.kind](self.world, node, step)
        except Skip as reason:
            self.skipped += 1
            self.say(f"not done: {step}: {reason}")
            return None
        self.faults[step.kind] += 1
        self.say(f"{step}" + (f" ({node})" if node != step.target else ""))
        return end

    def _wait_served(self, healed, what):
        service = self.observers.service
        service.forget()
        until = healed + int(self.bound_s * 1e9)
        served = None
        while served is None:
            self._look()
            served = service.served_since(healed)
            if served is None and now_ns() > until + 500_000_000:
                break
            time.sleep(_TICK_S)
        if served is None or served > until:
            raise Failure("no-service", f"{what}: no service within {self.bound_s:.1f} s of the"
                          f" heal; not answered: {service.lacking(healed)}\n"
                          + "\n".join(self._log))
        self.recovery_ms.append((served - healed) / 1e6)
        self.say(f"served after {self.recovery_ms[-1]:.1f} ms")

    def _wait_well(self):
        begun = now_ns()
        while True:
            self._look()
            wrong = health.complaints(self.world)
            if not wrong:
                break
            if now_ns() - begun > SETTLE_S * 1e9:
                raise Failure("not-well", "not as it should be after a heal:\n"
                              + "\n".join(wrong + list(self._log)))
            time.sleep(0.1)
        self.settle_ms.append((now_ns() - begun) / 1e6)
        self.say(f"well after {self.settle_ms[-1]:.1f} ms more")

    def _calm(self, plan):
        if plan.remove_gate:
            node = plan.remove_gate
            if node == "leader":
                node = self.observers.leader() or self.routers[0].name
            self.say(f"the {plan.how} of {node}'s gate is removed")
            took = self.world.take_gate_and_wait(node, plan.how)
            self.faults["gate-removed"] += 1
            self.say(f"put back after {took:.1f} ms")
        self._pass(now_ns() + int(plan.calm * 1e9))

    def _break_gate(self):
        """What must be found: the gate is taken from under an agent that is stopped."""
        node = self.observers.leader()
        self.say(f"broken: {node} is stopped, and its gate is taken away")
        self.world.agent(node).stop()
        self.world.become(node, STOPPED)
        self.world.take_gate(node, "qdisc")
        self._pass(now_ns() + int((2 + LEASES * self.lease_ms / 1000) * 1e9))

    def _by_host(self):
        """How many answers came from which host, by their Ethernet addresses."""
        out = collections.Counter()
        for (mac, _), count in self.observers.service.answers.items():
            out[self._lab.host_of_mac(mac)] += count
        return dict(sorted(out.items()))

    def report(self):
        """What has been seen, as a value for JSON."""
        judge, service = self.observers.judge, self.observers.service
        gaps = [(until - since) / 1e6 for since, until in service.gaps]
        return {
            "shape": self._shape, "seed": self._seed, "minutes": self._minutes,
            "interval_ms": self.interval_ms, "misses": MISSES, "rounds": self.rounds,
            "faults": dict(sorted(self.faults.items())), "faults_done": sum(self.faults.values()),
            "not_done": self.skipped, "leaderships": judge.leaderships,
            "changes": len(judge.changes_ns),
            "voices": dict(sorted(judge.voices.items())),
            "answers": sum(service.answers.values()), "answers_by_host": self._by_host(),
            **self._tools,
            "longest_without_an_answer_ms": round(max(gaps, default=0.0), 1),
            "service_after_heal_ms": _rounded(distribution(self.recovery_ms)),
            "bound_ms": round(self.bound_s * 1000),
            "well_after_service_ms": _rounded(distribution(self.settle_ms)),
            "gate_put_back_ms": _rounded(distribution(self.world.gate_back_ms)),
            "closest_voices_of_two_leaders_ms":
                round(min(judge.changes_ns) / 1e6, 3) if judge.changes_ns else None,
            "resolution_ms": RESOLUTION_NS / 1e6,
            "excused": judge.excused, "latest_within_resolution_ms": judge.latest_ns / 1e6,
            "standstills": len(self.observers.standstills.seen),
            "longest_standstill_ms": round(self.observers.standstills.longest_ms(), 1),
            "tolerated": [f"{excuse}: {offence}" for excuse, offence in judge.tolerated],
            "violations": [str(v) for v in judge.violations],
            "violation_count": judge.violation_count,
        }


def _rounded(values):
    return values and {key: round(value, 1) for key, value in values.items()}


def print_report(report, out=sys.stdout):
    """The report for people."""
    def line(what, value):
        print(f"  {what:<34} {value}", file=out)
    line("faults", f"{report['faults_done']} in {report['rounds']} rounds ("
         + ", ".join(f"{kind} {count}" for kind, count in report["faults"].items()) + ")")
    line("leaderships, changes of host", f"{report['leaderships']}, {report['changes']}")
    line("frames as the address", f"{sum(report['voices'].values())} ("
         + ", ".join(f"{kind} {count}" for kind, count in report["voices"].items()) + ")")
    line("answers that the client got", f"{report['answers']}, of {report['questions']} questions ("
         + ", ".join(f"{host} {count}" for host, count in report["answers_by_host"].items()) + ")")
    line("longest time without one", f"{report['longest_without_an_answer_ms']} ms")
    line("service after a heal, ms", f"{report['service_after_heal_ms']},"
         f" bound {report['bound_ms']}")
    line("all well after that, ms", report["well_after_service_ms"])
    line("gate put back, ms", report["gate_put_back_ms"])
    line("last voice to the next one's first", f"{report['closest_voices_of_two_leaders_ms']} ms"
         f" at least; resolution {report['resolution_ms']} ms")
    line("later than allowed, and excused", report["excused"])
    for text in report["tolerated"]:
        print(f"    {text}", file=out)
    line("standstills of a processor", f"{report['standstills']}, the longest"
         f" {report['longest_standstill_ms']} ms")


__all__ = ["DEAD", "Failure", "Run", "print_report"]
