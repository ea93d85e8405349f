"""A fault that shows itself on every node of a chassis is one of the chassis: whoever works on it touches them all."""

from __future__ import annotations

from noout.app.compose import Installation
from noout.app.notice import watcher_of
from noout.domain.cluster import ClusterState
from noout.domain.hardware import Fault
from noout.domain.reasons import Blocker
from noout.plan.capacity import holds_ram
from noout.plan.groups import mates

# What a fault may be of, where it is not of the node alone.
STRIKES = {"fans": ("chassis",), "power": ("chassis", "pdu"), "network": ("switch",)}


async def shared_fault(found: Installation, fault: Fault, state: ClusterState) -> Blocker | None:
    """Why this node alone must not be worked on: neighbours that share a part with it show the same fault, and guests
    run on them. None where they show none, or are empty."""
    kinds = STRIKES.get(fault.template, ())
    alike = [
        each
        for each in sorted(mates(fault.node, [part for part in found.policy.parts if part.kind in kinds]))
        if each in found.bmcs
        and (other := (await watcher_of(found).health(each)).fault) is not None
        and other.template == fault.template
    ]
    busy = [each for each in alike if any(holds_ram(guest) for guest in state.guests_on(each))]
    if not busy:
        return None
    names = " and ".join(each.name for each in (fault.node, *alike))
    nodes = " ".join(f"--with {each.name}" for each in alike)
    return Blocker(
        "plan.shares-part",
        str(fault.node),
        f"{names} share a part and show the same fault ({fault.template}): work on it touches all of them, and guests "
        f"run on {' and '.join(each.name for each in busy)}",
        f"empty them all first, as `noout plan {fault.node.name} {nodes}` says",
        {"nodes": ", ".join(str(each) for each in alike)},
    )
