"""A plan's moves as bars beside and below each other: what a picture of its time needs, before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from noout.domain.cluster import GuestId
from noout.domain.maintenance import Move, Plan
from noout.plan.outlook import times_s

STEPS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800)
TICKS_MAX = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One move, in seconds from the first one's start."""

    move: Move
    since_s: float
    until_s: float


def lanes(plan: Plan) -> tuple[tuple[Bar, ...], ...]:
    """Moves that copy at the same time in different lanes, each lane in the order of time; shut-downs have no bar."""
    times: Mapping[GuestId, tuple[float, float]] = times_s(plan)
    bars = [Bar(move, *times[move.guest]) for move in plan.moves if move.guest in times]
    found: list[list[Bar]] = []
    for bar in sorted(bars, key=lambda each: (each.since_s, -each.until_s)):
        lane = next((each for each in found if each[-1].until_s <= bar.since_s + 1e-9), None)
        if lane is None:
            found.append(lane := [])
        lane.append(bar)
    return tuple(tuple(each) for each in found)


def ticks_s(until_s: float) -> tuple[int, ...]:
    """Round instants from 0 to the end, few enough to be read."""
    step = next((each for each in STEPS_S if until_s / each <= TICKS_MAX), round(until_s / TICKS_MAX) or 1)
    return tuple(range(0, int(until_s) + 1, step))
