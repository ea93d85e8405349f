"""Exact arithmetic on stretches of time: whole microseconds since 1970 in UTC, half-open [start, end).

Half-open means that a stretch holds its start and not its end: two that touch have nothing in common, and lengths add
up. Everything is UTC, so summer time changes nothing. No figure is rounded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

Span = tuple[int, int]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Whole microseconds since 1970 of an aware datetime: exact, for a datetime holds no less."""
    return (at - _EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """The inverse of ``micros``, in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same instants as few spans: sorted, apart from each other, none empty. Those that touch become one."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def clipped(spans: Iterable[Span], since: int, until: int) -> list[Span]:
    """What of them lies in [since, until), merged."""
    return merged((max(start, since), min(end, until)) for start, end in spans)


def common(first: Iterable[Span], second: Iterable[Span]) -> list[Span]:
    """The instants that are in both, merged."""
    a, b = merged(first), merged(second)
    found: list[Span] = []
    i = j = 0
    while i < len(a) and j < len(b):
        start, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < end:
            found.append((start, end))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return found


def without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """The instants of ``spans`` that are not in ``taken``, merged."""
    kept, out = merged(spans), merged(taken)
    found: list[Span] = []
    j = 0
    for start, end in kept:
        while j < len(out) and out[j][1] <= start:
            j += 1
        k, left = j, start
        while k < len(out) and out[k][0] < end:
            if left < out[k][0]:
                found.append((left, out[k][0]))
            left = max(left, out[k][1])
            k += 1
        if left < end:
            found.append((left, end))
    return found


def total(spans: Iterable[Span]) -> int:
    """Microseconds in all; an instant that several hold counts once."""
    return sum(end - start for start, end in merged(spans))


def covered(spans: Sequence[Span], at_least: int) -> list[Span]:
    """Stretches during which ``at_least`` of the spans hold. A span that ends where another begins ends the stretch
    when too few are left between them: a good answer at that instant parts two silences."""
    marks = sorted(
        [(start, 1) for start, end in spans if start < end] + [(end, -1) for start, end in spans if start < end]
    )
    found: list[Span] = []
    held, since = 0, None
    for at, step in marks:  # at one instant the ends come first
        held += step
        if since is None and held >= at_least:
            since = at
        elif since is not None and held < at_least:
            found.append((since, at))
            since = None
    return found
