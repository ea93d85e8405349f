"""The tables of what is asked of customers' services, and from where."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from noout.domain.errors import UsageError
from noout.domain.probes import parse
from noout.settings_kinds import Fingerprint, Url, Via

DIRECT = "direct"


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError("must be a network such as 192.0.2.0/24") from None


Network = Annotated[str, AfterValidator(_network)]
Probes = str | list[str]  # one question that is answered, and beside it, if wanted, one held connection


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VantageSettings(_Table):
    """Another noout that asks from where it stands (``noout probe``)."""

    url: Url
    token_file: Path | None = None
    token: str | None = Field(default=None, repr=False)
    fingerprint: Fingerprint | None = None
    ca: Path | None = None


class ProbeSettings(_Table):
    """``via``: "direct" asks the guests themselves; a URL asks that prober (the lab's) for each instant."""

    via: Via = DIRECT
    every_s: float = Field(default=1.0, gt=0)
    every_moving_s: float = Field(default=0.2, gt=0)
    services: dict[str, Probes] = {}  # "ams1/101" -> "tcp:192.0.2.10:443"
    tags: dict[str, Probes] = {}  # tag -> probe: every guest with the tag is probed so
    pools: dict[str, Probes] = {}  # the same for a pool
    networks: list[Network] = []  # of a guest's addresses those within are asked
    contact: str = Field(default="", max_length=200)  # told to whoever wonders who asks
    per_s: int = Field(default=1000, ge=1)  # questions a second at the most: in all,
    per_host_per_s: int = Field(default=20, ge=1)  # and to one address
    timeout_s: float = Field(default=1.0, gt=0, le=5)
    ca: Path | None = None  # who vouches for services over HTTPS, where not the system's authorities
    keep_days: float = Field(default=400, gt=0)
    vantage: dict[str, VantageSettings] = {}


def listed(probes: Probes) -> tuple[str, ...]:
    return (probes,) if isinstance(probes, str) else tuple(probes)


def check_probes(probes: ProbeSettings, path: Path, *, literal: bool) -> None:
    """UsageError names the key. Another prober (a lab's) has ways of its own to name what it asks.

    ``literal``: a secret may stand in the file itself."""
    for key, text in _texts(probes):
        if not text:
            raise UsageError(f"{path}: key {key}: is empty", remedy="say what to ask, or leave it out")
        if probes.via != DIRECT:
            continue
        try:
            kinds = [parse(each).held for each in text]
        except ValueError as error:
            shown = ", ".join(text)
            raise UsageError(
                f"{path}: key {key}: {error} (found {shown!r})", remedy="for example tcp:192.0.2.10:443"
            ) from None
        if len(set(kinds)) < len(kinds):
            raise UsageError(
                f"{path}: key {key}: asks two questions of one kind",
                remedy="keep one that is answered, and one held: beside it if you like",
            )
    for name, vantage in probes.vantage.items():
        _check_vantage(f"{path}: key probes.vantage.{name}", vantage, literal)


def _texts(probes: ProbeSettings) -> Iterator[tuple[str, tuple[str, ...]]]:
    for table, named in (("services", probes.services), ("tags", probes.tags), ("pools", probes.pools)):
        for name, text in named.items():
            yield f"probes.{table}.{name}", listed(text)


def _check_vantage(where: str, vantage: VantageSettings, literal: bool) -> None:
    if (vantage.token is None) == (vantage.token_file is None):
        raise UsageError(f"{where}: token_file is missing", remedy="set it: nobody else may have questions asked")
    if vantage.token is not None and not literal:
        raise UsageError(
            f"{where}.token holds a secret in plain text",
            remedy="put it into a file readable by noout only and name that file",
        )
    loopback = vantage.url.startswith(("http://127.0.0.1:", "http://[::1]:"))
    if not vantage.url.startswith("https:") and not loopback:
        raise UsageError(f"{where}.url must begin with https://: a token is sent there", remedy="correct it")
