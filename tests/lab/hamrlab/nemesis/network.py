# SPDX-License-Identifier: GPL-2.0-or-later
"""The switch as the place of faults: frames from one port to another are dropped, all or some.

Rules of nftables' bridge family in the switch's namespace; no host can see or change them."""

import collections
import itertools

from ..core import run

LOSSES = (5, 20, 50, 80)

_TABLE = """
table bridge nemesis {{
  set cut {{ type ifname . ifname; }}
  map lossy {{ type ifname . ifname : verdict; }}
{chains}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    iifname . oifname @cut drop
    iifname . oifname vmap @lossy
  }}
}}
"""


class Network:
    """Cuts and losses between pairs of ports (from, to); several may be in force for one pair."""

    def __init__(self, lab):
        self._switch = lab.switch
        self._cuts = collections.Counter()
        self._losses = collections.defaultdict(collections.Counter)
        chains = "\n".join(f"  chain lose{loss} {{ numgen random mod 100 < {loss} drop; }}"
                           for loss in LOSSES)
        self._nft(_TABLE.format(chains=chains))

    def cut(self, pairs):
        self._cuts.update(pairs)
        self._apply()

    def mend(self, pairs):
        self._cuts.subtract(pairs)
        self._cuts = +self._cuts
        self._apply()

    def lose(self, pairs, percent):
        for pair in pairs:
            self._losses[pair][percent] += 1
        self._apply()

    def lose_no_more(self, pairs, percent):
        for pair in pairs:
            self._losses[pair][percent] -= 1
            self._losses[pair] = +self._losses[pair]
        self._apply()

    def clear(self):
        self._cuts.clear()
        self._losses.clear()
        self._apply()

    def _apply(self):
        lines = ["flush set bridge nemesis cut", "flush map bridge nemesis lossy"]
        cut = ", ".join(f'"{one}" . "{other}"' for one, other in sorted(self._cuts))
        lossy = ", ".join(f'"{pair[0]}" . "{pair[1]}" : jump lose{max(losses)}'
                          for pair, losses in sorted(self._losses.items()) if losses)
        if cut:
            lines.append(f"add element bridge nemesis cut {{ {cut} }}")
        if lossy:
            lines.append(f"add element bridge nemesis lossy {{ {lossy} }}")
        self._nft("\n".join(lines) + "\n")

    def _nft(self, text):
        run(["ip", "netns", "exec", self._switch, "nft", "-f", "-"], stdin=text)


def pairs_of_split(shape, node, other, nodes, all_ports):
    """The pairs of ports that a partition cuts.

    apart      `node` and the other nodes do not hear each other; clients reach everybody
    alone      `node` hears nobody and is heard by nobody
    deaf, mute `node` does not hear the other nodes, is not heard by them
    deafer, muter   likewise, and clients too
    pair, one-way   `node` and `other` do not hear each other; `node` is not heard by `other`
    all-apart  no node hears another one
    clients    clients do not reach `node`, and it does not reach them"""
    others = [n for n in nodes if n != node]
    everybody = [p for p in all_ports if p != node]
    clients = [p for p in all_ports if p not in nodes]

    def to(ports):
        return {(node, port) for port in ports}

    def from_(ports):
        return {(port, node) for port in ports}

    return {
        "apart": lambda: to(others) | from_(others),
        "alone": lambda: to(everybody) | from_(everybody),
        "deaf": lambda: from_(others),
        "mute": lambda: to(others),
        "deafer": lambda: from_(everybody),
        "muter": lambda: to(everybody),
        "pair": lambda: to([other]) | from_([other]),
        "one-way": lambda: to([other]),
        "all-apart": lambda: set(itertools.permutations(nodes, 2)),
        "clients": lambda: to(clients) | from_(clients),
    }[shape]()


SPLITS = ("apart", "alone", "deaf", "mute", "deafer", "muter", "pair", "one-way", "all-apart",
          "clients")
