"""The tables of customers and of what they are told: whose guests are whose, by which ways, and what is assumed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from noout.domain.errors import UsageError
from noout.domain.windows import free_from, quiet_text
from noout.settings_kinds import HttpsUrl, Url, WindowText, Zone
from noout.settings_probes import Network

Language = Literal["en", "nl", "es"]
Channel = Literal["portal", "public", "mail", "digest", "maintnote", "calendar", "feed", "webhook", "apprise"]
Class = Literal["planned", "changed", "done", "called-off", "repaired", "came-back", "correction", "digest"]
_A_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)  # any: a week of windows is like every other
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
_MAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def is_mail(text: str) -> bool:
    return _MAIL.fullmatch(text) is not None


def _mail(text: str) -> str:
    if text and not is_mail(text):
        raise ValueError("must be a mail address such as desk@example.net")
    return text


def _pattern(text: str) -> str:
    if not text.strip("*?"):
        raise ValueError("must name something: this pattern would claim every guest")
    return text


def _range(given: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= given[0] <= given[1]:
        raise ValueError("must be [LOW, HIGH] with 0 <= LOW <= HIGH")
    return given


Mail = Annotated[str, AfterValidator(_mail)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Range = Annotated[tuple[float, float], AfterValidator(_range)]


class CustomerSettings(_Table):
    name: str
    pools: list[str] = []
    tags: list[str] = []
    names: list[Pattern] = []
    networks: list[Network] = []  # theirs alone
    language: Language = "en"
    timezone: Zone = "UTC"
    contract_excludes: list[WindowText] = []  # times that the contract leaves out of its availability
    quiet_hours: dict[str, list[WindowText]] = {}  # by tag, "*" for all: when their guests are not moved
    notice_h: float = Field(default=0, ge=0)
    emergency_notice_h: float = Field(default=0, ge=0)
    acknowledge_h: float = Field(default=0, ge=0, le=24 * 14)  # > 0: work waits until they have acknowledged its notice


class AssumptionSettings(_Table):
    """What an estimate of "had this server failed" rests on; printed with every estimate."""

    ha_restart_s: Range = (68, 137)  # fenced, restarted elsewhere: measured after a power loss
    technician_min: Range = (30, 240)  # until somebody stands at the rack
    recovery_min: Range = (10, 60)  # from then on, until the services answer
    stop_start_s: Range = (240, 1740)  # what stopping, starting and checking adds to a server's time off


class MailSettings(_Table):
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    sender: Mail = Field(min_length=3)
    reply_to: Mail = ""


class CustomerWebhook(_Table):
    url: HttpsUrl
    secret_file: Path | None = None
    secret: str | None = Field(default=None, repr=False)


class TellSettings(_Table):
    channels: list[Channel] = ["portal", "digest"]
    reports: bool = True  # the portal offers them: as a page, in print, as data, and with what proves them
    automatic: list[Class] = []  # sent without anybody's release
    guests_file: Path | None = None  # "CLUSTER/VMID,CUSTOMER" a line
    wording_file: Path | None = None  # sentences in the provider's own words
    account_manager: Mail = ""  # who gets the texts about interruptions
    phone: str = ""
    work_h: float = Field(default=2, gt=0)  # what a technician's visit usually takes, for the end that is announced
    portal_url: Url | None = None
    assumptions: AssumptionSettings = AssumptionSettings()
    mail: MailSettings | None = None
    webhooks: dict[str, CustomerWebhook] = {}  # by customer
    apprise_file: Path | None = None  # URLs for apprise, one a line


def _check_quiet_hours(where: str, customer: CustomerSettings) -> None:
    every = [quiet_text(window, customer.timezone) for windows in customer.quiet_hours.values() for window in windows]
    if every and free_from(_A_MONDAY, every) is None:
        raise UsageError(f"{where} leave no hour of the week to move anything", remedy="leave some hours out")


def check_tell(tell: TellSettings, customers: Mapping[str, CustomerSettings], path: Path, *, literal: bool) -> None:
    """UsageError names the first wrong key."""
    for key in customers:
        if not _KEY.fullmatch(key):
            raise UsageError(f"{path}: key customers.{key} is no file name", remedy="use letters, digits, - and _")
    for key, customer in customers.items():
        _check_quiet_hours(f"{path}: key customers.{key}.quiet_hours", customer)
        if customer.acknowledge_h and "portal" not in tell.channels:
            said = f"{path}: key customers.{key}.acknowledge_h: the portal, where they would acknowledge, is off"
            raise UsageError(said, remedy="add portal to tell.channels, or leave acknowledge_h out")
    for key, hook in tell.webhooks.items():
        where = f"{path}: key tell.webhooks.{key}"
        if key not in customers:
            raise UsageError(f"{where}: there is no such customer", remedy=f"known: {', '.join(customers) or 'none'}")
        if (hook.secret is None) == (hook.secret_file is None):
            raise UsageError(f"{where}: secret_file is missing", remedy="set it: each message is signed")
        if hook.secret is not None and not literal:
            raise UsageError(f"{where}.secret holds a secret in plain text", remedy="put it into a file and name that")
    if {"mail", "maintnote"} & set(tell.channels) and tell.mail is None:
        raise UsageError(
            f"{path}: key tell.channels: mail is on and [tell.mail] is missing", remedy="set tell.mail.host"
        )
    if tell.mail is not None and (tell.mail.user is None) != (tell.mail.password_file is None):
        raise UsageError(f"{path}: key tell.mail: user and password_file belong together", remedy="set both or none")
