"""What is kept of readings that are too old to be kept one by one: of each sensor the least, the middle and the
most in ten minutes. A stop of seconds that was read stays visible in the least."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from noout.domain.hardware import HardwareState, Power, SensorKind, Unit

TREND_S = 600


@dataclass(frozen=True, slots=True)
class Trend:
    """One sensor in [at, at + TREND_S). ``polls``: how many readings it had."""

    at: datetime
    sensor: str
    kind: SensorKind
    unit: Unit
    lowest: float
    middle: float
    highest: float
    polls: int


def bucket(at: datetime) -> datetime:
    """The beginning of the ten minutes that ``at`` lies in."""
    return datetime.fromtimestamp(at.timestamp() // TREND_S * TREND_S, UTC)


def condense(states: Iterable[HardwareState]) -> Sequence[Trend]:
    """The trends of one node's states, oldest first. What the BMC of a node that was off said of it is left out."""
    found: dict[tuple[datetime, str, SensorKind, Unit], list[float]] = {}
    for state in states:
        from_bmc = state.readings if state.reachable and state.power in (Power.ON, Power.UNKNOWN) else ()
        for reading in (*from_bmc, *state.host):
            if reading.value is not None and math.isfinite(reading.value):
                key = (bucket(state.at), reading.sensor, reading.kind, reading.unit)
                found.setdefault(key, []).append(reading.value)
    return [
        Trend(*key, min(values), median(values), max(values), len(values))
        for key, values in sorted(found.items(), key=lambda each: each[0][:2])
    ]
