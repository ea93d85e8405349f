"""The kinds of values that noout.toml is made of, and the tables of what other monitoring knows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from noout.domain.cluster import GuestId
from noout.domain.hardware import SensorKind
from noout.domain.windows import Freeze, parse_window


def _url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("must be a URL such as https://pve1.example.net:8006")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or password; use user and password_file")
    return url.rstrip("/")


def _https(url: str) -> str:
    """Where a token or password is sent: over plain HTTP anybody on the way could read it, and no pin would hold."""
    checked = _url(url)
    if urlsplit(checked).scheme != "https":
        raise ValueError("must begin with https://: a secret is sent there")
    return checked


def _bmc_url(url: str) -> str:
    """Redfish over HTTPS, or IPMI, which encrypts the password's use itself but proves nothing of who answers."""
    if not url.startswith("ipmi://"):
        return _https(url)
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.password or parts.path.strip("/"):
        raise ValueError("must be like ipmi://bmc-pve3.example.net, without user or password")
    return url.rstrip("/")


def _fingerprint(text: str) -> str:
    plain = text.replace(":", "").lower()
    if len(plain) != 64 or any(each not in "0123456789abcdef" for each in plain):
        raise ValueError("must be a SHA-256 fingerprint: 32 pairs of hex digits")
    return plain


def _via(text: str) -> str:
    return text if text == "direct" else _url(text)


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ValueError, KeyError, OSError):
        raise ValueError("must be a time zone such as Europe/Amsterdam") from None


def _window(text: str) -> str:
    parse_window(text)
    return text


def _guest(text: str) -> str:
    try:
        return str(GuestId.parse(text))
    except ValueError:
        raise ValueError("must be a guest such as ams1/110") from None


Url = Annotated[str, AfterValidator(_url)]
HttpsUrl = Annotated[str, AfterValidator(_https)]
BmcUrl = Annotated[str, AfterValidator(_bmc_url)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
GuestName = Annotated[str, AfterValidator(_guest)]
Via = Annotated[str, AfterValidator(_via)]
Zone = Annotated[str, AfterValidator(_zone)]
WindowText = Annotated[str, AfterValidator(_window)]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FreezeSettings(Table):
    """Nothing begins meanwhile. A time without an offset is the cluster's own; a day counts from its first to its
    last moment."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    since: datetime | date = Field(alias="from")
    until: datetime | date
    reason: str = ""

    @model_validator(mode="after")
    def _forward(self) -> FreezeSettings:
        if self.within(UTC).since >= self.within(UTC).until:
            raise ValueError("until must be later than from")
        return self

    def within(self, zone: tzinfo) -> Freeze:
        """As it is in this time zone."""
        return Freeze(_moment(self.since, zone, 0), _moment(self.until, zone, 1), self.reason)


def _moment(given: datetime | date, zone: tzinfo, days: int) -> datetime:
    """``days``: how many are added to a day without an hour."""
    if not isinstance(given, datetime):
        return datetime.combine(given + timedelta(days=days), time(), zone).astimezone(UTC)
    return (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(UTC)


class NamingSettings(Table):
    """How a label of a metric or an alert names a node."""

    label: str = Field(default="instance", min_length=1)
    nodes: dict[str, str] = {}  # the label's value -> node, where it does not begin with the node's name


class AlertSettings(NamingSettings):
    """Alertmanager's webhook: what it logs in with, and what alerts of other names are about."""

    user: str = ""  # "": the secret is a bearer token
    token_file: Path | None = None
    token: str | None = Field(default=None, repr=False)
    kinds: dict[str, SensorKind] = {}

    @model_validator(mode="after")
    def _one_secret(self) -> AlertSettings:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("token_file must be set: nobody else may send alerts")
        return self


class PrometheusSettings(NamingSettings):
    """A Prometheus that the exporters on the nodes are scraped by."""

    url: Url
    token_file: Path | None = None
    token: str | None = Field(default=None, repr=False)
    fingerprint: Fingerprint | None = None
    ca: Path | None = None

    @model_validator(mode="after")
    def _secret_by_https(self) -> PrometheusSettings:
        if (self.token or self.token_file) and not self.url.startswith("https:"):
            raise ValueError("url must begin with https:// where a token is sent there")
        return self
