"""The tables of what keeps noout itself honest and noticed: its journal's published heads, and its heartbeat."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from noout.settings_kinds import Url


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JournalSettings(_Table):
    heads_file: Path | None = None  # the heads of the chains are added at its end,
    heads_command: tuple[str, ...] = ()  # and given to this program on its standard input
    heads_every_h: float = Field(default=24, gt=0)


class HeartbeatSettings(_Table):
    """``url`` may be a secret of its own, as those of heartbeat services are: it is shown nowhere."""

    url: Url | None = Field(default=None, repr=False)
    every_s: float = Field(default=60, ge=5)
