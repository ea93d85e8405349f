"""The moves that are under way, as the plan's rule of who may start beside whom sees them."""

from __future__ import annotations

from collections.abc import Sequence

from noout.domain.cluster import NodeId
from noout.domain.maintenance import Maintenance, Move, MoveKind, Observation, Pending
from noout.plan.release import CLEANUP_S, Flight, foreseeable
from noout.steps import actions

MOVE_VERBS = frozenset({"migrate", "ha-migrate"})
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
    if not pending.started or not foreseeable(move) or move.guest in seen.stalled:
        return None
    told = seen.progress.get(move.guest)
    if told is not None and told.blackout_ms is not None:
        return 0.0
    if told is not None:
        rate = told.rate_bytes_s or (m.plan.stream_bytes_s if m.plan else 0.0)
        expected = max(told.total_bytes, move.wire_bytes)
        if not told.total_bytes or not rate or told.transferred_bytes > SURPRISE * expected:
            return None  # nothing is sent yet, or more than can be explained
        return max(0.0, (expected - told.transferred_bytes) / rate)
    return max(0.0, move.expected_s - CLEANUP_S - (seen.at - pending.since).total_seconds())


def soonest_s(todo: Sequence[Move], m: Maintenance, seen: Observation, at_most: float) -> float:
    """When to look again: as soon as a move may be ending, and after ``at_most`` seconds anyway."""
    planned = {move.guest: move for move in todo}
    lead_s = m.plan.lead_s if m.plan else 0.0
    due = [at_most]
    for pending in m.pending:
        if pending.action.verb in MOVE_VERBS and lead_s:
            move = planned.get(actions.guest_id(pending.action)) or _unplanned(pending, m)
            left_s = copying_s(pending, move, m, seen)
            due += [left_s - lead_s] if left_s is not None and left_s > lead_s else []
    return max(1.0, min(due))


def limit_bytes_s(move: Move, m: Maintenance) -> float:
    """What it may send: its stream's part, or all of it where nothing else is sent beside it; 0: no limit."""
    if m.plan is None:
        return 0.0
    return m.plan.stream_bytes_s * (m.plan.streams if move.alone else 1)
