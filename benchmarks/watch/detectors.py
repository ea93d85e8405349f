"""The detectors that are compared: noout's own, the one that runs in production, and what others do.

Each takes a trace and says when it raised an alarm, of which fan: ``[(seconds, fan)]``. Nobody sees polls that did not
come or a node that is off. The others see every reading as it is told; what is missing leaves their state as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from benchmarks.watch.traces import EVERY_S, FANS, Floats, Trace
from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, LogEntry
from noout.watch.node import OF_NO_LIMIT, NodeWatch
from noout.watch.verdict import verdicts

Alarms = list[tuple[float, int]]
BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
ILL = frozenset({Condition.FLAPPING, Condition.DEGRADED, Condition.FAILED})
NAMES = tuple(f"FAN{i + 1}" for i in range(FANS))


# --- noout ----------------------------------------------------------------------------------------------------


def ours(trace: Trace, *, events: bool) -> Alarms:
    """``noout.watch`` itself, fed poll by poll: an alarm is a fan whose condition becomes one that is acted upon.

    Of a faulty node only the first alarm of the faulty fan counts, so nothing after it is played.
    """
    told = NodeWatch(NodeId("bench", "node"))
    for name, limit in zip(NAMES, trace.limits, strict=True):
        told.fans.limit(told.place(name), float(limit))
    if trace.board == "percent":
        for fan in np.flatnonzero((trace.speeds == 0).any(axis=0)):
            told.fans.limit(int(fan), OF_NO_LIMIT)  # as for a fan that its BMC reports as failed
    rows = _rows(trace.speeds)
    answered, on = trace.answered.tolist(), trace.on.tolist()
    entries = _entries(trace) if events else []
    next_entry, began, ill = 0, BEGAN.timestamp(), set[str]()
    alarms: Alarms = []
    feed = told.fans.feed
    for poll, speeds in enumerate(rows):
        at = began + poll * EVERY_S
        if not answered[poll]:
            told.fans.silence(at, "the BMC does not answer")
            continue
        if on[poll] != told.on:
            moment = BEGAN + timedelta(seconds=poll * EVERY_S)
            told.power(moment - timedelta(seconds=EVERY_S), told.on)
            told.power(moment, on[poll])
        if on[poll]:
            changed = feed(at, speeds)
        else:
            told.fans.silence(at, "the node is off")
            changed = True
        if next_entry < len(entries) and entries[next_entry].at.timestamp() <= at:
            last = next_entry
            while last < len(entries) and entries[last].at.timestamp() <= at:
                last += 1
            told.heard(entries[next_entry:last], BEGAN + timedelta(seconds=poll * EVERY_S))
            next_entry, changed = last, True
        if changed:
            now = {v.sensor for v in verdicts(told, BEGAN + timedelta(seconds=poll * EVERY_S)) if v.condition in ILL}
            alarms += [(float(poll * EVERY_S), _place(name)) for name in sorted(now - ill)]
            if trace.fault in {fan for at, fan in alarms if at >= trace.onset_s}:
                break
            ill = now
    return alarms


def _place(name: str) -> int:
    return NAMES.index(name) if name in NAMES else -1


def _rows(speeds: Floats) -> list[list[float | None]]:
    rows: list[list[float | None]] = speeds.tolist()
    for poll in np.flatnonzero(np.isnan(speeds).any(axis=1)):
        rows[poll] = [None if value != value else value for value in rows[poll]]
    return rows


def _entries(trace: Trace) -> list[LogEntry]:
    """As a BMC writes them: one record when a limit is crossed, one when it is well again."""
    entries = []
    for number, event in enumerate(trace.events):
        name, limit = NAMES[event.fan], f"{event.limit:.0f}"
        began, over = (BEGAN + timedelta(seconds=at) for at in (event.at_s, event.until_s))
        for letter, level in zip(
            "ab", ("Critical", "Non-recoverable") if event.deepest else ("Critical",), strict=False
        ):
            down, up = (
                f"{name}: Lower {level} - Going Low - Assertion",
                f"{name}: Lower {level} - Going Low - De-assertion",
            )
            if event.named:
                down += f", reading {event.reading:.0f} RPM, limit {limit} RPM"
                up += f", reading {2 * event.limit:.0f} RPM, limit {limit} RPM"
            entries.append(LogEntry(f"{number}{letter}", began, "Critical", down, name))
            entries.append(LogEntry(f"{number}{letter}'", over, "OK", up, name))
    return sorted(entries, key=lambda each: each.at)


# --- the others -----------------------------------------------------------------------------------------------


def _seen(trace: Trace) -> tuple[NDArray[np.int64], Floats, Floats]:
    """The polls that came while the node was on: their numbers, readings and targets."""
    polls = np.flatnonzero(trace.answered & trace.on)
    return polls, trace.speeds[polls], trace.target[polls]


def _low(trace: Trace, speeds: Floats, fan: int) -> NDArray[np.bool_]:
    """Below the lower critical limit. Without one there is none to fall below, but 0 percent is reported."""
    column = speeds[:, fan]
    if trace.limits[fan] > 0:
        return np.asarray(column < trace.limits[fan])
    return np.asarray(column == 0) if trace.board == "percent" else np.zeros(len(column), bool)


def threshold(trace: Trace, *, polls_in_a_row: int) -> Alarms:
    """rpm below the limit in so many polls in a row."""
    polls, speeds, _ = _seen(trace)
    alarms: Alarms = []
    for fan in range(FANS):
        low = _low(trace, speeds, fan)
        held = low.copy()
        for back in range(1, polls_in_a_row):
            held[back:] &= low[:-back]
            held[:back] = False
        alarms += _edges(polls, held, fan)
    return alarms


def flap_detection(trace: Trace, *, oldest: float, newest: float, high: float) -> Alarms:
    """Nagios' and Icinga's: weighted state changes among the last 21 results, as a share, over ``high``."""
    polls, speeds, _ = _seen(trace)
    weights = np.linspace(newest, oldest, 20)  # convolve turns it round
    alarms: Alarms = []
    for fan in range(FANS):
        low = _low(trace, speeds, fan)
        change = np.concatenate([[0.0], (low[1:] != low[:-1]).astype(float)])
        share = np.convolve(change, weights)[: len(change)] / 20
        alarms += _edges(polls, share > high, fan)
    return alarms


def openbmc(trace: Trace, *, deviation: float = 0.3, count: int = 5) -> Alarms:
    """phosphor-fan's monitor: out of tolerance counts up, within counts down; an alarm at ``count``. It knows what
    speed the control asked for."""
    polls, speeds, target = _seen(trace)
    alarms: Alarms = []
    for fan in range(FANS):
        value = np.nan_to_num(speeds[:, fan], nan=-1.0)
        aim = 100 * np.ones(len(value)) if trace.board == "percent" else target[:, fan]
        out = (value >= 0) & (np.abs(value - aim) > deviation * aim)
        if trace.board == "percent":
            out = value == 0
        walk = np.cumsum(np.where(out, 1, -1))
        level = walk - np.minimum(np.minimum.accumulate(walk), 0)
        alarms += _edges(polls, level >= count, fan)
    return alarms


def _edges(polls: NDArray[np.int64], alarm: NDArray[np.bool_], fan: int) -> Alarms:
    rising = np.flatnonzero(alarm & ~np.concatenate([[False], alarm[:-1]]))
    return [(float(polls[i] * EVERY_S), fan) for i in rising]


DETECTORS: dict[str, Callable[[Trace], Alarms]] = {
    "rpm < limit at once": lambda t: threshold(t, polls_in_a_row=1),
    "rpm < limit for 5 min": lambda t: threshold(t, polls_in_a_row=5),
    "Nagios 20/30": lambda t: flap_detection(t, oldest=0.75, newest=1.25, high=0.30),
    "Nagios 5/20": lambda t: flap_detection(t, oldest=0.75, newest=1.25, high=0.20),
    "Icinga 25/30": lambda t: flap_detection(t, oldest=0.80, newest=1.18, high=0.30),
    "OpenBMC count": openbmc,
    "noout, readings only": lambda t: ours(t, events=False),
    "noout": lambda t: ours(t, events=True),
}
