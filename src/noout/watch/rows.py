"""Three days of a node's fans in little room: one row of ln(speed) every ten minutes, kept as 16-bit integers."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

STEPS = 2500.0  # a step is 0.0004: ln(60,000) still fits in 16 bits
NONE = -32768
ROWS_MAX = 432  # three days of ten minutes


class Rows:
    """The latest ``ROWS_MAX`` rows and up to a tenth more; a new column begins with None."""

    def __init__(self, columns: int, kept: Sequence[int] = ()) -> None:
        self.columns = columns
        self.kept = array("h", kept)

    def __len__(self) -> int:
        return len(self.kept) // self.columns if self.columns else 0

    def append(self, levels: Sequence[float | None]) -> None:
        self.kept.extend([NONE if level is None else round(level * STEPS) for level in levels])
        if len(self) > ROWS_MAX * 1.1:
            del self.kept[: self.columns * (len(self) - ROWS_MAX)]

    def latest(self, count: int = ROWS_MAX) -> list[list[float | None]]:
        """The latest ``count`` rows, oldest first."""
        width, rows = self.columns, len(self)
        taken = range(max(0, rows - count), rows)
        return [
            [None if each == NONE else each / STEPS for each in self.kept[row * width : (row + 1) * width]]
            for row in taken
        ]

    def widen(self) -> None:
        """One more column."""
        rows = self.latest(len(self))
        self.columns += 1
        self.kept = array("h")
        for row in rows:
            self.append([*row, None])


def level(speeds: Sequence[float | None]) -> float | None:
    """ln of the mean speed in a block; None for a fan that gave none, or stood still in a part of it: the mean of the
    rest is of another time than its peers' and says nothing of its proportion to them."""
    some = [speed for speed in speeds if speed is not None]
    return math.log(sum(some) / len(some)) if some and min(some) > 0 else None
