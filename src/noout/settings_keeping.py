"""The tables of what keeps noout honest and noticed: its journal's published heads, its heartbeat, its webhooks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from noout.domain.errors import UsageError
from noout.settings_kinds import Fingerprint, Url

WebhookName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,30}$")]


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


class WebhookSettings(_Table):
    """``url`` may be a secret of its own. ``secret``: "whsec_" and base64; of two lines, both sign (to change it)."""

    url: Url = Field(repr=False)
    secret_file: Path | None = None
    secret: str | None = Field(default=None, repr=False)
    events: list[str] = []  # kinds, or their beginnings ("maintenance."); none: all that are told
    clusters: list[str] | None = None  # None: every cluster, and what concerns all of them
    ca: Path | None = None
    fingerprint: Fingerprint | None = None


def check_webhooks(
    hooks: Mapping[str, WebhookSettings], clusters: Collection[str], path: Path, *, literal: bool
) -> None:
    """``literal``: secrets may stand in this file, and go over plain HTTP. UsageError names the key."""
    for name, hook in hooks.items():
        where = f"{path}: key webhooks.{name}"
        if hook.secret is None and hook.secret_file is None:
            raise UsageError(f"{where}.secret_file is missing", remedy="`noout webhook secret` prints one")
        if hook.secret is not None and not literal:
            raise UsageError(f"{where}.secret holds a secret in plain text", remedy="set secret_file")
        if not hook.url.startswith("https://") and not literal:
            raise UsageError(f"{where}.url is not https", remedy="what is told names nodes and guests")
        for cluster in hook.clusters or ():
            if cluster not in clusters:
                raise UsageError(
                    f"{where}.clusters: {cluster} is no cluster of this file", remedy=f"known: {', '.join(clusters)}"
                )
