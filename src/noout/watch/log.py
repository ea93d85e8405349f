"""What the BMC's event log says of a sensor: which entries belong to it, and whether each tells of a fan that stood
still or of one that turns healthily below a limit set too high."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from noout.domain.hardware import HardwareState, LogEntry

CLOCK_SKEW = timedelta(hours=1)  # a BMC's clock may be off; further into the future is garbage

_RISING = re.compile(r"de-?assert|returned to|back to|back within|within (normal|range)|cleared|recovered", re.I)
_READING = re.compile(r"reading\s*[:=]?\s*(\d+(?:\.\d+)?)", re.I)
_LIMIT = re.compile(r"(?:limit|threshold)\s*[:=<]?\s*(\d+(?:\.\d+)?)", re.I)
_STOPPED = re.compile(r"\b0 ?rpm\b|stopped|stall|not (spinning|rotating)|fan (has )?fail|failure detected", re.I)
_LOW = re.compile(r"lower|going low|below|speed ?low|too low|under ?speed", re.I)
_DEEPEST = re.compile(r"non-?\s?recoverable", re.I)


@dataclass(frozen=True, slots=True)
class Crossing:
    """One entry about one fan. ``low`` False: back in range. ``reading``/``limit`` where the entry names them."""

    sensor: str
    at: datetime
    low: bool
    stopped: bool
    deepest: bool  # the lowest limit of all was crossed
    reading: float | None
    limit: float | None


def crossings(
    states: Sequence[HardwareState],
    sensors: Iterable[str],
    off: Sequence[tuple[datetime, datetime]],
    now: datetime,
) -> list[Crossing]:
    """Every entry about one of the sensors, oldest first, each once however often it was polled."""
    entries = {(e.id, e.at, e.message): e for state in states if state.reachable for e in state.log}
    names = sorted(sensors, key=len, reverse=True)
    usable = [e for e in entries.values() if timely(e, now) and not any(a <= e.at <= b for a, b in off)]
    found = [each for entry in usable if (each := crossing(entry, names)) is not None]
    return sorted(found, key=lambda each: (each.at, each.sensor, not each.low))


def timely(entry: LogEntry, now: datetime) -> bool:
    """Whether an entry's time can be true: a BMC's clock may say 1970, or next century."""
    return entry.at.tzinfo is not None and datetime(2000, 1, 1, tzinfo=now.tzinfo) < entry.at <= now + CLOCK_SKEW


def crossing(entry: LogEntry, names: Sequence[str]) -> Crossing | None:
    """What an entry says of one of the sensors ``names`` (longest first); None for what is not about any."""
    sensor = entry.sensor.strip() or next((n for n in names if _names(entry.message, n)), "")
    return _crossing(sensor, entry) if sensor in names else None


def fan_sensors(entries: Iterable[LogEntry]) -> set[str]:
    """Sensors that the log itself says are fans: for a BMC whose readings are not to be had."""
    return {e.sensor.strip() for e in entries if "fan" in f"{e.sensor} {e.message}".lower()} - {""}


def _names(message: str, sensor: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(sensor)}(?![\w-])", message, re.I) is not None


def _crossing(sensor: str, entry: LogEntry) -> Crossing | None:
    text = entry.message
    rising = bool(_RISING.search(text)) or entry.severity.lower() in {"ok", "normal", "informational"}
    stopped = bool(_STOPPED.search(text))
    if not (rising or stopped or _LOW.search(text)):
        return None
    reading, limit = _READING.search(text), _LIMIT.search(text)
    return Crossing(
        sensor=sensor,
        at=entry.at,
        low=not rising,
        stopped=stopped,
        deepest=bool(_DEEPEST.search(text)),
        reading=float(reading.group(1)) if reading else None,
        limit=float(limit.group(1)) if limit else None,
    )
