"""What Redfish documents mean, as vendors really fill them. Pure: documents in, readings and log entries out.

Both generations are understood: ``Thermal``/``Power`` (everything in one document) and ``ThermalSubsystem`` with its
``Fans``, ``Sensors`` and ``PowerSupplies``. HPE gives fans in percent and no thresholds; absent parts read 0.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from noout.domain.hardware import LogEntry, Power, Reading, SensorKind, Unit

Document = Mapping[str, Any]

ROWS_MAX = 20_000  # of one list
TEXT_MAX, NAME_MAX = 1000, 100  # characters of a message, of a name

# States in which a part is there and measures nothing: its 0 is no stall.
_NOT_MEASURING = {"Disabled", "StandbyOffline", "StandbySpare", "UnavailableOffline", "Starting", "Deferring"}
_POWER = {
    "On": Power.ON,
    "Off": Power.OFF,
    "PoweringOn": Power.CHANGING,
    "PoweringOff": Power.CHANGING,
    "Paused": Power.ON,
}
_REDUNDANCY = {"OK": "OK", "Warning": "Degraded", "Critical": "Lost"}
_HPE_REDUNDANCY = {"Redundant": "OK", "NonRedundant": "Lost", "FailedRedundant": "Lost"}


def table(value: Any) -> Document:
    return value if isinstance(value, Mapping) else {}


def documents(value: Any) -> list[Document]:
    """A list of objects; anything else in it, or instead of it, or beyond ``ROWS_MAX``, is left out."""
    return [each for each in value[:ROWS_MAX] if isinstance(each, Mapping)] if isinstance(value, list) else []


def link(document: Document, *path: str) -> str | None:
    """The ``@odata.id`` below ``path``."""
    here: Any = document
    for key in path:
        here = table(here).get(key)
    found = table(here).get("@odata.id")
    return found if isinstance(found, str) and found else None


def links(value: Any) -> list[str]:
    return [each["@odata.id"] for each in documents(value) if isinstance(each.get("@odata.id"), str)]


# --- readings --------------------------------------------------------------------------------------------


def from_thermal(document: Document) -> tuple[Reading, ...]:
    """Fans and temperatures of a ``Thermal`` document."""
    fans = (_old_fan(row) for row in documents(document.get("Fans")))
    temperatures = (_old_temperature(row) for row in documents(document.get("Temperatures")))
    return unique((*fans, *temperatures))


def from_fans(fans: Iterable[Document], sensors: Iterable[Document] = ()) -> tuple[Reading, ...]:
    """``ThermalSubsystem/Fans`` members; RPM and thresholds come from the ``Sensors`` member they name, if any."""
    by_uri = {str(row.get("@odata.id")): row for row in sensors}
    found = []
    for row in fans:
        speed = table(row.get("SpeedPercent"))
        sensor = by_uri.get(str(speed.get("DataSourceUri")), {})
        rpm = _number(speed.get("SpeedRPM"))
        unit = Unit.RPM if rpm is not None else Unit.PERCENT
        value = rpm if rpm is not None else _number(speed.get("Reading"))
        lower = _limit(sensor, "LowerCritical") if _sensor_unit(sensor) is unit else None
        found.append(_reading(row, SensorKind.FAN, value, unit, lower=lower))
    return unique(found)


def from_sensors(sensors: Iterable[Document]) -> tuple[Reading, ...]:
    """``Sensors`` members that are temperatures, or fans in RPM or percent."""
    found = []
    for row in sensors:
        unit = _sensor_unit(row)
        value = _number(row.get("Reading"))
        if unit is Unit.CELSIUS:
            upper = _limit(row, "UpperCritical")
            found.append(_reading(row, SensorKind.TEMPERATURE, value, unit, upper=upper))
        elif unit is Unit.RPM or (unit is Unit.PERCENT and "fan" in str(row.get("Name")).lower()):
            found.append(_reading(row, SensorKind.FAN, value, unit, lower=_limit(row, "LowerCritical")))
    return unique(found)


def from_power(supplies: Iterable[Document]) -> tuple[Reading, ...]:
    """``PowerSupplies`` rows of a ``Power`` document, or members of ``PowerSubsystem/PowerSupplies``."""
    found = []
    for row in supplies:
        watts = next(
            (w for key in ("LastPowerOutputWatts", "PowerOutputWatts") if (w := _number(row.get(key))) is not None),
            None,
        )
        found.append(_reading(row, SensorKind.POWER_SUPPLY, watts, Unit.WATT))
    return unique(found)


def merge(first: Sequence[Reading], more: Sequence[Reading]) -> tuple[Reading, ...]:
    """``first``, and those of ``more`` whose kind ``first`` has nothing of."""
    kinds = {reading.kind for reading in first}
    return (*first, *(reading for reading in more if reading.kind not in kinds))


def unique(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """Sensors are known by name: those that share one (HPE's power supplies do) are numbered."""
    listed = list(readings)
    count = Counter((reading.kind, reading.sensor) for reading in listed)
    seen: Counter[tuple[SensorKind, str]] = Counter()
    named = []
    for reading in listed:
        key = (reading.kind, reading.sensor)
        seen[key] += 1
        named.append(replace(reading, sensor=f"{reading.sensor} #{seen[key]}") if count[key] > 1 else reading)
    return tuple(named)


def _old_fan(row: Document) -> Reading:
    percent = str(row.get("ReadingUnits") or row.get("Units") or "RPM").lower() in ("percent", "%")
    value = next((v for key in ("Reading", "ReadingRPM", "CurrentReading") if (v := _number(row.get(key))) is not None),
                 None)  # fmt: skip
    unit = Unit.PERCENT if percent else Unit.RPM
    return _reading(row, SensorKind.FAN, value, unit, lower=_positive(row.get("LowerThresholdCritical")))


def _old_temperature(row: Document) -> Reading:
    upper = _positive(row.get("UpperThresholdCritical"))
    return _reading(row, SensorKind.TEMPERATURE, _number(row.get("ReadingCelsius")), Unit.CELSIUS, upper=upper)


def _reading(
    row: Document,
    kind: SensorKind,
    value: float | None,
    unit: Unit,
    *,
    lower: float | None = None,
    upper: float | None = None,
) -> Reading:
    status = table(row.get("Status"))
    state = str(status.get("State") or "Enabled")
    present = state != "Absent"
    measuring = present and state not in _NOT_MEASURING
    name = row.get("Name") or row.get("FanName") or row.get("MemberId") or row.get("Id") or kind.value
    return Reading(
        sensor=str(name).strip()[:NAME_MAX] or kind.value,
        kind=kind,
        value=value if measuring else None,
        unit=unit,
        lower_critical=lower,
        upper_critical=upper,
        present=present,
        health=str(status.get("Health") or "") if present else "",
    )


def _sensor_unit(row: Document) -> Unit | None:
    told = (str(row.get("ReadingType") or ""), str(row.get("ReadingUnits") or ""))
    if told[0] == "Temperature" or told[1] in ("Cel", "C"):
        return Unit.CELSIUS
    if told[0] == "Rotational" or told[1].upper() in ("RPM", "{REV}/MIN"):
        return Unit.RPM
    if told[0] == "Percent" or told[1] == "%":
        return Unit.PERCENT
    return None


def _limit(row: Document, name: str) -> float | None:
    return _positive(table(table(row.get("Thresholds")).get(name)).get("Reading"))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _positive(value: Any) -> float | None:
    """A threshold; 0 is how BMCs say that there is none."""
    number = _number(value)
    return number if number else None


# --- state -----------------------------------------------------------------------------------------------


def power(document: Document) -> Power:
    return _POWER.get(str(document.get("PowerState")), Power.UNKNOWN)


def led(document: Document) -> bool | None:
    """The locate LED: the new property, else the old one; None where the document has neither."""
    lit = document.get("LocationIndicatorActive")
    if isinstance(lit, bool):
        return lit
    old = document.get("IndicatorLED")
    return {"Lit": True, "Blinking": True, "Off": False}.get(old) if isinstance(old, str) else None


def redundancy(rows: Iterable[Document], parts: Iterable[Document] = ()) -> str | None:
    """The worst of several redundancy groups; None when none is enabled (a disabled group says OK all the same).

    "Insufficient" takes two witnesses: the group calls itself critical, and fewer of its members, which are looked up
    among ``parts``, work than it says that it needs. HPE's say that they need two of two while one carries all.
    """
    known = {_place(row.get("@odata.id")): row for row in parts}
    found = []
    for row in rows:
        status = table(row.get("Status"))
        if status.get("State") in ("Enabled", None):
            word = _REDUNDANCY.get(str(status.get("Health")))
            found.append("Insufficient" if word == "Lost" and _too_few(row, known) else word)
    return next((word for word in ("Insufficient", "Lost", "Degraded", "OK") if word in found), None)


def _too_few(group: Document, known: Mapping[str, Document]) -> bool:
    """Whether fewer of a group's members work than it needs; False where a member is not known."""
    needed = _number(group.get("MinNumNeeded") or group.get("MinNeededInGroup"))
    places = [_place(each) for each in links(group.get("RedundancySet") or group.get("RedundancyGroup"))]
    if not needed or not places or not all(place in known for place in places):
        return False
    return sum(_works(known[place]) for place in places) < needed


def _works(row: Document) -> bool:
    status = table(row.get("Status"))
    still = any(_number(row.get(key)) == 0 for key in ("Reading", "ReadingRPM", "CurrentReading"))
    still = still or _number(table(row.get("SpeedPercent")).get("SpeedRPM")) == 0
    return status.get("State") in ("Enabled", None) and status.get("Health") != "Critical" and not still


def _place(uri: Any) -> str:
    """A part's own address: vendors write ``Thermal#/Fans/0`` or ``Thermal#Fans/0``."""
    return str(uri).replace("#/", "#")


def hpe_redundancy(system: Document) -> dict[str, str]:
    """HPE says it on the System: ``Oem.Hpe.AggregateHealthStatus``."""
    told = table(table(table(system.get("Oem")).get("Hpe")).get("AggregateHealthStatus"))
    pairs = (("fans", told.get("FanRedundancy")), ("power-supplies", told.get("PowerSupplyRedundancy")))
    return {key: _HPE_REDUNDANCY[str(word)] for key, word in pairs if str(word) in _HPE_REDUNDANCY}


def inventory(system: Document, dimms: int | None) -> dict[str, str]:
    """What must be there again after a repair; keys only for what the BMC told."""
    memory, cpus = table(system.get("MemorySummary")), table(system.get("ProcessorSummary"))
    told = {
        "dimms": dimms,
        "memory-gib": memory.get("TotalSystemMemoryGiB"),
        "cpus": cpus.get("Count"),
        "cpu-model": cpus.get("Model"),
        "bios": system.get("BiosVersion"),
    }
    return {key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in told.items() if value}


_RESTORE = {
    "on": "AlwaysOn", "alwayson": "AlwaysOn", "poweron": "AlwaysOn",
    "off": "AlwaysOff", "alwaysoff": "AlwaysOff", "remainoff": "AlwaysOff",
    "last": "LastState", "laststate": "LastState", "restore": "LastState",
}  # fmt: skip


def power_restore(system: Document, bios: Document | None = None) -> str:
    """What the machine does when power comes back: AlwaysOn, AlwaysOff or LastState; "" when nobody says.

    The standard property; HPE's ``PowerAutoOn``; Dell's BIOS attribute ``AcPwrRcvry`` (``bios``: the attributes).
    """
    hpe = table(table(system.get("Oem")).get("Hpe")).get("PowerAutoOn")
    told = system.get("PowerRestorePolicy") or hpe or (bios or {}).get("AcPwrRcvry")
    return _RESTORE.get(str(told).lower(), "")


def reset_types(action: Document, info: Document) -> list[str]:
    """What ``ComputerSystem.Reset`` takes: said on the action itself, or in its ``ActionInfo``."""
    direct = action.get("ResetType@Redfish.AllowableValues")
    if isinstance(direct, list):
        return [str(each) for each in direct]
    for parameter in documents(info.get("Parameters")):
        if parameter.get("Name") == "ResetType" and isinstance(parameter.get("AllowableValues"), list):
            return [str(each) for each in parameter["AllowableValues"]]
    return []


# --- the event log ---------------------------------------------------------------------------------------


def log_entries(rows: Iterable[Document], sensors: Iterable[str] = ()) -> tuple[LogEntry, ...]:
    """Oldest first. An entry without a usable time (HPE: year 0000) is no evidence of when, and left out."""
    known = sorted(sensors, key=len, reverse=True)
    found = []
    for row in rows:
        at = log_time(row)
        if at is None:
            continue
        message = str(row.get("Message") or row.get("MessageId") or row.get("EntryCode") or "")[:TEXT_MAX]
        found.append(
            LogEntry(
                id=str(row.get("Id") or row.get("@odata.id") or "")[:NAME_MAX],
                at=at,
                severity=str(row.get("Severity") or "")[:NAME_MAX],
                message=message,
                sensor=_sensor_of(row, message, known),
            )
        )
    return tuple(sorted(found, key=lambda entry: (entry.at, _order(entry.id), entry.id)))


def log_time(row: Document) -> datetime | None:
    return timestamp(row.get("Created")) or timestamp(row.get("EventTimestamp"))


def number_of(entry: Any) -> int | None:
    """The number that an entry's Id is, if it is one."""
    text = str(entry)
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _order(entry: str) -> int:
    return number_of(entry) or 0


def timestamp(value: Any) -> datetime | None:
    """ISO 8601 with or without an offset (then UTC); None for what is no time."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _sensor_of(row: Document, message: str, known: Sequence[str]) -> str:
    """The sensor an entry is about: as a sensor of this BMC named in it, else the vendor's own field."""
    told = row.get("MessageArgs")
    args = (
        [arg for arg in told if isinstance(arg, str) and arg != "ArrayOfMessageArgs"] if isinstance(told, list) else []
    )
    for name in known:
        if name in args or (name in message and re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", message)):
            return name
    raw = table(table(table(row.get("Oem")).get("Supermicro")).get("RawEventData"))
    return (str(raw.get("SensorName") or "") or (args[0] if len(args) == 1 else ""))[:NAME_MAX]
