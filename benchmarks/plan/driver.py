"""Runs inside the others' own environment: asks the real ProxLB, its solver, and CP-SAT; a JSON line in, one out.

Nothing of noout is imported here, and nothing of theirs anywhere else. ProxLB is given what its own reading of a
cluster would give it, and its main loop's calculations are called in their order.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

OUT = sys.stdout
sys.stdout = sys.stderr  # whatever they print is not an answer


def metric(node: bool, total: int, used: float) -> dict[str, Any]:
    free = total - used
    values: dict[str, Any] = {"total": total, "used": used, "pressure_hot": False}
    for kind in ("some", "full", "some_spikes", "full_spikes"):
        values[f"pressure_{kind}_percent"] = 0.0
    if node:
        percent = used / total * 100
        values |= {"assigned": 0, "free": free, "assigned_percent": 0.0}
        values |= {"free_percent": 100 - percent, "used_percent": percent}
    return values


def proxlb_data(ask: dict[str, Any]) -> Any:
    """What Nodes.get_nodes, Guests.get_guests and Groups.get_groups make of a cluster."""
    from proxlb.models.groups import Groups
    from proxlb.utils.config_parser import Config
    from proxlb.utils.proxlb_data import ProxLbData

    config = Config(
        proxmox_api={"hosts": ["127.0.0.1"], "user": "none@pve"},
        proxmox_cluster={"maintenance_nodes": [ask["leaving"]], "overprovisioning": False},
        balancing=ask["balancing"],
    )
    used: dict[str, int] = {}
    cpu_used: dict[str, float] = {}
    for guest in ask["guests"]:
        used[guest["node"]] = used.get(guest["node"], 0) + guest["ram"]
        cpu_used[guest["node"]] = cpu_used.get(guest["node"], 0.0) + guest["cpu_used"]
    nodes = {
        node["name"]: ProxLbData.Node(
            name=node["name"],
            pve_version="9.2.11",
            pressure_hot=False,
            maintenance=node["name"] == ask["leaving"],
            cpu=metric(True, node["cpus"], cpu_used.get(node["name"], 0.0)),
            disk=metric(True, 2**50, 0),
            memory=metric(True, node["ram"], used.get(node["name"], 0)),
        )
        for node in ask["nodes"]
    }
    rules = {
        rule["name"]: ProxLbData.HaRule(rule=rule["name"], type="anti-affinity", nodes=[], members=rule["vmids"])
        for rule in ask["apart"]
    }
    guests = {}
    for guest in sorted(ask["guests"], key=lambda each: (each["node"], each["vmid"])):
        mine = [rule for rule in rules.values() if guest["vmid"] in rule.members]
        guests[guest["name"]] = ProxLbData.Guest(
            name=guest["name"],
            id=guest["vmid"],
            type="vm",
            node_current=guest["node"],
            node_target=guest["node"],
            processed=False,
            pressure_hot=False,
            tags=[],
            pools=[],
            ha_rules=mine,
            affinity_groups=[],
            anti_affinity_groups=[rule.rule for rule in mine],
            ignore=False,
            node_relationships=[],
            node_relationships_strict=True,
            cpu=metric(False, guest["cpus"], guest["cpu_used"]),
            disk=metric(False, 32 * 2**30, 0),
            memory=metric(False, guest["ram"], guest["ram"]),
        )
    return ProxLbData(
        meta=ProxLbData.Meta.from_config(config, cluster_non_pve9=False),
        nodes=nodes,
        guests=guests,
        pools={},
        ha_rules=rules,
        groups=Groups.get_groups(guests, nodes),
    )


def calculated(ask: dict[str, Any]) -> Any:
    """ProxLB's main loop up to the moment at which it begins to move guests."""
    from proxlb.models.calculations import Calculations

    data = proxlb_data(ask)
    Calculations.set_node_assignments(data)
    Calculations.set_node_hot(data)
    Calculations.set_guest_hot(data)
    if Calculations.get_most_free_node(data, False) is not None:
        Calculations.validate_affinity_map(data)
        Calculations.relocate_guests_on_maintenance_nodes(data)
        Calculations.get_balanciness(data)
        Calculations.relocate_guests(data)
    return data


def proxlb(ask: dict[str, Any]) -> dict[str, Any]:
    data = calculated(ask)
    moves = [
        [guest.id, guest.node_current, guest.node_target]
        for guest in data.guests.values()
        if guest.node_current != guest.node_target
    ]
    return {"steps": [moves]}


def solver(ask: dict[str, Any]) -> dict[str, Any]:
    """As ProxLB calls it with ``solver: {enable: true, mode: active}``."""
    from proxlb_solver.adapter import from_proxlb_data
    from proxlb_solver.planner import plan_migrations
    from proxlb_solver.solver import solve

    data = calculated(ask)
    cluster = from_proxlb_data(data)
    solution = solve(cluster, time_limit_s=ask["limit_s"])
    plan = plan_migrations(cluster, solution)
    ids = {guest.name: guest.id for guest in data.guests.values()}
    steps = [[[ids[m.vm], m.source, m.target] for m in step.migrations] for step in plan.steps]
    deferred = sorted(plan.pve_deferred)
    why = "" if solution.feasible else solution.stats.status
    why = why or ("" if plan.path_feasible else "no order found for its placement")
    return {"steps": steps, "refused": bool(why), "why": why, "deferred": deferred}


def bound(ask: dict[str, Any]) -> dict[str, Any]:
    """The fewest bytes of other nodes' guests that have to move, or null if that was not proved in time.

    Of all final placements that RAM and rules allow, whether or not an order leads there: no plan can move less.
    """
    from ortools.sat.python import cp_model

    unit = 2**30
    model = cp_model.CpModel()
    nodes = [node["name"] for node in ask["nodes"] if node["name"] != ask["leaving"]]
    at: dict[tuple[int, str], Any] = {}
    cost = []
    for guest in ask["guests"]:
        here = [at.setdefault((guest["vmid"], node), model.new_bool_var("")) for node in nodes]
        model.add_exactly_one(here)
        if guest["node"] != ask["leaving"]:
            cost.append((1 - at[guest["vmid"], guest["node"]]) * (guest["ram"] // unit))
            model.add_hint(at[guest["vmid"], guest["node"]], 1)
    for node in ask["nodes"]:
        if node["name"] in nodes:
            taken = sum(at[guest["vmid"], node["name"]] * (guest["ram"] // unit) for guest in ask["guests"])
            model.add(taken <= node["ram"] // unit)
    for rule in ask["apart"]:
        for node_name in nodes:
            model.add_at_most_one(at[vmid, node_name] for vmid in rule["vmids"])
    model.minimize(sum(cost))
    found = cp_model.CpSolver()
    found.parameters.max_time_in_seconds = ask["limit_s"]
    found.parameters.num_workers = ask["workers"]
    found.parameters.random_seed = 1
    status = found.solve(model)
    proved = status == cp_model.OPTIMAL
    return {"aside_bytes": round(found.objective_value) * unit if proved else None, "why": found.status_name(status)}


WHAT = {"proxlb": proxlb, "proxlb-solver": solver, "bound": bound}


def main() -> None:
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        ask = json.loads(line)
        began = time.perf_counter()
        try:
            answer = WHAT[ask["what"]](ask)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in there is told, and is its answer
            answer = {"steps": [], "refused": True, "why": f"{type(error).__name__}: {error}"}
        answer["seconds"] = time.perf_counter() - began
        OUT.write(json.dumps(answer) + "\n")
        OUT.flush()


if __name__ == "__main__":
    main()
