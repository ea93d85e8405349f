"""What a BMC tells: readings, log entries, power, inventory; and what the watch makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from noout.domain.cluster import NodeId


class SensorKind(StrEnum):
    FAN = "fan"
    TEMPERATURE = "temperature"
    POWER_SUPPLY = "power-supply"
    MEMORY = "memory"  # a memory controller's errors
    NETWORK = "network"  # a link, or a bond of links
    DISK = "disk"


class Unit(StrEnum):
    RPM = "rpm"
    PERCENT = "percent"
    CELSIUS = "celsius"
    WATT = "watt"
    STATE = "state"  # 1 well, 0 not
    COUNT = "count"  # a counter: it grows, and begins anew at a boot
    LINKS = "links"  # links of a bond that carry; ``lower_critical`` is how many it has


@dataclass(frozen=True, slots=True)
class Reading:
    """One sensor at one moment. ``value`` None = the BMC gave none (absent, null, unreadable)."""

    sensor: str
    kind: SensorKind
    value: float | None
    unit: Unit
    lower_critical: float | None = None
    upper_critical: float | None = None
    present: bool = True
    health: str = ""  # OK, Warning, Critical as the BMC says; "" unknown


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the BMC's event log. ``id`` is the BMC's own and unique within one log's life."""

    id: str
    at: datetime
    severity: str
    message: str
    sensor: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """What somebody else's monitoring says of a node: evidence that the BMC need not confirm.

    ``id`` is the same each time it is told (Alertmanager's fingerprint). ``until`` None while it fires.
    """

    id: str
    name: str  # "FanFailed"
    at: datetime
    until: datetime | None = None
    severity: str = ""  # as it is labelled there: "critical", "warning"
    message: str = ""
    kind: SensorKind | None = None  # None: not about a part known here
    sensor: str = ""


class Power(StrEnum):
    ON = "on"
    OFF = "off"
    CHANGING = "changing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HardwareState:
    """One observation of one node. What its BMC says is no evidence when ``reachable`` is False; ``host`` and
    ``alerts`` come from elsewhere (exporters on the running host, an Alertmanager) and are evidence all the same."""

    node: NodeId
    at: datetime
    reachable: bool
    power: Power = Power.UNKNOWN
    led_on: bool | None = None
    readings: tuple[Reading, ...] = ()
    log: tuple[LogEntry, ...] = ()
    redundancy: Mapping[str, str] = field(default_factory=dict)  # "fans" -> OK, Degraded, Lost, Insufficient, Fault
    serial: str = ""
    model: str = ""
    inventory: Mapping[str, str] = field(default_factory=dict)  # "dimms" -> "16", "bios" -> "2.1"
    trouble: str = ""  # why it was not reachable, or what of it could not be read: one sentence
    host: tuple[Reading, ...] = ()  # memory, network, disks
    alerts: tuple[Alert, ...] = ()
    online: bool | None = None  # whether its cluster counts it in, as Proxmox VE says; None: nobody was asked
    power_restore: str = ""  # what it does when power comes back: AlwaysOn, AlwaysOff, LastState; "" = it does not say


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch in which one sensor misbehaved: [since, until]; ``until`` None while it lasts."""

    sensor: str
    since: datetime
    until: datetime | None
    what: str  # "stall", "low", "log"
    lowest: float | None = None
    sources: tuple[str, ...] = ()  # "readings", "log"


class Condition(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    FLAPPING = "flapping"
    HUNTING = "hunting"  # healthy, but its thresholds are wrong
    FAILED = "failed"
    LOST_TELEMETRY = "lost-telemetry"


class Urgency(StrEnum):
    WATCH = "watch"
    SCHEDULE = "schedule"
    EVACUATE_NOW = "evacuate-now"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the watch says of one sensor, in one sentence, with the episodes that support it."""

    node: NodeId
    sensor: str
    condition: Condition
    since: datetime | None
    why: str
    episodes: tuple[Episode, ...] = ()
    kind: SensorKind = SensorKind.FAN


@dataclass(frozen=True, slots=True)
class Fault:
    """A suspected fault of a node: the reason for a proposed maintenance. ``template`` picks the checklist."""

    node: NodeId
    template: str  # "fans", "power", "memory"
    sensors: tuple[str, ...]
    urgency: Urgency
    summary: str
    verdicts: tuple[Verdict, ...]
