"""A new plan in mid-run keeps what is done: it orders only what is left, and brings home everybody we took away."""

from __future__ import annotations

from dataclasses import replace

from noout.domain.cluster import GuestId, NodeId
from noout.domain.maintenance import Action, Maintenance, Move, MoveKind, NodeLoad, Plan
from noout.plan.remaining import at_pace, pace
from noout.steps import actions
from noout.steps.flights import MOVE_VERBS
from noout.steps.whereabouts import away, homes


def keeping_what_is_done(new: Plan, m: Maintenance) -> Plan:
    """``new`` was made from the world alone, which does not tell who was brought where by us, or shut down by us."""
    if m.plan is None:
        return new
    down = {GuestId.parse(own.subject) for own in m.owned if own.kind == "guest-down"}
    new = at_pace(new, pace(new, m.moved))
    returns = _returns(new, m, down)
    named = {move.guest for move in returns} | {stay.guest for stay in new.stays}
    return replace(
        new,
        moves=tuple(move for move in new.moves if move.guest not in down),
        returns=returns,
        stays=(*new.stays, *(stay for stay in m.plan.stays if stay.guest in away(m) and stay.guest not in named)),
        blockers=tuple(each for each in new.blockers if each.subject not in {str(guest) for guest in down}),
        loads=tuple(_as_it_was(load, m.plan) for load in new.loads),
        parent=m.plan.id,
    )


def _returns(new: Plan, m: Maintenance, down: set[GuestId]) -> tuple[Move, ...]:
    """The new plan's returns, each to its first home; then those already away, the last to leave first."""
    belongs, placed = homes(m), away(m)
    ordered = [
        replace(move, target=belongs.get(move.guest, move.target)) if move.target else move
        for move in new.returns
        if move.guest not in down
    ]
    named = {move.guest for move in ordered} | {stay.guest for stay in (m.plan.stays if m.plan else ())}
    before = {move.guest: move for move in (m.plan.returns if m.plan else ())}
    for action in _on_its_way(m):
        guest, there = actions.guest_id(action), NodeId(m.node.cluster, str(action.args["target"]))
        if guest not in named and guest in before:
            named.add(guest)
            ordered.append(replace(before[guest], source=there, after=()))
    for moved in reversed(m.moved):
        guest = moved.guest
        if guest not in placed or guest in named or moved.homeward or moved.target is None:
            continue
        named.add(guest)
        home = belongs[guest]
        known = before.get(guest) or Move(guest, moved.name, moved.kind, moved.target, home, 0)
        ordered.append(replace(known, source=moved.target, target=home, after=()))
    stopped = [move for guest, move in before.items() if guest in down and move.kind is MoveKind.SHUTDOWN]
    return (*ordered, *stopped)


def _on_its_way(m: Maintenance) -> list[Action]:
    """Moves that are asked for and not seen to be over, or may still come: a guest that has just arrived is neither
    on the node, for the new plan to see, nor among those we are known to have moved."""
    asked = [*m.pending, *(each.pending for each in m.doubted)]
    return [each.action for each in reversed(asked) if each.action.verb in MOVE_VERBS]


def _as_it_was(load: NodeLoad, old: Plan) -> NodeLoad:
    """What a node held before anything moved: it may hold as much again when all come home."""
    before = max((each.before_bytes for each in old.loads if each.node == load.node), default=0)
    return replace(load, before_bytes=max(load.before_bytes, before))
