# SPDX-License-Identifier: GPL-2.0-or-later
"""Real agents under a random sequence of faults: `tests/lab/nemesis`.

plan.py draws the faults from a seed, faults.py does them (network.py those of the switch),
observers.py listens, judge.py and service.py judge what was heard, health.py looks at the hosts
after each heal, run.py joins them. plan, judge and service are pure: values in, values out."""
