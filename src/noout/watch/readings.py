"""Validity first: which polls of a BMC are evidence at all, and which readings of them are low.

A BMC that is unreachable, a node that is off, an empty or all-zero list of fans, and the three polls after any gap are
lost telemetry, never evidence. A poll in which half of the fans or more are low at once tells of something they share
(the fan bus, the control, the BMC), not of each fan.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from noout.domain.hardware import HardwareState, Power, Reading, SensorKind, Unit

AFTER_GAP = 3  # polls after a gap that are not believed: fans spin up, BMCs come to themselves
GAP_MIN_S = 180.0
RPM_MAX = 60_000.0  # no fan turns faster; what says so is garbage
OF_CRITICAL, OF_PEERS = 0.9, 0.5  # low = below 0.9 of the lower critical limit, or half of what the peers say
USUAL_MIN = 8  # readings needed before a fan's usual share of its peers' speed is known


@dataclass(frozen=True, slots=True)
class Poll:
    """One believed poll. ``low``: fan -> whether its reading was low; fans without a valid reading are missing."""

    at: datetime
    speed: Mapping[str, float]
    low: Mapping[str, bool]
    common: bool  # half of the fans or more low at once: evidence about none of them


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What is left after the invalid is gone. ``silent``: why the latest poll is no evidence ("" when it is)."""

    polls: tuple[Poll, ...]
    limits: Mapping[str, float]  # fan -> lower critical, where the BMC gives one
    usual: Mapping[str, float]  # fan -> median reading
    sensors: tuple[str, ...]  # every fan ever listed as present
    off: tuple[tuple[datetime, datetime], ...]  # stretches in which the node was off or just starting
    silent: str

    @property
    def every_s(self) -> float:
        """The usual time between two polls."""
        steps = [(b.at - a.at).total_seconds() for a, b in zip(self.polls, self.polls[1:], strict=False)]
        return median(steps) if steps else 0.0


def ordered(states: Sequence[HardwareState]) -> list[HardwareState]:
    """Oldest first, each moment once."""
    return sorted({state.at: state for state in states}.values(), key=lambda state: state.at)


def believe(states: Sequence[HardwareState]) -> Telemetry:
    """Sift one node's polls (oldest first)."""
    steps = [(b.at - a.at).total_seconds() for a, b in itertools.pairwise(states)]
    gap_s = max(GAP_MIN_S, 3 * median(steps)) if steps else GAP_MIN_S
    raw: list[tuple[datetime, dict[str, float]]] = []
    limits: dict[str, float] = {}
    sensors: dict[str, None] = {}
    distrust, last, silent = 0, None, "it was never asked"
    for state in states:
        gap = last is not None and (state.at - last).total_seconds() > gap_s
        last = state.at
        fans = [r for r in state.readings if r.kind is SensorKind.FAN and r.present]
        sensors |= dict.fromkeys(r.sensor for r in fans)
        limits |= {r.sensor: r.lower_critical for r in fans if _sound(r.lower_critical) and r.lower_critical}
        values = {r.sensor: float(r.value) for r in fans if _valid(r) and r.value is not None}
        silent = _why_silent(state, fans, values)
        if silent or gap:
            distrust = AFTER_GAP
        if silent:
            continue
        if distrust:
            distrust -= 1
            silent = "it has only just answered again"
            continue
        raw.append((state.at, values))
    usual = {fan: median(v[fan] for _, v in raw if fan in v) for fan in sensors if any(fan in v for _, v in raw)}
    polls = _judged(raw, limits)
    return Telemetry(tuple(polls), limits, usual, tuple(sensors), tuple(_off(states, gap_s)), silent)


def _why_silent(state: HardwareState, fans: Sequence[Reading], values: Mapping[str, float]) -> str:
    if not state.reachable:
        return "the BMC does not answer"
    if state.power is not Power.ON:
        return f"the node is {state.power.value}" if state.power is not Power.UNKNOWN else "its power state is unknown"
    if not fans:
        return "the BMC lists no fans"
    if not values:
        return "the BMC gives no readings"
    if not any(values.values()) and len(values) > 1:
        return "every fan reads 0 at once"
    return ""


def _valid(reading: Reading) -> bool:
    if not _sound(reading.value) or reading.unit not in {Unit.RPM, Unit.PERCENT}:
        return False
    return reading.value is not None and reading.value <= (100 if reading.unit is Unit.PERCENT else RPM_MAX)


def _sound(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value >= 0


def _judged(raw: Sequence[tuple[datetime, Mapping[str, float]]], limits: Mapping[str, float]) -> list[Poll]:
    """Compare each fan with its limit, and with its peers in the proportion that is usual between them."""
    peers = [{fan: _peers(values, fan) for fan in values} for _, values in raw]
    shares: dict[str, list[float]] = {}
    for (_, values), around in zip(raw, peers, strict=True):
        for fan, value in values.items():
            if around[fan] > 0:
                shares.setdefault(fan, []).append(value / around[fan])
    # The upper fifth, not the median: a fan that has long been failing must not make its own failing usual.
    usual = {fan: min(1.0, sorted(some)[len(some) * 4 // 5]) for fan, some in shares.items() if len(some) >= USUAL_MIN}
    polls = []
    for (at, values), around in zip(raw, peers, strict=True):
        floor = {f: max(OF_CRITICAL * limits.get(f, 0), OF_PEERS * around[f] * usual.get(f, 1.0)) for f in values}
        low = {fan: value < floor[fan] or (value == 0 and limits.get(fan, 0) > 0) for fan, value in values.items()}
        polls.append(Poll(at, values, low, common=len(low) > 1 and 2 * sum(low.values()) >= len(low)))
    return polls


def _peers(values: Mapping[str, float], fan: str) -> float:
    others = [value for name, value in values.items() if name != fan]
    return median(others) if others else 0.0


def _off(states: Sequence[HardwareState], gap_s: float) -> list[tuple[datetime, datetime]]:
    """Stretches seen off, with the spin-up that follows: what the log says of fans then is no evidence."""
    stretches: list[tuple[datetime, datetime]] = []
    before: datetime | None = None
    since: datetime | None = None
    for state in states:
        if not state.reachable:
            continue
        if state.power in {Power.OFF, Power.CHANGING}:
            since = since or before or state.at
        elif since is not None:
            stretches.append((since, state.at + timedelta(seconds=gap_s)))
            since = None
        before = state.at
    if since is not None:
        stretches.append((since, states[-1].at + timedelta(days=1)))
    return stretches
