"""How often anybody is asked: opt-in is not a licence to flood a host."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

HEADROOM = 0.9  # planned for, so that a question asked a little late does not push another over the limit
GUARDED_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many questions in any one second: in all, and to one address. None: no limit."""

    per_s: int | None = 1000
    per_host_per_s: int | None = 20


def stretches(hosts: Iterable[str], every_s: float, limits: Limits, others: Mapping[str, float]) -> dict[str, float]:
    """By how much the distance between two questions grows, by address, for the limits to be kept: 1.0 or more.

    ``hosts``: the address of each service that is to be asked each ``every_s``; ``others``: what is being asked besides
    (address -> questions a second). Everybody behind one limit gives way alike.
    """
    own = {host: count / every_s for host, count in Counter(hosts).items()}
    factors = dict.fromkeys(own, 1.0)
    if limits.per_host_per_s is not None:
        for host, rate in own.items():
            factors[host] = max(1.0, (rate + others.get(host, 0.0)) / (limits.per_host_per_s * HEADROOM))
    if limits.per_s is not None:
        total = sum(rate / factors[host] for host, rate in own.items()) + sum(others.values())
        over = max(1.0, total / (limits.per_s * HEADROOM))
        factors = {host: factor * over for host, factor in factors.items()}
    return factors


@dataclass(slots=True)
class Guard:
    """The last word before a question goes out: never more than the limits in any second, whatever was planned."""

    limits: Limits
    _all: deque[float] = field(default_factory=deque)
    _hosts: dict[str, deque[float]] = field(default_factory=dict)

    def lets(self, host: str, now: float) -> bool:
        """Whether a question may go to ``host`` at ``now`` (s); it is counted when it may."""
        mine = self._hosts.setdefault(host, deque())
        full = any(
            limit is not None and _within(times, now) >= limit
            for times, limit in ((self._all, self.limits.per_s), (mine, self.limits.per_host_per_s))
        )
        if not full:
            if self.limits.per_s is not None:
                self._all.append(now)
            if self.limits.per_host_per_s is not None:
                mine.append(now)
        return not full


def _within(times: deque[float], now: float) -> int:
    while times and now - times[0] >= GUARDED_S:
        times.popleft()
    return len(times)
