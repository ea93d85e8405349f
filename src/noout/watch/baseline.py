"""Wear: a fan that turns ever so little slower, against its own baseline of three days in proportion to its peers.

One-sided CUSUM on ln(speed / peers): what a block of ten minutes lies below the baseline, less a slack, adds up; what
lies above takes away. A fan 15 % too slow is noticed within three hours, one 10 % too slow
within half a day.
"""

from __future__ import annotations

from collections.abc import Sequence

from noout.watch.fan import Fan

SLACK = 0.07  # ln: what heat, dust and a cleaning do to a healthy fan
SLACK_SPREADS = 3.0
DEGRADED_FROM = 1.5  # ln x blocks: 15 % for three hours, 10 % for eight
CLIP = 0.3  # one block counts no more than this
CLEAR_BELOW = 0.2


def slack(spread: float) -> float:
    """How far below its baseline a fan of that usual ``spread`` [ln] may be."""
    return max(SLACK, SLACK_SPREADS * spread)


def below(levels: Sequence[float | None], fans: Sequence[Fan], members: Sequence[int]) -> dict[int, float]:
    """How far each fan of a group is below what its peers say of it [ln]; without one where nothing can be said."""
    known = sorted(
        (level - offset, i)
        for i in members
        if (level := levels[i]) is not None and (offset := fans[i].offset) is not None
    )
    found = {}
    count = len(known) - 1
    if count < 1:
        return {}
    for place, (own, i) in enumerate(known):
        # The median of the others, by their places in the sorted list without this one.
        upper, lower = count // 2, (count - 1) // 2
        high = known[upper + (upper >= place)][0]
        lows = known[lower + (lower >= place)][0]
        found[i] = (high + lows) / 2 - own
    return found


def add(fan: Fan, at: float, deficit: float) -> None:
    """One block in which ``fan`` was so far below its baseline [ln]."""
    if fan.deficit == 0.0:
        fan.deficit_since = at
    fan.deficit = max(0.0, fan.deficit + min(deficit, CLIP) - fan.slack)
    fan.deficit = min(fan.deficit, 4 * DEGRADED_FROM)  # so that it clears within a day of a repair
    fan.surplus = max(0.0, fan.surplus - max(deficit, -CLIP) - fan.slack)
    fan.short = deficit
    if fan.deficit >= DEGRADED_FROM and fan.degraded_since is None:
        fan.degraded_since = fan.deficit_since
    elif fan.deficit < CLEAR_BELOW:
        fan.degraded_since = None
    if fan.surplus >= DEGRADED_FROM:
        fan.start_anew()  # it was cleaned or replaced: its old proportion would hide new wear
