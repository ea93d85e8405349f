"""Chance that is always the same: a linear congruential generator, so that the same state gives the same plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")
_FACTOR, _STEP = 6364136223846793005, 1442695040888963407  # Knuth's MMIX


class Chance:
    def __init__(self, seed: int) -> None:
        self.state = seed

    def share(self) -> float:
        """0 to 1, 1 excluded."""
        self.state = (self.state * _FACTOR + _STEP) & (2**64 - 1)
        return (self.state >> 11) / 2**53

    def choice(self, some: Sequence[_T]) -> _T:
        return some[int(self.share() * len(some))]

    def sample(self, some: Sequence[_T], count: int) -> list[_T]:
        """``count`` different ones (all, if there are not so many)."""
        left = list(some)
        return [left.pop(int(self.share() * len(left))) for _ in range(min(count, len(left)))]
