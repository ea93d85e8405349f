"""Standby fans: those that stand still while little is asked of the fans, and turn when more is.

A BMC gives such a fan no lower limit. What tells its stop from a fault is the moment: a standby fan stops when the
others turn more slowly than they mostly do while it turns; a faulty one stops at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

STOPS_BELOW = 0.25  # it may stop while the others are slower than in this share of the time that it turned
TURNS_ABOVE = 0.9  # it should turn when they are faster than in this share of it
MARGIN = 0.02  # ln: as a fan that never varies has no slower and faster


def bounds(fan: int, rows: Sequence[Sequence[float | None]]) -> tuple[float, float] | None:
    """ln of the neighbours' speed below which this fan may stop, and above which it should turn; None while it was
    never seen turning. ``rows``: ln(speed) of all fans over time, None where one stood still."""
    turning = sorted(
        median(others)
        for row in rows
        if row[fan] is not None and (others := [level for i, level in enumerate(row) if i != fan and level is not None])
    )
    if not turning:
        return None
    stops, turns = (turning[min(len(turning) - 1, int(share * len(turning)))] for share in (STOPS_BELOW, TURNS_ABOVE))
    return stops - MARGIN, turns
