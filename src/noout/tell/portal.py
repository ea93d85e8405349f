"""What a customer's portal and the public status page show, as documents: one customer's data, or nobody's. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from noout.domain.impact import Cause
from noout.domain.notices import BEFORE, Class, Notice, Text
from noout.tell.report import Report
from noout.tell.say import Say
from noout.tell.subject import PROMISED_S

DAYS = 90
VERSION = 1
LANGUAGES = ("en", "nl", "es")
WAYS = ("portal", "reports", "mail", "calendar", "feed")  # what a customer's document may serve or speak of


class Day(StrEnum):
    """One day of one service. The worst that was seen counts."""

    INTERRUPTED = "x"  # nobody had agreed to it
    RESTARTED = "r"  # as agreed
    MEASURED = "m"  # asked during work, and nothing above a live move's pause was seen
    UNMEASURED = "u"  # nobody asked: nothing is claimed


_ORDER = (Day.INTERRUPTED, Day.RESTARTED, Day.MEASURED, Day.UNMEASURED)


@dataclass(frozen=True, slots=True)
class ServiceDays:
    """``days``: the last 90 in the customer's own time, the oldest first, a letter of ``Day`` each."""

    service: str
    days: str


@dataclass(frozen=True, slots=True)
class Told:
    """A released message, and its report in the customer's own language where it has one."""

    notice: Notice
    released_at: datetime
    report: Report | None
    acknowledge: str = ""  # of work to come: "asked" or "given" by a customer who wants to be asked, else ""


@dataclass(frozen=True, slots=True)
class Work:
    """One maintenance by its last message. ``report``: id of the message that holds the report, "" without one."""

    reference: str
    kind: Class
    notice: str
    number: int
    since: datetime
    until: datetime
    released_at: datetime
    texts: tuple[Text, ...]
    services: tuple[str, ...]
    report: str
    figure: str
    figure_label: str
    acknowledge: str = ""  # as ``Told``


@dataclass(frozen=True, slots=True)
class Portal:
    version: int
    customer: str
    name: str
    language: str
    timezone: str
    provider: str
    today: str  # ISO date, in the customer's own time
    services: tuple[ServiceDays, ...]
    works: tuple[Work, ...]  # what comes first, then the newest first
    messages: tuple[Notice, ...]  # released and standing, for calendars and feeds
    ways: tuple[str, ...]  # that are on, of ``WAYS``


def make_portal(
    customer: str,
    name: str,
    language: str,
    timezone: str,
    provider: str,
    told: Sequence[Told],
    now: datetime,
    ways: Collection[str] = WAYS,
) -> Portal:
    """``told``: this customer's released messages that stand, in the order they were released. ``ways``: that are on;
    where reports are not, none is offered."""
    shown = "reports" in ways
    say = Say(language, timezone)
    today = say.local(now).date()
    return Portal(
        VERSION,
        customer,
        name,
        language,
        timezone,
        provider,
        today.isoformat(),
        _days(told, say, today),
        tuple(each if shown else replace(each, report="") for each in _works(told)),
        tuple(_for_customer(each.notice, shown) for each in told),
        tuple(each for each in WAYS if each in ways),
    )


def _for_customer(notice: Notice, reports: bool) -> Notice:
    """Without what is the provider's alone: the maintenance's own name holds a node's."""
    return Notice(
        notice.id, notice.customer, notice.kind, notice.reference, notice.reference, notice.number, notice.made_at,
        notice.since, notice.until, notice.services, notice.texts, notice.round, notice.supersedes, "",
        notice.has_report and reports,
    )  # fmt: skip


