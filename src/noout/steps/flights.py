"""The moves that are under way, as the plan's rule of who may start beside whom sees them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from noout.domain.cluster import MigrationProgress, NodeId
from noout.domain.maintenance import Maintenance, Move, MoveKind, Observation, Pending
from noout.plan.release import CLEANUP_S, Flight, foreseeable
from noout.steps import actions

MOVE_VERBS = frozenset({"migrate", "ha-migrate"})
FIRST_S = 20.0  # a log is read for the first time when it is so old, or when the copying should be ending
REST_S = 30.0  # and so often in any case
HA_ROUND_S = 10.0  # in which HA thinks and acts
HA_REST_S = 60.0  # and so often HA is asked in any case
SETTLED_S = 1.5  # after the copying and what PVE says it takes to clean up
SURPRISE = 1.25  # a guest that has sent so much more than expected rewrites its memory: its end is not foreseen


def in_flight(todo: Sequence[Move], m: Maintenance, seen: Observation) -> list[Flight]:
    """Every move that was asked for and is not seen to be over."""
    planned = {move.guest: move for move in todo}
    found = []
    for pending in m.pending:
        if pending.action.verb not in MOVE_VERBS:
            continue
        guest = actions.guest_id(pending.action)
        move = planned.get(guest) or _unplanned(pending, m)
        left_s = copying_s(pending, move, m, seen)
        lead_s = m.plan.lead_s if m.plan else 0.0
        found.append(Flight(move, lead_s > 0 and left_s is not None and left_s <= lead_s))
    return found


def _unplanned(pending: Pending, m: Maintenance) -> Move:
    """A guest on its way back, or one that a new plan does not move any more: what the action says of it."""
    args, guest = pending.action.args, actions.guest_id(pending.action)
    managed = pending.action.verb == "ha-migrate"
    return Move(
        guest, str(args.get("name") or guest), MoveKind(str(args.get("kind") or MoveKind.LIVE)),
        NodeId(m.node.cluster, str(args.get("source") or m.node.name)),
        NodeId(m.node.cluster, str(args.get("target"))), 0, ha=managed,
        with_local_disks=bool(args.get("with_local_disks")), expected_s=float(args.get("expected_s") or 0.0),
        alone=managed and m.plan is not None and m.plan.stream_bytes_s > 0,
    )  # fmt: skip


def copying_s(pending: Pending, move: Move, m: Maintenance, seen: Observation) -> float | None:
    """How long it still copies (s): by what its log measured, else as expected since it began. None: not known."""
    if move.guest in seen.stalled:
        return None
    return left_s(pending, move, m, seen.progress.get(move.guest), seen.at)


def left_s(pending: Pending, move: Move, m: Maintenance, told: MigrationProgress | None, at: datetime) -> float | None:
    """The same, by what its log has just ``told`` (None: nothing yet)."""
    if not pending.started or not foreseeable(move):
        return None
    if told is not None and told.blackout_ms is not None:
        return 0.0
    if told is not None:
        rate = told.rate_bytes_s or (m.plan.stream_bytes_s if m.plan else 0.0)
        expected = max(told.total_bytes, move.wire_bytes)
        if not told.total_bytes or not rate or told.transferred_bytes > SURPRISE * expected:
            return None  # nothing is sent yet, or more than can be explained
        return max(0.0, (expected - told.transferred_bytes) / rate)
    return max(0.0, move.expected_s - CLEANUP_S - (at - pending.since).total_seconds())


def next_look_s(pending: Pending, m: Maintenance, told: MigrationProgress | None, at: datetime) -> float:
    """In how many seconds its log is worth reading (again): when it should be ending, then when it should be over.
    What cannot be foreseen is looked at the less often the longer it takes."""
    move = move_of(pending, m)
    age_s, lead_s = (at - pending.since).total_seconds(), m.plan.lead_s if m.plan else 0.0
    copying = left_s(pending, move, m, told, at)
    if told is None and age_s < FIRST_S:  # what fails at once is not seen much later
        soon = min(FIRST_S, move.expected_s) if copying is None else min(FIRST_S, copying - lead_s)
        return max(2.0, soon - (age_s if copying is None else 0.0))
    if copying is None or (told is not None and told.rate_bytes_s is None and told.blackout_ms is None):
        return min(max(2.0, age_s / 4), REST_S)
    if lead_s and copying > lead_s:
        return min(max(1.0, copying - lead_s), REST_S)
    return min(max(2.0, copying + CLEANUP_S + SETTLED_S), REST_S)


def move_of(pending: Pending, m: Maintenance) -> Move:
    """As the plan orders it, whichever way it goes; or as the action says."""
    guest, target = actions.guest_id(pending.action), pending.action.args.get("target")
    planned = (*m.plan.moves, *m.plan.returns) if m.plan else ()
    found = (each for each in planned if each.guest == guest and each.target and each.target.name == target)
    return next(found, None) or _unplanned(pending, m)


def soonest_s(m: Maintenance, seen: Observation, at_most: float) -> float:
    """When to look again: when the first of those under way is worth it, and after a while anyway. ``at_most``: for
    what nothing is known of."""
    return max(1.0, min((_due_s(pending, m, seen, at_most) for pending in m.pending), default=at_most))


def _due_s(pending: Pending, m: Maintenance, seen: Observation, at_most: float) -> float:
    if pending.action.verb not in MOVE_VERBS:
        return at_most
    age_s = (seen.at - pending.since).total_seconds()
    if (at := seen.due.get(actions.guest_id(pending.action))) is not None:
        return min((at - seen.at).total_seconds(), REST_S)
    if pending.action.verb == "ha-migrate":  # told by HA alone
        return min(max(HA_ROUND_S, float(pending.action.args.get("expected_s") or 0.0) - age_s), HA_REST_S)
    copying, lead_s = copying_s(pending, move_of(pending, m), m, seen), m.plan.lead_s if m.plan else 0.0
    return min(at_most, copying - lead_s) if lead_s and copying is not None and copying > lead_s else at_most


def limit_bytes_s(move: Move, m: Maintenance) -> float:
    """What it may send: its stream's part, or all of it where nothing else is sent beside it; 0: no limit."""
    if m.plan is None:
        return 0.0
    return m.plan.stream_bytes_s * (m.plan.streams if move.alone else 1)
