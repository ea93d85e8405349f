"""Standby fans: those that stand still while little is asked of the fans, and turn when more is.

A BMC gives such a fan no lower limit. What tells its stop from a fault is the moment: a standby fan stops when the
others turn more slowly than they mostly do while it turns; a faulty one stops at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

STOPS_BELOW = 0.25  # it may stop while the others are slower than in this share of the time that it turned
TURNS_ABOVE = 0.9  # it should turn when they are faster than in this share of it


def stands_by(fan: int, demand: float, so_far: bool, rows: Sequence[Sequence[float | None]]) -> bool:
    """Whether a fan without a limit that stands still may do so. ``demand``: ln of its turning neighbours' median
    speed now; ``so_far``: whether it was standing by until now; ``rows``: ln(speed) of all fans over time."""
    turning = sorted(
        median(others)
        for row in rows
        if row[fan] is not None and (others := [level for i, level in enumerate(row) if i != fan and level is not None])
    )
    if not turning:
        return so_far
    share = TURNS_ABOVE if so_far else STOPS_BELOW
    bound = turning[min(len(turning) - 1, int(share * len(turning)))]
    return demand <= bound - (0.0 if so_far else 0.02)