def _days(told: Sequence[Told], say: Say, today: date) -> tuple[ServiceDays, ...]:
    names = {row.service for each in told if each.report is not None for row in each.report.services}
    names |= {one.service for each in told for one in each.notice.services}
    first = today - timedelta(days=DAYS - 1)
    found = {name: [Day.UNMEASURED] * DAYS for name in names}

    def mark(name: str, at: datetime, state: Day) -> None:
        day = (say.local(at).date() - first).days
        if 0 <= day < DAYS and name in found:
            found[name][day] = min(found[name][day], state, key=_ORDER.index)

    for each in told:
        for seen in each.report.measurements if each.report is not None else ():
            if not seen.measured:
                continue
            mark(seen.name, seen.since, Day.MEASURED)
            for gap in seen.interruptions:
                agreed = gap.cause in (Cause.RELOCATION, Cause.RESTART)
                short = gap.length is not None and gap.length.total_seconds() <= PROMISED_S
                if agreed:
                    mark(seen.name, gap.last_good, Day.RESTARTED)
                elif not short:
                    mark(seen.name, gap.last_good, Day.INTERRUPTED)
    return tuple(ServiceDays(name, "".join(found[name])) for name in sorted(found))


def _works(told: Sequence[Told]) -> tuple[Work, ...]:
    latest: dict[tuple[str, int], Work] = {}
    for each in told:
        notice, report = each.notice, each.report
        if notice.kind is Class.DIGEST:
            continue
        key = (notice.reference, notice.round)
        before = latest.get(key)
        own = report is not None
        latest[key] = Work(
            reference=notice.reference,
            kind=notice.kind,
            notice=notice.id,
            number=notice.number,
            since=notice.since,
            until=notice.until,
            released_at=each.released_at,
            texts=notice.texts,
            services=tuple(one.service for one in notice.services) or (before.services if before else ()),
            report=notice.id if own else (before.report if before else ""),
            figure=report.headline.figure if report is not None else (before.figure if before else ""),
            figure_label=report.headline.label if report is not None else (before.figure_label if before else ""),
            acknowledge=each.acknowledge,
        )
    coming = sorted((each for each in latest.values() if each.kind in BEFORE), key=lambda each: each.since)
    past = sorted(
        (each for each in latest.values() if each.kind not in BEFORE), key=lambda each: each.since, reverse=True
    )
    return (*coming, *past)


@dataclass(frozen=True, slots=True)
class Public:
    """One maintenance for everybody: no customer, no guest, no node, no rack, no model, no redundancy of the moment.

    ``fault``: fans, power, memory or other. ``checks``: what the technician did, by the words' keys. ``moves``: how
    often a service moved while it ran. ``repaired``: once its probation was over.
    """

    reference: str
    fault: str
    since: datetime
    until: datetime
    planned: bool
    called_off: bool
    moves: int
    checks: tuple[str, ...]
    held: bool
    interrupted: bool  # a customer was told of an interruption
    repaired: bool


@dataclass(frozen=True, slots=True)
class Status:
    """``days``: the last 90 in ``timezone``: x an interruption was told of, m work, u neither."""

    version: int
    provider: str
    timezone: str
    today: str
    days: str
    works: tuple[Public, ...]
    ways: tuple[str, ...]  # calendar and feed, where they are on


def make_status(
    provider: str, timezone: str, works: Iterable[Public], now: datetime, ways: Collection[str] = WAYS
) -> Status:
    say = Say("en", timezone)
    today = say.local(now).date()
    first = today - timedelta(days=DAYS - 1)
    days = ["u"] * DAYS
    shown = sorted(works, key=lambda each: each.since, reverse=True)
    for each in shown:
        day = (say.local(each.since).date() - first).days
        if 0 <= day < DAYS and not each.planned:
            days[day] = "x" if each.interrupted or days[day] == "x" else "m"
    coming = [each for each in reversed(shown) if each.planned]
    return Status(
        VERSION, provider, timezone, today.isoformat(), "".join(days), (*coming, *(s for s in shown if not s.planned)),
        tuple(each for each in ("calendar", "feed") if each in ways),
    )  # fmt: skip


def counted(days: str) -> Mapping[Day, int]:
    """How many days of each kind."""
    return {day: days.count(day.value) for day in Day}
