"""Shares and means with how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

Z95 = 1.959964


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (0..1), by Wilson's score; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, Z95 * Z95
    middle = share + square / (2 * of)
    half = Z95 * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    low, high = (middle - half) / (1 + square / of), (middle + half) / (1 + square / of)
    return (0.0 if hits == 0 else low), (1.0 if hits == of else high)


def bootstrap(values: Sequence[float], rounds: int = 1000) -> tuple[float, float]:
    """The 95 % interval of the mean, by drawing from the values anew; always the same for the same values."""
    if not values:
        return 0.0, 0.0
    chance = Random(len(values))
    means = sorted(sum(chance.choices(values, k=len(values))) / len(values) for _ in range(rounds))
    return means[int(0.025 * rounds)], means[min(rounds - 1, int(0.975 * rounds))]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
