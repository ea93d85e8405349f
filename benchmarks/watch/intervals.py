"""95 % intervals of counts, shares and medians, without more than the standard library."""

from __future__ import annotations

import math
from collections.abc import Sequence


def poisson(count: int) -> tuple[float, float]:
    """Exact (Garwood) interval of the mean of a Poisson count."""

    def at_most(k: int, mean: float) -> float:
        return sum(math.exp(-mean + i * math.log(mean) - math.lgamma(i + 1)) for i in range(k + 1)) if mean > 0 else 1.0

    def solve(k: int, wanted: float) -> float:
        low, high = 0.0, 10.0 + 3 * count
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if at_most(k, middle) > wanted else (low, middle)
        return low

    return (solve(count - 1, 0.975) if count else 0.0), solve(count, 0.025)


def share(hits: int, of: int) -> tuple[float, float]:
    """Wilson's interval of a proportion."""
    if not of:
        return 0.0, 1.0
    z, p = 1.96, hits / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def middle(values: Sequence[float]) -> tuple[float, float, float]:
    """The median and its interval from order statistics; infinite values are what never came."""
    if not values:
        return math.nan, math.nan, math.nan
    some, count = sorted(values), len(values)
    half = 0.98 * math.sqrt(count)
    low, high = max(0, math.floor(count / 2 - half)), min(count - 1, math.ceil(count / 2 + half))
    return (some[(count - 1) // 2] + some[count // 2]) / 2, some[low], some[high]
