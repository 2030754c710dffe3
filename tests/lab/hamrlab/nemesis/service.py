# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the client is served: by what is answered on its own link. Pure."""

import collections
import dataclasses

# What a client needs: to find the address, to reach it, to be heard by the router; in both
# families. The server has IPv4 only, so that the rules refuse who asks for it over IPv6.
KINDS = ("arp-reply4", "na6", "echo4", "echo6", "synack4", "rst6")
# Each of these is asked for several times in this time.
WINDOW_NS = 200_000_000
# A shorter time without an answer is not kept.
_GAP_NS = 50_000_000


@dataclasses.dataclass(frozen=True)
class Answer:
    ns: int
    mac: str
    kind: str       # with the family: "echo4"
    asked_ns: int = 0


class Service:
    """feed() answers in the order in which they came."""

    def __init__(self, kinds=KINDS):
        self._kinds = kinds
        self._recent = collections.deque()   # (ns, kind) since the last heal
        self._last = {}                      # kind -> ns
        self.answers = collections.Counter()  # (mac, kind) -> how many
        self.gaps = []                       # (from, to) without an answer to any ping or ARP

    def feed(self, answer):
        self.answers[(answer.mac, answer.kind)] += 1
        if answer.kind not in self._kinds:
            return
        last = self._last.get("any")
        if last is not None and answer.ns - last > _GAP_NS:
            self.gaps.append((last, answer.ns))
        self._last["any"] = answer.ns
        self._recent.append((answer.ns, answer.kind))

    def forget(self):
        """What came before now is no matter for served_since()."""
        self._recent.clear()

    def served_since(self, heal_ns):
        """When, after that instant, every kind had been answered within the window for the first
        time; None: not yet."""
        last = dict.fromkeys(self._kinds, heal_ns - 1)
        for ns, kind in self._recent:
            if ns <= heal_ns:
                continue
            last[kind] = ns
            if min(last.values()) >= max(heal_ns, ns - WINDOW_NS):
                return ns
        return None

    def lacking(self, heal_ns):
        """The kinds that have not been answered since that instant."""
        seen = {kind for ns, kind in self._recent if ns > heal_ns}
        return [kind for kind in self._kinds if kind not in seen]


def distribution(values):
    """Median, 99th percentile and the greatest; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return {"count": len(ordered), "p50": ordered[len(ordered) // 2],
            "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], "max": ordered[-1]}
