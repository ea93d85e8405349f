"""Is the target of a move there, and is there room for the guest, now?"""

from __future__ import annotations

from noout.domain.cluster import Guest, GuestId, GuestStatus
from noout.domain.maintenance import Maintenance, Move, Observation
from noout.domain.reasons import Blocker
from noout.steps import actions


def no_room(move: Move, guest: Guest, m: Maintenance, seen: Observation) -> Blocker | None:
    """The target must be online and hold the guest's RAM on top of what runs there or is on its way there, now."""
    if move.target is None:
        return None
    node = seen.cluster.node(move.target)
    if node is None or not node.online:
        return Blocker(
            "target.offline", str(move.guest), f"{move.target.name}, where {move.name} should go, is not online",
            "bring it back, or resume for a new plan",
        )  # fmt: skip
    if not guest.alive or m.plan is None:
        return None
    load = next((each for each in m.plan.loads if each.node == move.target), None)
    # As in the plan: all but the reserve; yet a node may hold again what it held before anything moved.
    limit = max(node.ram_bytes - load.reserve_bytes, load.before_bytes) if load else node.ram_bytes
    coming = sum(
        other.ram_bytes
        for pending in m.pending
        if pending.action.args.get("target") == node.id.name
        and (other := seen.cluster.guest(GuestId.parse(pending.action.subject))) is not None
        and other.node != node.id
    )
    here = [other for other in seen.cluster.guests_on(node.id) if other.status is not GuestStatus.STOPPED]
    short = sum(other.ram_bytes for other in here if not other.template) + coming + guest.ram_bytes - limit
    if short > 0:
        return Blocker(
            "target.full", str(move.guest),
            f"{move.name} does not fit on {node.id.name} any more: {short / actions.GIB:.1f} GiB short",
            "make room there, or resume for a new plan",
        )  # fmt: skip
    return None
