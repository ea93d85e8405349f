"""What the BMC's log says of supplies, links and memory: one entry, one thing that happened to one part."""

from __future__ import annotations

import re
from dataclasses import dataclass

from noout.domain.hardware import LogEntry, SensorKind

_OVER = re.compile(r"de-?assert|restored|recovered|returned to|cleared|link (is )?up|corrected by", re.I)
_SUPPLY = re.compile(r"power (supply|input)|\bPSU?\s?\d", re.I)
_SUPPLY_ILL = re.compile(
    r"(ac|input)( power)? (lost|loss)|input is lost|loss of (ac|input)|failure detected|has failed|predictive failure",
    re.I,
)
_SUPPLY_NAME = re.compile(r"power supply\s*#?\s*(\w*\d\w*)|\b(PSU?\s?\d+)", re.I)
_LINK_ILL = re.compile(r"link (failure|is down|down|lost)|network link is down", re.I)
_LINK = re.compile(r"\b(nic|network|ethernet|adapter|port)\b", re.I)
_LINK_NAMES = (re.compile(r"slot \d+, port \d+", re.I), re.compile(r"\b(?:integrated |embedded )?nic[ .\w-]*\d", re.I))
_DIMM = re.compile(r"(?:processor \d+, )?dimm\s?\w*\d\w*", re.I)
_MEMORY = re.compile(r"\b(ecc|memory|dimm\w*)\b", re.I)
_UNCORRECTABLE = re.compile(r"uncorrectable|uncorrected|multi-?bit", re.I)
_CORRECTABLE = re.compile(r"correctable", re.I)


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened. ``grave``: an uncorrectable error."""

    kind: SensorKind
    sensor: str
    grave: bool = False


def told(entry: LogEntry) -> Told | None:
    """What an entry says of a supply, a link or the memory; None for all else, and for what is over again."""
    text = f"{entry.sensor} {entry.message}"
    if _OVER.search(entry.message):
        return None
    if _MEMORY.search(text) and _CORRECTABLE.search(text):
        grave = bool(_UNCORRECTABLE.search(text))
        where = _DIMM.search(text)
        return Told(SensorKind.MEMORY, f"{where[0] if where else 'memory'} {'un' * grave}correctable", grave)
    if _SUPPLY.search(text) and _SUPPLY_ILL.search(text):
        name = _SUPPLY_NAME.search(text)
        found = next((each for each in name.groups() if each), "") if name else ""
        known = entry.sensor.strip() if _SUPPLY.search(entry.sensor) else ""
        return Told(SensorKind.POWER_SUPPLY, known or (f"Power Supply {found}" if found else "power supply"))
    if _LINK_ILL.search(text) and _LINK.search(text):
        port = next((found[0] for name in _LINK_NAMES if (found := name.search(text))), "")
        return Told(SensorKind.NETWORK, port or entry.sensor.strip() or "network link")
    return None
