"""The work order: what a technician is asked to do at the rack, and what they found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from noout.domain.cluster import NodeId


@dataclass(frozen=True, slots=True)
class Location:
    room: str = ""
    rack: str = ""
    unit: str = ""
    serial: str = ""
    chassis: str = ""
    pdu: str = ""
    switch: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist. ``section``: before, fans, bus, connectors, hardware, after."""

    key: str  # "fans.clean"
    section: str
    text: str
    hint: str = ""
    required: bool = True


class Answer(StrEnum):
    DONE = "done"
    NOT_NEEDED = "not-needed"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the technician answered to one check."""

    check: str
    answer: Answer
    note: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class WorkOrder:
    number: str  # "WO-ams1-0001"
    maintenance: str
    node: NodeId
    location: Location
    reason: str
    checks: tuple[Check, ...]


class Touch(StrEnum):
    """What the technician may do with the node right now."""

    DO_NOT_TOUCH = "do-not-touch"
    NODE_OFF = "node-off"
    CLOSE_UP = "close-up"  # off and held as well, but the work ends now: lid on, cords in, sign off
    YOU_MAY_LEAVE = "you-may-leave"
    UNKNOWN = "unknown"  # verdict too old: shown grey as DO NOT TOUCH
