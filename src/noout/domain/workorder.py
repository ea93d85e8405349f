"""The work order: what a technician is asked to do at the rack, and what they found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """One line of the checklist. ``section``: before, fans, bus, connectors, hardware, after.

    ``also``: text and hint in other languages than English. ``part``: the number of the spare part it may take.
    ``photo``: a photo is asked for; none is required.
    """

    key: str  # "fans.clean"
    section: str
    text: str
    hint: str = ""
    required: bool = True
    part: str = ""
    photo: bool = False
    also: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def told(self, language: str) -> tuple[str, str]:
        """Text and hint in this language, or as they are."""
        return self.also.get(language, (self.text, self.hint))


class Answer(StrEnum):
    DONE = "done"
    NOT_NEEDED = "not-needed"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the technician answered to one check. ``part``: the number on the part that was put in, "" for none."""

    check: str
    answer: Answer
    note: str
    at: datetime
    by: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo taken for a check. ``digest``: SHA-256 (hex) of the picture as it is kept, which is elsewhere."""

    check: str
    digest: str
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
