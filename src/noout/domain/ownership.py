"""Who owns what noout has set on a cluster, since when, and what the cluster says of it now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from noout.domain.cluster import NodeId


class Hold(StrEnum):
    """How sure it is that noout owns it, by the journal alone."""

    ASKED = "asked"  # the intent is written; whether it came to be has not been seen yet
    HELD = "held"
    DOUBTED = "doubted"  # asked for, taken for failed, and may have come all the same
    RELEASED = "released"


class Now(StrEnum):
    """What the cluster says."""

    SET = "set"
    GONE = "gone"
    UNKNOWN = "unknown"  # nobody answered who would know


@dataclass(frozen=True, slots=True)
class Holding:
    """One thing. ``kind`` and ``subject`` as in the journal: ("noout", "pve3"), ("led", "ams1/pve3").

    ``cluster``: a subject is a name of that cluster only. ``command``: what set it, as a person would type it.
    ``releasing``: its release is asked for. ``since``: when this ``hold`` began. ``by``: who began the maintenance.
    """

    cluster: str
    kind: str
    subject: str
    maintenance: str
    node: NodeId
    by: str
    since: datetime
    hold: Hold
    command: str = ""
    releasing: bool = False

    @property
    def place(self) -> tuple[str, str, str]:
        return self.cluster, self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger. ``live``: its maintenance is open."""

    holding: Holding
    live: bool
    now: Now


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something that is not as the journal says. ``command`` is the one that puts it right.

    ``what``: left = ours, with no live maintenance; cleared = ours, and somebody took it away; foreign = it looks like
    ours and is not in this journal, or has no maintenance.
    """

    what: Literal["left", "cleared", "foreign"]
    cluster: str
    kind: str
    subject: str
    message: str
    command: str
    maintenance: str = ""

    @property
    def key(self) -> str:
        """The same oddity has the same key."""
        return f"{self.what} {self.cluster} {self.kind} {self.subject}"
