"""Typed refusals and warnings: never a bare boolean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why something must not go on. ``code`` is stable ("guest.passthrough"); ``subject`` an id; evidence in words."""

    code: str
    subject: str
    message: str
    remedy: str
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caution:
    """What a person should know before it goes on; does not stop it."""

    code: str
    subject: str
    message: str
    remedy: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
