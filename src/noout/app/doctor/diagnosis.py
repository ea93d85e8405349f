"""What the doctor says: findings, each with its remedy, and what was looked at to come to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from noout.domain.reasons import Blocker, Caution

FORMAT: Final = "noout.check"
VERSION: Final = 1
HERE = "noout"  # the place of findings about this installation itself


class Level(StrEnum):
    BLOCKER = "blocker"
    CAUTION = "caution"


@dataclass(frozen=True, slots=True)
class Finding:
    """``place``: "ams1/pve3", "ams1" or "noout"; ``code`` is stable; ``subject`` is what it is about, an id."""

    level: Level
    place: str
    code: str
    subject: str
    message: str
    remedy: str
    evidence: Mapping[str, str] = field(default_factory=dict)


def finding(place: str, reason: Blocker | Caution) -> Finding:
    level = Level.BLOCKER if isinstance(reason, Blocker) else Level.CAUTION
    return Finding(level, place, reason.code, reason.subject, reason.message, reason.remedy, dict(reason.evidence))


@dataclass(frozen=True, slots=True)
class Looked:
    """One thing that was looked at: ``what`` in words with its figures; ``whole`` False = not all of it answered."""

    place: str
    what: str
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """``findings``: blockers first, by place. ``unreachable``: clusters that could not be read at all."""

    format: Literal["noout.check"]
    version: Literal[1]
    at: datetime
    findings: tuple[Finding, ...]
    looked: tuple[Looked, ...]
    unreachable: tuple[str, ...] = ()

    @property
    def blockers(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.level is Level.BLOCKER)

    @property
    def exit_code(self) -> int:
        """1 when a cluster could not be read, 3 when something must not go on, else 0."""
        return 1 if self.unreachable else 3 if self.blockers else 0
