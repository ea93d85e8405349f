"""How likely an intermittent fault is to show itself in a given time, and how well that is known.

Episodes are taken for a Poisson process of constant rate: the time to n further ones is Gamma distributed, and with
Jeffreys' prior the rate after n of them in a time T is Gamma(n + 1/2, T). A fault that comes in bursts, or only under
load, shows itself less surely than this says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from noout.domain.hardware import Episode, Fault

LEVEL = 0.9  # of the interval


@dataclass(frozen=True, slots=True)
class Chance:
    """That the old fault would have shown itself: the estimate, and the interval that 90 of 100 such fall into.

    ``episodes`` in ``span_s`` seconds are what it rests on; ``lasting``: the fault did not come and go, it was there.
    """

    best: float
    low: float
    high: float
    episodes: int = 0
    span_s: float = 0.0
    lasting: bool = False


def chance(fault: Fault | None, soak_s: float) -> Chance:
    """That ``fault``, were it still there, would show itself within ``soak_s``: 1 - exp(-rate * soak).

    The rate is that of the episodes, first to last. Of fewer than two it is not known: the interval is everything.
    """
    episodes = [each for verdict in (fault.verdicts if fault else ()) for each in verdict.episodes]
    if soak_s > 0 and any(each.until is None for each in episodes):
        return Chance(1.0, 1.0, 1.0, len(episodes), lasting=True)
    count, span_s = intervals(episodes)
    if not count or span_s <= 0:
        return Chance(0.0, 0.0, 1.0, len(episodes))
    low, high = rate_interval(count, span_s)
    best, least, most = (1 - math.exp(-rate * soak_s) for rate in (count / span_s, low, high))
    return Chance(best, least, most, len(episodes), span_s)


def intervals(episodes: Sequence[Episode]) -> tuple[int, float]:
    """How many times the fault came again, and in how many seconds, from the first episode to the last."""
    starts = sorted(each.since for each in episodes)
    return (len(starts) - 1, (starts[-1] - starts[0]).total_seconds()) if starts else (0, 0.0)


def soak_s(fault: Fault | None, least_s: float, share: float, most_s: float) -> float:
    """How long to soak so that the old fault would show itself with chance ``share``; within the two limits.

    ``share`` 0, or a rate that is not known: ``least_s``.
    """
    episodes = [each for verdict in (fault.verdicts if fault else ()) for each in verdict.episodes]
    count, span_s = intervals(episodes)
    if not share or not count or span_s <= 0 or any(each.until is None for each in episodes):
        return least_s
    return max(least_s, min(most_s, -math.log(1 - share) * span_s / count))


def says(told: Chance, soak_s: float) -> str:
    """In one sentence, for operators."""
    within = f"in {_span(soak_s)} of soak"
    if told.lasting:
        return f"The old fault was there all the time: it would have shown itself {within}."
    if told.span_s <= 0:
        return f"How likely the old fault would have shown itself {within} is not known: too few episodes."
    return (
        f"Were the old fault still there, it would have shown itself {within} with a chance of {percent(told.best)} % "
        f"(90 % interval {percent(told.low)} to {percent(told.high)} %; {told.episodes} episodes in "
        f"{_span(told.span_s)})."
    )


def percent(share: float) -> str:
    """Never 0 or 100 of what is only likely."""
    if share <= 0 or share >= 1:
        return f"{100 * share:.0f}"
    return "<1" if share < 0.01 else ">99" if share > 0.99 else f"{100 * share:.0f}"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


# --- the Gamma distribution -------------------------------------------------------------------------------------


def rate_interval(count: int, exposure_s: float, level: float = LEVEL) -> tuple[float, float]:
    """Jeffreys' interval of a rate (1/s) from ``count`` events in ``exposure_s``: quantiles of Gamma(count + 1/2)."""
    shape, tail = count + 0.5, (1 - level) / 2
    return gamma_quantile(shape, tail) / exposure_s, gamma_quantile(shape, 1 - tail) / exposure_s


def gamma_quantile(shape: float, share: float) -> float:
    """The x with P(shape, x) = share, by bisection to twelve digits."""
    low, high = 0.0, shape + 1.0
    while gamma_share(shape, high) < share:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if gamma_share(shape, middle) < share else (low, middle)
        if high - low <= 1e-12 * high:
            break
    return (low + high) / 2


def gamma_share(shape: float, x: float) -> float:
    """P(shape, x), the regularised lower incomplete gamma function: its series, or Lentz's continued fraction."""
    if x <= 0:
        return 0.0
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        n = shape
        while abs(term) > 1e-16 * abs(total):
            n += 1
            term *= x / n
            total += term
        return front * total
    b, c = x + 1 - shape, 1e300
    d = 1 / b
    h = d
    for i in range(1, 10_000):
        an = -i * (i - shape)
        b += 2
        d = 1 / (an * d + b or 1e-300)
        c = b + an / c or 1e-300
        delta = d * c
        h *= delta
        if abs(delta - 1) < 1e-15:
            break
    return 1 - front * h
