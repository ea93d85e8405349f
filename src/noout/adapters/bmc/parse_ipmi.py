"""What ipmitool prints, as real BMCs make it print. Pure: lines in, readings and log entries out.

The status column is not believed: ``ok`` stands beside "Redundancy Lost". States are read instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from noout.adapters.bmc.parse import unique
from noout.domain.hardware import LogEntry, Power, Reading, SensorKind, Unit

_VALUE = re.compile(r"^(-?[\d.]+)\s+(RPM|percent|degrees C|Watts)\b")
_UNITS = {"RPM": Unit.RPM, "percent": Unit.PERCENT, "degrees C": Unit.CELSIUS, "Watts": Unit.WATT}
_HEALTH = {"ok": "OK", "nc": "Warning", "lnc": "Warning", "unc": "Warning"}
_ILL = {"cr": "Critical", "nr": "Critical", "lcr": "Critical", "lnr": "Critical", "ucr": "Critical", "unr": "Critical"}
# The entity a sensor belongs to says what it is about, whatever it is called (IPMI 2.0, table 43-13).
_SUPPLY, _POWER_ENTITIES, _COOLING_ENTITIES = "10", {"10", "19", "20", "21"}, {"29", "30"}
# The states of a redundancy sensor as ipmitool words them (IPMI 2.0, table 42-2, type 0Bh); the first that fits counts:
# "Redundancy Degraded from Non-Redundant" is degraded, "Non-Redundant: Sufficient from Insufficient" is lost, no more.
_REDUNDANCY = {
    "insufficient resources": "Insufficient",
    "redundancy degraded": "Degraded",
    "redundancy lost": "Lost",
    "non-redundant": "Lost",
    "fully redundant": "OK",
}
_FAILED_SUPPLY = ("failure detected", "ac lost", "input lost", "predictive failure", "config error")
_RESTORE = {0: "AlwaysOff", 1: "LastState", 2: "AlwaysOn"}

Limits = Mapping[str, tuple[float | None, float | None]]  # sensor -> (lower critical, upper critical)


# --- chassis status, as raw bytes: no words that change between versions ----------------------------------


@dataclass(frozen=True)
class Chassis:
    """``led_on`` None: this BMC does not say whether it identifies itself."""

    power: Power
    restore: str
    led_on: bool | None


def chassis(line: str) -> Chassis | None:
    """The answer to Get Chassis Status (``raw 0 1``); None when the line is none. IPMI 2.0, table 28-3."""
    if not re.fullmatch(r"( [0-9a-f]{2}){3,4}", line.rstrip()):
        return None
    state, _, misc = (int(each, 16) for each in line.split()[:3])
    known = bool(misc & 0x40)
    return Chassis(
        power=Power.ON if state & 1 else Power.OFF,
        restore=_RESTORE.get(state >> 5 & 3, ""),
        led_on=bool(misc & 0x30) if known else None,
    )


# --- sensors ----------------------------------------------------------------------------------------------


def _columns(line: str) -> list[str]:
    return [each.strip() for each in line.split("|")]


def limits(lines: Iterable[str]) -> Limits:
    """Thresholds from ``sensor``: name, value, unit, status, then LNR, LC, LNC, UNC, UC, UNR."""
    found = {}
    for line in lines:
        columns = _columns(line)
        if len(columns) == 10 and columns[2] != "discrete":
            found[columns[0]] = (_number(columns[5]), _number(columns[8]))
    return found


def sensors(lines: Iterable[str], known: Limits) -> tuple[Reading, ...]:
    """From ``sdr elist`` (name, number, status, entity, reading or states), ``sdr`` (name, reading, status) or
    ``sensor`` itself. Fans, temperatures and power supplies; the rest is left out."""
    found = [reading for line in lines if (reading := _sensor(_columns(line), known)) is not None]
    return unique(found)


def _sensor(columns: list[str], known: Limits) -> Reading | None:
    name, status, entity, told = _parts(columns)
    if not name:
        return None
    lower, upper = known.get(name, (None, None))
    if match := _VALUE.match(told):
        unit = _UNITS[match[2]]
        kind = _kind(name, unit, entity)
        if kind is None:
            return None
        if kind is not SensorKind.FAN:
            lower = None
        if kind is not SensorKind.TEMPERATURE:
            upper = None
        health = _HEALTH.get(status) or _ILL.get(status, "")
        return Reading(name, kind, float(match[1]), unit, lower or None, upper or None, True, health)
    if entity == _SUPPLY:
        return _supply(name, told) if status != "ns" else None  # no statement: neither there nor gone
    if (kind := _silent_kind(name, entity, known)) is None:
        return None
    absent = "absent" in told.lower()
    unit = Unit.RPM if kind is SensorKind.FAN else Unit.CELSIUS
    return Reading(name, kind, None, unit, lower if kind is SensorKind.FAN else None, None, not absent)


def _parts(columns: list[str]) -> tuple[str, str, str, str]:
    """(name, status, entity, reading or states) of a line in any of the three forms; no name: not a sensor."""
    if len(columns) == 5 and re.fullmatch(r"[0-9A-F]{2}h", columns[1]):
        return columns[0], columns[2], columns[3].partition(".")[0], columns[4]
    if len(columns) == 3:
        return columns[0], columns[2], "", columns[1]
    if len(columns) == 10 and columns[2] != "discrete":
        told = "disabled" if columns[1] == "na" else f"{float(columns[1]):g} {columns[2]}"
        return columns[0], columns[3], "", told
    return "", "", "", ""


def _kind(name: str, unit: Unit, entity: str) -> SensorKind | None:
    if unit is Unit.CELSIUS:
        return SensorKind.TEMPERATURE
    fan = "fan" in name.lower() or entity in _COOLING_ENTITIES
    if unit is Unit.RPM or (unit is Unit.PERCENT and fan):
        return SensorKind.FAN
    return SensorKind.POWER_SUPPLY if unit is Unit.WATT and entity == _SUPPLY else None


def _silent_kind(name: str, entity: str, known: Limits) -> SensorKind | None:
    """What a sensor without a reading would measure: only fans are told, by name or entity, and only with limits
    where the entity is not given (a fan's presence bit is no fan)."""
    if "redundan" in name.lower() or "status" in name.lower():
        return None
    return SensorKind.FAN if name.lower().startswith("fan") and (not entity or name in known) else None


def _supply(name: str, told: str) -> Reading:
    states = told.lower()
    failed = any(word in states for word in _FAILED_SUPPLY)
    present = "presence detected" in states or failed
    health = "Critical" if failed else ("OK" if present else "")
    return Reading(name, SensorKind.POWER_SUPPLY, None, Unit.STATE, present=present, health=health)


def redundancy(lines: Iterable[str]) -> dict[str, str]:
    """From the states that ``sdr elist`` prints, or ``sdr list -v`` in square brackets; the worst of each group."""
    ranked = ("OK", "Degraded", "Lost", "Insufficient")
    found: dict[str, str] = {}
    group = ""
    for line in lines:
        columns = _columns(line)
        name, _, entity, told = _parts(columns)
        if line.lstrip().startswith("Sensor ID"):
            group = _group(line.partition(":")[2], "")
        elif state := re.fullmatch(r"\s*\[(.+)\]\s*", line):
            told, name = state[1], "-"
        if name and name != "-":
            group = _group(name, entity)
        word = _redundant(told) if name else None
        if word and group and ranked.index(word) >= ranked.index(found.get(group, "OK")):
            found[group] = word
    return found


def _group(name: str, entity: str) -> str:
    if entity in _POWER_ENTITIES or re.search(r"\b(ps|psu|pwr|power)", name, re.I):
        return "power-supplies"
    return "fans" if entity in _COOLING_ENTITIES or "fan" in name.lower() else ""


def _redundant(told: str) -> str | None:
    states = told.lower()
    return next((word for phrase, word in _REDUNDANCY.items() if phrase in states), None)


# --- the event log ----------------------------------------------------------------------------------------


def log_entries(lines: Iterable[str]) -> tuple[LogEntry, ...]:
    """``sel elist``, oldest first. An entry without a time (Pre-Init) is no evidence of when, and left out."""
    found = {}
    for line in lines:
        columns = _columns(line)
        if len(columns) < 5 or not re.fullmatch(r"[0-9a-f]+", columns[0]):
            continue
        at = _time(columns[1], columns[2])
        if at is None:
            continue
        kind, _, sensor = columns[3].partition(" ")
        sensor = columns[3].removeprefix("Power Supply ").removeprefix("Power Unit ") if kind == "Power" else sensor
        words = [" ".join(each.split()) for each in columns[3:] if each]
        entry = LogEntry(columns[0], at, _severity(columns[4:]), ": ".join((words[0], ", ".join(words[1:]))), sensor)
        found[entry.id, entry.at, entry.message] = entry
    return tuple(sorted(found.values(), key=lambda entry: (entry.at, int(entry.id, 16))))


def _severity(words: list[str]) -> str:
    text = " ".join(words).lower()
    if "deassert" in text or "presence detected" in text or "fully redundant" in text:
        return "OK"
    if "non-critical" in text or "degraded" in text or "predictive" in text or "correctable" in text.split():
        return "Warning"
    grave = ("critical", "non-recoverable", "lost", "fail", "uncorrectable", "insufficient", "fault")
    return "Critical" if any(word in text for word in grave) else "OK"


def _time(date: str, clock: str) -> datetime | None:
    """ipmitool prints the month first, with two or four digits for the year, and in some locales AM and PM."""
    text = f"{date} {re.sub(r'(?<=M) [A-Z]+$| [A-Z]{3,5}$', '', clock)}".strip()
    for form in ("%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%y %I:%M:%S %p"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def clock(lines: Iterable[str]) -> datetime | None:
    """The BMC's own clock (``sel time get``)."""
    for line in lines:
        if re.fullmatch(r"\d\d/\d\d/\d+ \d\d:\d\d:\d\d( [A-Z]+)?", line.strip()):
            date, _, rest = line.strip().partition(" ")
            return _time(date, rest)
    return None


# --- what it is -------------------------------------------------------------------------------------------


def fru(lines: Iterable[str]) -> tuple[str, str]:
    """(serial, model) of the machine: the product's, else the chassis's or the board's."""
    told = {key.strip(): value.strip() for key, sep, value in (line.partition(":") for line in lines) if sep}
    serial = next((told[key] for key in ("Product Serial", "Chassis Serial", "Board Serial") if told.get(key)), "")
    model = next((told[key] for key in ("Product Name", "Board Product") if told.get(key)), "")
    return serial, model


def off(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """Without power a fan's 0 is no stall."""
    return tuple(replace(each, value=None, health="") if each.kind is SensorKind.FAN else each for each in readings)


def _number(text: str) -> float | None:
    try:
        return float(text) or None
    except ValueError:
        return None
