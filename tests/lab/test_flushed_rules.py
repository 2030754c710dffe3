#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Somebody flushes the kernel's tables under a leader, as every reload of a host's own firewall
does: no connection ends by that."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hamrlab import let_pass, main
from hamrlab.embedded import EmbeddedTest

CONNECTIONS = 500
# All together make 5,000 requests a second: many speak while there are no rules.
EVERY_US = 100_000


class FlushedRules(EmbeddedTest):
    def start(self):
        leader, other = self.start_with_load()
        load = self.load(CONNECTIONS, every_us=EVERY_US)
        load.wait_event("measuring")
        self.know(CONNECTIONS)
        return leader, other, load

    def check_all_live(self, load):
        result = load.stop()
        print(f"    {result['requests']} requests, longest {max(result['longest_ms_by_slot'])} ms",
              flush=True)
        self.assertEqual((CONNECTIONS, 0, 0, {}), (result["alive"], result["hanging"],
                                                   result["wrong"], result["losses"]))

    def tables(self, name):
        return self.lab.hosts[name].run("nft", "list", "tables").stdout

    def test_a_leader_that_goes_on(self):
        leader, other, load = self.start()
        for _ in range(3):
            self.lab.hosts[leader].run("nft", "flush", "ruleset")
            self.wait_for(lambda: "inet hamr" in self.tables(leader), "the rules stand again")
            let_pass(500)
        self.assertEqual((leader, other), self.settled())
        told = [e["reason"] for e in self.agent(leader).history() if "put back" in e["reason"]]
        self.assertEqual(3, len(told))
        self.check_all_live(load)

    def test_a_leader_whose_agent_is_killed(self):
        leader, other, load = self.start()
        self.agent(leader).kill()
        host = self.lab.hosts[leader]
        host.run("nft", "flush", "ruleset")
        host.run("conntrack", "-F", check=False)
        self.wait_leads(other)
        let_pass(500)
        self.check_all_live(load)


if __name__ == "__main__":
    main()
