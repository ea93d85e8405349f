"""Which fans are peers, learned from how they turned: those that speed up and slow down together.

A fan's speed alone says little, the load drives it up and down; its proportion to fans under the same control says
much. Boards have several zones under different controls and none of them says which fan is in which.

All levels are ln(speed), one row a block of ten minutes, one column a fan; None where a fan stood still or gave none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

Row = Sequence[float | None]

ALIKE = 0.02  # spread of ln(a / b) below which two fans are peers whatever moved them
TOGETHER = 0.35  # the same as a share of the spread of the fans themselves: a correlation of about 0.94
ROWS_MIN = 6  # common rows below which nothing is said of two fans


@dataclass(frozen=True, slots=True)
class Peers:
    """``groups``: the columns of each group, every column in one. ``offset``: ln of each fan's usual speed in
    proportion to its group; None where nothing is known. ``spread``: the usual deviation from that [ln]."""

    groups: tuple[tuple[int, ...], ...]
    offset: tuple[float | None, ...]
    spread: tuple[float, ...]


def learn(rows: Sequence[Row], fans: int, *, group: bool = True) -> Peers:
    """Learn from ``rows``; with ``group`` False all fans are one group, which is all that a few rows can tell."""
    columns = [[row[fan] for row in rows] for fan in range(fans)]
    groups = _groups(columns) if group else (tuple(range(fans)),)
    offset: list[float | None] = [None] * fans
    spread = [0.0] * fans
    for members in groups:
        middle = [_middle([row[fan] for fan in members]) for row in rows]
        for fan in members:
            own = columns[fan]
            apart = [a - m for a, m in zip(own, middle, strict=True) if a is not None and m is not None]
            if apart:
                offset[fan] = median(apart)
                spread[fan] = 1.4826 * median([abs(each - (offset[fan] or 0.0)) for each in apart])
    return Peers(groups, tuple(offset), tuple(spread))


def learn_one(
    fan: int, rows: Sequence[Row], group: Sequence[int], offsets: Sequence[float | None]
) -> tuple[float | None, float]:
    """Offset and spread of one fan of a group whose other fans' ``offsets`` are known, from ``rows`` since it was put
    in; (None, 0) where nothing can be said yet."""
    others = [j for j in group if j != fan]
    if not others:
        return 0.0, 0.0
    apart = []
    for row in rows:
        middle = _middle([None if (level := row[j]) is None else level - (offsets[j] or 0.0) for j in others])
        if (own := row[fan]) is not None and middle is not None:
            apart.append(own - middle)
    if not apart:
        return None, 0.0
    offset = median(apart)
    return offset, 1.4826 * median([abs(each - offset) for each in apart])


def regrouped(fan: int, rows: Sequence[Row], groups: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """The groups, with one fan in that of whose members most turn like it in ``rows``. That takes a long time of load
    and calm: in a calm night all fans turn alike. A place on the board stays under its control whatever fan is put in.
    """
    alike = next(some for some in _groups([[row[j] for row in rows] for j in range(len(rows[0]))]) if fan in some)
    kept = [tuple(j for j in group if j != fan) for group in groups]
    best = max(kept, key=lambda group: len(set(group) & set(alike)), default=())
    home = best if set(best) & set(alike) else ()
    return (*(group for group in kept if group and group != home), tuple(sorted((*home, fan))))


def _middle(values: Sequence[float | None]) -> float | None:
    some = [value for value in values if value is not None]
    return median(some) if some else None


def _groups(columns: Sequence[Sequence[float | None]]) -> tuple[tuple[int, ...], ...]:
    """Each fan joins the first group of which it is a peer of every member that is known."""
    groups: list[list[int]] = []
    for fan in range(len(columns)):
        home = next((some for some in groups if all(peers(columns[fan], columns[each]) for each in some)), None)
        if home is None:
            groups.append([fan])
        else:
            home.append(fan)
    return tuple(tuple(some) for some in groups)


def peers(one: Sequence[float | None], other: Sequence[float | None]) -> bool:
    """Whether two fans keep their proportion while they vary."""
    both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if len(both) < ROWS_MIN:
        return False
    apart = _deviation([a - b for a, b in both])
    return apart <= ALIKE or apart <= TOGETHER * min(_deviation([a for a, _ in both]), _deviation([b for _, b in both]))


def _deviation(values: Sequence[float]) -> float:
    """The standard deviation."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((each - mean) ** 2 for each in values) / len(values))
