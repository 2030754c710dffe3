# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens in a round, drawn from seed and number: pure, so that a seed is a plan.

A plan names its targets as it can before anything has happened: "leader", or a node. Who leads when
a step begins is seen then; so the same seed gives the same plan, and not the same run."""

import dataclasses
import random

from .network import LOSSES, SPLITS

# How often each kind is drawn, relative to the others.
WEIGHTS = {
    "split": 22, "loss": 8, "stop": 18, "kill": 12, "clean-stop": 5, "restart": 5, "failover": 8,
    "drain": 5, "port-flap": 5, "link-flap": 5, "address-del": 8, "address-stray": 5,
    "rules-flush": 6, "power-cut": 4,
}
AT_ONCE = 3
# The witness has no address, no rules, and nothing to hand over.
OF_ROUTERS = ("failover", "drain", "address-del", "address-stray", "rules-flush")
# What happens to the one who has the address, or to nobody.
OF_LEADERS = ("address-del",)


@dataclasses.dataclass(frozen=True)
class Step:
    """One fault: when it begins and for how long, in seconds of the round."""
    at: float
    lasts: float
    kind: str
    target: str         # a node, or "leader"
    other: str = ""     # a second node
    detail: object = None

    def __str__(self):
        extra = " ".join(str(x) for x in (self.detail, self.other) if x not in (None, ""))
        return f"{self.kind} {self.target}{' ' + extra if extra else ''}, {self.lasts:.3f} s"


@dataclasses.dataclass(frozen=True)
class Round:
    number: int
    lasts: float
    steps: tuple
    calm: float             # s of rest after the heal
    remove_gate: str = ""   # from whom the filter is taken in that time, and how
    how: str = ""


def logarithmic(draw, low, high):
    """Between the two, each order of magnitude as likely as another."""
    return low * (high / low) ** draw.random()


def plan_round(seed, number, routers, witnesses=()):
    draw = random.Random(f"{seed}/{number}")
    lasts = draw.uniform(3.0, 7.0)
    steps = []
    for _ in range(draw.randint(1, AT_ONCE)):
        at = draw.uniform(0.0, 1.0)
        while at < lasts:
            step = _step(draw, at, lasts - at, list(routers), list(witnesses))
            steps.append(step)
            at += step.lasts + logarithmic(draw, 0.02, 1.0)
    steps.sort(key=lambda step: step.at)
    gate = draw.choice([*routers, "leader", "leader", "leader"]) if draw.random() < 0.5 else ""
    return Round(number, lasts, tuple(steps), draw.uniform(0.1, 0.8), gate,
                 draw.choice(("qdisc", "filter")))


def _step(draw, at, left, routers, witnesses):
    kind = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    nodes = routers if kind in OF_ROUTERS else routers + witnesses
    target = "leader" if kind in OF_LEADERS or draw.random() < 0.5 else draw.choice(nodes)
    detail, other, lasts = None, "", logarithmic(draw, 0.05, 3.0)
    if kind == "split":
        detail, other = draw.choice(SPLITS), draw.choice(routers + witnesses)
    elif kind == "loss":
        # From one node, or everywhere.
        detail, other = draw.choice(LOSSES), draw.choice(["", *routers, *witnesses])
    elif kind == "stop":
        lasts = logarithmic(draw, 0.003, 6.0)
    elif kind in ("kill", "clean-stop"):
        lasts = draw.choice((0.0, 0.1, logarithmic(draw, 0.1, 3.0)))
    elif kind == "failover":
        other, detail, lasts = draw.choice(["", *routers]), draw.choice(("", "--force")), 0.0
    elif kind in ("restart", "address-del", "rules-flush"):
        lasts = 0.0
    elif kind == "power-cut":
        lasts = draw.uniform(0.5, 2.0)
    elif kind in ("port-flap", "link-flap"):
        lasts = logarithmic(draw, 0.02, 2.0)
    return Step(at, min(lasts, left), kind, target, other, detail)
