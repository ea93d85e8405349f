"""How long the rest of an evacuation takes, by what its moves so far have shown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from statistics import median

from noout.domain.cluster import GuestId
from noout.domain.maintenance import Move as PlannedMove
from noout.domain.maintenance import Moved, MoveKind, Plan
from noout.plan.release import CLEANUP_S, makespan_s, timeline_s

RATIO_MIN, RATIO_MAX = 0.1, 10.0  # beyond them it was not the network that was measured
LAST = 5  # moves that count: what was measured an hour ago says little


def pace(plan: Plan, moved: Sequence[Moved]) -> float | None:
    """How fast copies were against what this plan expects (1.0: as expected), by the last of them; None: not measured.

    ``Moved.rate_bytes_s`` is bytes over seconds of the log's last minute, so what one stream really got.
    """
    measured = [each.rate_bytes_s for each in moved if each.rate_bytes_s and not each.homeward]
    expected = [move.wire_bytes / copy_s for move in plan.moves if (copy_s := _copy_s(move, plan)) > 0]
    if not measured or not expected:
        return None
    return min(max(median(measured[-LAST:]) / median(expected), RATIO_MIN), RATIO_MAX)


def remaining_s(plan: Plan, done: Collection[GuestId], ratio: float | None) -> tuple[float, float]:
    """(low, high) in seconds for the moves that are left, (0, 0) when none is. Low: at the pace measured so far, or as
    planned where none is; high: at half of it."""
    left = [move for move in plan.moves if move.guest not in done and move.kind is not MoveKind.SHUTDOWN]
    low = makespan_s(left, plan.streams, plan.lead_s, lambda move: _length_s(move, plan, ratio or 1.0))
    high = makespan_s(left, plan.streams, plan.lead_s, lambda move: _length_s(move, plan, (ratio or 1.0) / 2))
    return round(low, 1), round(high, 1)


def at_pace(plan: Plan, ratio: float | None) -> Plan:
    """The plan with its times as the pace makes them; without one, as it is."""
    if ratio is None:
        return plan
    slow = [replace(move, expected_s=round(_length_s(move, plan, ratio), 1)) for move in plan.moves]
    times = timeline_s(slow, plan.streams, plan.lead_s)
    moves = tuple(replace(each, starts_s=round(times.get(each.guest, (0.0, 0.0))[0], 1)) for each in slow)
    low, high = remaining_s(plan, (), ratio)
    bound = min(plan.lower_bound_s, low)  # of a network that turns out faster than assumed, it was none
    return replace(plan, moves=moves, lower_bound_s=bound, estimate_s=(low, high))


def _copy_s(move: PlannedMove, plan: Plan) -> float:
    """The part of its time in which bytes are sent; 0 where the plan does not tell it apart."""
    if move.kind is not MoveKind.LIVE or move.ha or not move.wire_bytes:
        return 0.0
    return max(0.0, move.expected_s - plan.lead_s - CLEANUP_S)


def _length_s(move: PlannedMove, plan: Plan, ratio: float) -> float:
    copy_s = _copy_s(move, plan)
    return move.expected_s - copy_s + copy_s / ratio
