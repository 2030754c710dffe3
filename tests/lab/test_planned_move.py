#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A planned move loses no packet: nothing is sent twice on either side of the router, and who is
late is passed on."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import let_pass, main
from hamrlab.embedded import EmbeddedTest
from hamrlab.packets import Packets

CONNECTIONS = 1000
# All together make 2,000 requests a second.
EVERY_US = 500_000
MOVES = 5
# For so long who led before goes on with its flows (docs/protocol.md F16).
GRACE_MS = 2000
# Connects again and again, for a while; prints how long each took, or the error.
_CONNECT = """
import json, socket, sys, time
took, end = [], time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    begun = time.monotonic()
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
        took.append(round((time.monotonic() - begun) * 1000, 3))
    except OSError as error:
        took.append(str(error))
    print(json.dumps({"event": "connected", "ms": took[-1]}), flush=True)
    time.sleep(0.02)
"""


class PlannedMove(EmbeddedTest):
    def test_five_moves_with_a_thousand_busy_connections(self):
        leader, other = self.start_with_load()
        load = self.load(CONNECTIONS, every_us=EVERY_US)
        load.wait_event("measuring")
        self.know(CONNECTIONS)
        vip = self.cluster.vip
        links = {"client": Packets(self.client, f"tcp and host {vip}"),
                 "server": Packets(self.db, f"tcp and host {vip} and port 3306")}
        for _ in range(MOVES):
            self.agent(leader).failover("--to", other)
            self.wait_leads(other)
            leader, other = other, leader
            let_pass(GRACE_MS)
            self.know(CONNECTIONS)
        result = load.stop()
        print(f"    {result['requests']} requests, longest {max(result['longest_ms_by_slot'])} ms,"
              f" median {result['length_us']['p50'] / 1000} ms", flush=True)
        self.assertEqual((CONNECTIONS, 0, 0, {}), (result["alive"], result["hanging"],
                                                   result["wrong"], result["losses"]))
        for name, link in links.items():
            link.stop()
            packets = sum(1 for _ in link)
            again = link.retransmissions()
            print(f"    {name}'s link: {packets} packets, "
                  f"{len(again)} sent again", flush=True)
            self.assertGreater(packets, 2 * result["requests"])
            self.assertEqual([], again, f"the {name}'s link has seen nothing twice")

    def test_new_connections_that_reach_the_old_leader(self):
        """They go to the successor as they are."""
        leader, other = self.start_with_load()
        late, vip = self.observer, self.cluster.vip
        old, successor = self.lab.hosts[leader], self.lab.hosts[other]
        late.ip("neigh", "replace", vip, "lladdr", old.mac, "dev", "eth0", "nud", "permanent")
        seen = {host.name: Packets(host, f"tcp and host {vip} and host {late.ipv4}")
                for host in (late, successor)}
        output = late.dir / "connects.json"
        program = late.spawn("connects", [sys.executable, "-c", _CONNECT, vip, "6446", "1.5"],
                             output=output)
        self.wait_for(lambda: output.exists() and output.read_text(encoding="utf-8"),
                      "the first has connected")
        self.agent(leader).failover("--to", other)
        self.assertEqual(0, program.wait())
        took = [json.loads(line)["ms"] for line in
                output.read_text(encoding="utf-8").splitlines()]
        for capture in seen.values():
            capture.stop()
        passed_on = [p for p in seen[other] if p.is_syn and p.mac == old.mac]
        print(f"    {len(took)} connections, {len(passed_on)} through the old leader, longest"
              f" {max(took)} ms", flush=True)
        self.assertEqual([], [one for one in took if isinstance(one, str)])
        self.assertGreater(len(passed_on), 5)
        # What was being closed in that moment is nobody's; its end may be told twice.
        self.assertEqual([], [p for p in seen[late.name].retransmissions() if p.is_syn],
                         "none was dropped on the way")
        # And that is how they came: from the client, to the address.
        ways = {(p.source[0], p.to) for p in passed_on}
        self.assertEqual(1, len(ways))
        self.assertEqual(late.ipv4, ".".join(map(str, ways.pop()[0])))
        self.assertNotIn(self.client.mac, old.ip("neigh", "show", vip))


if __name__ == "__main__":
    main()
