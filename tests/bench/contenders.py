# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is compared: two hosts with keepalived; two routers and a witness with HAMR. Both are started
anew for every round and offer the same few calls."""

import json
import os
import platform
import signal
import time

from hamrlab import Cluster, Keepalived, LabError, wait_for
from hamrlab.core import program, run

VIP = "192.0.2.100/24"


def environment():
    """What a reader of the numbers has to know about the machine and the programs."""
    def first_line(*argv):
        done = run(argv, check=False)
        return (done.stdout + done.stderr).strip().splitlines()[0]
    facts = {"kernel": platform.release(), "cores": os.cpu_count(),
             "load": os.getloadavg()[0], "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
             "keepalived": first_line("keepalived", "--version")}
    try:
        facts["hamr"] = first_line(program("hamr"), "version")
    except LabError:
        pass
    return facts


def cpu_and_memory(pids):
    """Seconds of processor time and resident KiB, summed over processes."""
    seconds = resident = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return {"cpu": seconds, "resident_kib": resident}


class KeepalivedPair:
    """VRRPv3, adverts every 10 ms, Debian's package, nopreempt."""

    def __init__(self, lab):
        self.lab = lab
        self.agents = {name: Keepalived(lab.host(name, number), priority, VIP)
                       for name, number, priority in (("router1", 11, 200), ("router2", 12, 100))}

    def start(self):
        """Starts both hosts; returns the leader's name once the other follows."""
        first, second = self.agents.values()
        first.start()
        wait_for(lambda: first.leads, "the first host leads", lab=self.lab)
        second.start()
        wait_for(lambda: len(second.pids()) == 2, "the second host runs", lab=self.lab)
        time.sleep(0.5)
        return self.leader()

    def leader(self):
        return next((name for name, agent in self.agents.items() if agent.leads), None)

    def wait_takeover(self, old):
        name, agent = next((n, a) for n, a in self.agents.items() if n != old)
        wait_for(lambda: agent.leads, f"{name} takes over", 15, lab=self.lab)
        return name

    def signal(self, name, number):
        if number == signal.SIGTERM:
            self.agents[name].process.signal(number)
        else:
            # The child first: it releases the address when it has the time to see its parent die.
            self.agents[name].signal(number)

    def usage(self):
        return {name: cpu_and_memory(agent.pids()) for name, agent in self.agents.items()}

    def gate_drops(self, _leader):
        return None

    def moves(self):
        return None


class Hamr:
    """Two routers and a witness, quorum majority, nothing behind the address."""

    def __init__(self, lab, interval, misses):
        self.lab = lab
        self.cluster = Cluster(lab, [lab.host("router1", 11), lab.host("router2", 12)],
                               [lab.host("witness1", 13)], vip=VIP, interval=interval,
                               misses=misses, quorum="majority", name="bench")

    def start(self):
        self.cluster.start()
        return self.cluster.wait_settled()

    def leader(self):
        return next(iter(self.cluster.leaders()), None)

    def wait_takeover(self, old):
        def taken_over():
            return next((name for name, agent in self.cluster.agents.items()
                         if name != old and agent.running and agent.state() == "leader"), None)
        return wait_for(taken_over, f"a successor of {old} leads", 15, lab=self.lab)

    def signal(self, name, number):
        self.cluster.agents[name].process.signal(number)

    def handover(self, leader):
        self.cluster.agents[leader].failover()

    def usage(self):
        return {name: cpu_and_memory([agent.pid]) for name, agent in self.cluster.agents.items()}

    def moves(self):
        """Every change that a surviving agent knows of, oldest first."""
        agent = next(a for a in self.cluster.agents.values() if a.running)
        return agent.history()

    def gate_drops(self, leader):
        """What the leader's gate has dropped so far, read from its own counters in the kernel."""
        try:
            return sum(_gate_counters(self.lab.hosts[leader])[:4])
        except (LabError, ValueError, KeyError, IndexError):
            return None


def _gate_counters(host):
    """The gate's counters, from the map of the program at eth0's egress (vip/gate/gate_abi.h)."""
    filters = json.loads(host.run("tc", "-j", "filter", "show", "dev", "eth0", "egress").stdout)
    numbers = [f["options"]["prog"]["id"] for f in filters if "prog" in f.get("options", {})]
    if not numbers:
        raise LabError(f"no gate on {host.name}")
    maps = json.loads(run(["bpftool", "-j", "prog", "show", "id", numbers[0]]).stdout)["map_ids"]
    for identifier in maps:
        shown = json.loads(run(["bpftool", "-j", "map", "show", "id", identifier]).stdout)
        if "counter" in shown.get("name", ""):
            dump = json.loads(run(["bpftool", "-j", "map", "dump", "id", identifier]).stdout)
            return [_total(entry) for entry in dump]
    raise LabError("the gate has no counters")


def _total(entry):
    """One entry of a (per-CPU) array as bpftool prints it: bytes in hexadecimal, little-endian."""
    values = entry.get("values") or [entry]
    return sum(int.from_bytes(bytes(int(b, 16) for b in v["value"]), "little") for v in values)
