"""The guests that a maintenance touches, as they were when a plan first named them: for probes and reports."""

from __future__ import annotations

from noout.codec import decode
from noout.domain.cluster import ClusterState, Guest
from noout.domain.maintenance import Maintenance, Plan


def touched(state: ClusterState, plan: Plan) -> list[Guest]:
    """The guests of the node and those that move to make room, as they are now."""
    moving = {move.guest for move in plan.moves}
    return [guest for guest in state.guests if guest.node == plan.node or guest.id in moving]


def guests_of(m: Maintenance) -> tuple[Guest, ...]:
    """As recorded at the opening, and by every new plan that named more."""
    return tuple(decode(Guest, each) for each in m.facts.get("guests", ()))


def with_newcomers(m: Maintenance, state: ClusterState, plan: Plan) -> list[Guest] | None:
    """Those recorded and those that ``plan`` adds; None when it adds nobody."""
    recorded = guests_of(m)
    known = {guest.id for guest in recorded}
    new = [guest for guest in touched(state, plan) if guest.id not in known]
    return [*recorded, *new] if new else None
