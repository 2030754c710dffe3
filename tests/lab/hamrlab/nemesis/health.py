# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be so again after a heal, on every host and in every agent's words."""

from ..core import LabError

# The server has no IPv6 address, on purpose.
_ACCEPTED = "leads nowhere: no backend has an IPv6 address"


def complaints(world):
    """What is not as it should be, as sentences; empty when all is well."""
    out = []
    statuses = {}
    for node in world.nodes:
        try:
            statuses[node] = world.agent(node).status()
        except (LabError, ValueError) as error:
            out.append(f"{node}: no status: {str(error).splitlines()[-1]}")
    views = {node: _view(status) for node, status in statuses.items()}
    if len(set(views.values())) > 1:
        out.append(f"the agents differ about leader and term: {views}")
    leaders = {view[0] for view in views.values()}
    if None in leaders:
        out.append("nobody leads")
    for node, status in statuses.items():
        out += _status_complaints(world, node, status)
    leader = leaders.pop() if len(leaders) == 1 else None
    for node in world.nodes:
        out += _host_complaints(world, node, leader)
    return out


def _view(status):
    group = status["groups"]["default"]
    return group["leader"], group["term"]


def _status_complaints(world, node, status):
    out = [f"{node} says that {peer} is {told['state']}"
           for peer, told in status["nodes"].items() if told["state"] != "alive"]
    out += [f"{node} says that {peer} is drained"
            for peer, told in status["nodes"].items() if told["drained"]]
    out += [f"{node} warns: {w['what']}" for w in status["warnings"]
            if _ACCEPTED not in w["what"]]
    router = status["router"]["state"]
    if node in world.routers and router != "serving":
        out.append(f"the router of {node} is {router}")
    return out


def _host_complaints(world, node, leader):
    out = []
    # A stray copy with another length does no harm where the address is.
    has = sorted({address for address, _ in world.vips_on(node)})
    wants = sorted(vip.split("/")[0] for vip in world.cluster.vips) if node == leader else []
    if has != wants:
        out.append(f"{node} has the addresses {has}, not {wants}")
    out += [f"no gate on {device} of {node}" for device in ("eth0", "lo")
            if not world.gate_stands(node, device)]
    tables = world.host(node).run("nft", "list", "tables").stdout
    if node in world.routers and "table inet hamr" not in tables:
        out.append(f"no rules on {node}")
    return out
