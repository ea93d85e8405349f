"""Polls of one node's BMC, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from noout.domain.cluster import NodeId
from noout.domain.hardware import HardwareState, LogEntry, Power, Reading, SensorKind, Unit

START = datetime(2026, 11, 30, 6, 0, tzinfo=UTC)
PVE3 = NodeId("ams1", "pve3")
FANS = tuple(f"FAN{i}{side}" for i in (1, 2, 3) for side in "AB")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def fan(name: str, value: float | None, *, limit: float | None = 1800.0, unit: Unit = Unit.RPM) -> Reading:
    return Reading(name, SensorKind.FAN, value, unit, lower_critical=limit, health="OK")


def poll(seconds: float, speed: Callable[[str], float | None] | None = None, **more: object) -> HardwareState:
    """All fans at about their speed; ``speed`` gives another reading for a fan (8400 or 7600 rpm is usual)."""
    values = {name: 8400.0 if name.endswith("A") else 7600.0 for name in FANS}
    readings = tuple(fan(name, speed(name) if speed else value) for name, value in values.items())
    state = {"node": PVE3, "at": after(seconds), "reachable": True, "power": Power.ON, "readings": readings}
    return HardwareState(**(state | more))  # type: ignore[arg-type]


def steady(name: str) -> float:
    return 8400.0 if name.endswith("A") else 7600.0


def still(*fans: str) -> Callable[[str], float]:
    return lambda name: 0.0 if name in fans else steady(name)


def stop_entries(seconds: Sequence[float], sensor: str = "FAN3B", first: int = 10) -> tuple[LogEntry, ...]:
    """The six records that one stop of a few seconds leaves."""
    entries = []
    for start in seconds:
        for level in ("Non-critical", "Critical", "Non-recoverable"):
            text = f"{sensor}: Lower {level} - going low asserted, reading 0 RPM, limit 1800 RPM"
            entries.append((start, "Critical", text))
        for level in ("Non-recoverable", "Critical", "Non-critical"):
            text = f"{sensor}: Lower {level} - going low deasserted, reading 7600 RPM, limit 1800 RPM"
            entries.append((start + 4, "OK", text))
    return tuple(LogEntry(str(first + i), after(t), sev, text, sensor) for i, (t, sev, text) in enumerate(entries))
