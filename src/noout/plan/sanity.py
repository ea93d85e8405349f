"""Is the description of the cluster fit to plan with? What is not is refused in one sentence."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime

from noout.domain.cluster import Affinity, ClusterState, GuestId, NodeId
from noout.domain.errors import UsageError
from noout.domain.reasons import Blocker


def refuse_malformed(state: ClusterState, node: NodeId, now: datetime) -> None:
    """Raise UsageError for a state that cannot be true: nobody should plan with it."""
    if not state.nodes:
        raise UsageError(f"cluster {state.name} has no nodes", remedy="take the snapshot anew")
    for kind, ids in (("node", [n.id for n in state.nodes]), ("guest", [g.id for g in state.guests])):
        if len(set(ids)) == len(ids):
            continue
        for what, times in Counter(ids).items():
            if times > 1:
                raise UsageError(f"{kind} {what} is listed {times} times", remedy="take the snapshot anew")
    if state.node(node) is None:
        known = ", ".join(sorted(str(each.id) for each in state.nodes))
        raise UsageError(f"unknown node {node}", remedy=f"name one of {known}")
    if now.tzinfo is None or state.at.tzinfo is None:
        raise UsageError("times need a time zone", remedy="write them as UTC")
    _refuse_figures(state)
    names = {each.id for each in state.nodes}
    for guest in state.guests:
        if guest.node not in names:
            raise UsageError(
                f"guest {guest.id} is on {guest.node}, which is not in the cluster", remedy="observe again"
            )


def _refuse_figures(state: ClusterState) -> None:
    for each in state.nodes:
        _refuse(f"node {each.id}", ram_bytes=each.ram_bytes, cpu_used=each.cpu_used)
        if each.online and each.ram_bytes == 0:
            raise UsageError(f"node {each.id} is online with no RAM", remedy="check the right Sys.Audit on its path")
    for guest in state.guests:
        sizes = [disk.size_bytes for disk in guest.disks]
        if all(0 <= value < math.inf for value in (guest.ram_bytes, guest.cpu_used, guest.dirty_bytes_s or 0, *sizes)):
            continue  # nearly always: names are made only where they are needed
        what = f"guest {guest.id}"
        _refuse(what, ram_bytes=guest.ram_bytes, cpu_used=guest.cpu_used, dirty_bytes_s=guest.dirty_bytes_s)
        _refuse(what, **{f"size of {disk.key}": disk.size_bytes for disk in guest.disks})
    for store in state.storages:
        what = f"storage {store.name} on {store.node}"
        _refuse(what, total_bytes=store.total_bytes, used_bytes=store.used_bytes)


def _refuse(what: str, **figures: float | None) -> None:
    for name, value in figures.items():
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"{what}: {name} is {value}", remedy="take the snapshot anew")


def contradictions(state: ClusterState) -> tuple[Blocker, ...]:
    """Strict rules that no placement can satisfy, as blockers."""
    found = []
    rules = [rule for rule in state.rules if rule.enabled and rule.strict]
    for together in (rule for rule in rules if rule.kind is Affinity.TOGETHER):
        for apart in (rule for rule in rules if rule.kind is Affinity.APART):
            if len(both := together.guests & apart.guests) > 1:
                who = ", ".join(str(guest) for guest in sorted(both))
                found.append(
                    Blocker(
                        "plan.rules-contradict",
                        together.name,
                        f"rule {together.name} keeps {who} together and rule {apart.name} keeps them apart",
                        f"delete one of the rules {together.name} and {apart.name}",
                        {
                            "together": together.name,
                            "apart": apart.name,
                            "guests": ", ".join(str(guest) for guest in sorted(together.guests)),
                        },
                    )
                )
    return tuple(found)


def contradicted(state: ClusterState) -> frozenset[GuestId]:
    """The guests of such rules: there is no right place for them."""
    named = {blocker.subject for blocker in contradictions(state)}
    rules = (r for r in state.rules if r.enabled and r.strict and r.kind is Affinity.TOGETHER and r.name in named)
    return frozenset(guest for rule in rules for guest in rule.guests)
