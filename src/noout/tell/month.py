"""A customer's month as a document, from the reports that were released to them: nothing is added that is not in those.

Pure. What was measured is said with how long was measured; an interruption is never averaged away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from noout.domain.impact import Cause, Experience
from noout.domain.notices import AFTER, BEFORE, Class, Line, Text
from noout.tell.portal import Told
from noout.tell.report import Report
from noout.tell.say import Say
from noout.tell.subject import PROMISED_S

VERSION = 1


@dataclass(frozen=True, slots=True)
class MonthWork:
    """One maintenance. ``notice``: the message whose report has the rest; ``told``: it must not be overlooked."""

    notice: str
    reference: str
    day: str
    what: str
    services: str
    longest: str
    interruptions: str
    told: bool


@dataclass(frozen=True, slots=True)
class MonthService:
    service: str
    measured: str
    longest: str
    interruptions: str
    told: bool


@dataclass(frozen=True, slots=True)
class Month:
    """``month``: "2026-11", in the customer's own time. ``digest``: of the last line of what this customer was told."""

    version: int
    month: str
    customer: str
    language: str
    timezone: str
    generated_at: datetime
    provider: str
    title: str
    addressee: str
    lede: str
    works_title: str
    works_columns: tuple[str, ...]
    works: tuple[MonthWork, ...]
    services_title: str
    services_columns: tuple[str, ...]
    services: tuple[MonthService, ...]
    note: str
    coming_title: str
    coming: tuple[str, ...]
    seal: str
    digest: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What a month comes to, as numbers: sums of counts, and the longest of pauses."""

    maintenances: int
    unagreed: int
    restarts: int
    longest_s: float | None
    measured_s: float


_WORKS = ("month.col.day", "month.col.what", "month.col.services", "col.longest", "col.interruptions")


def in_month(at: datetime, month: str, say: Say) -> bool:
    return say.local(at).strftime("%Y-%m") == month


def of_month(told: Sequence[Told], month: str, say: Say) -> list[Told]:
    """The last word on each maintenance that was worked on in this month, in order."""
    last: dict[tuple[str, int], Told] = {}
    for each in told:
        if each.report is not None and each.notice.kind in AFTER and in_month(each.report.since, month, say):
            last[each.notice.reference, each.notice.round] = each
    return sorted(last.values(), key=lambda each: each.notice.since)


def figures(told: Sequence[Told]) -> Figures:
    seen = [each for one in told if one.report is not None for each in one.report.measurements if each.measured]
    gaps = [(gap.cause, gap.length) for each in seen for gap in each.interruptions if not gap.already_failing]
    agreed = (Cause.RELOCATION, Cause.RESTART)
    longest = [each.longest_gap_s for each in seen if each.longest_gap_s is not None]
    return Figures(
        maintenances=len(told),
        unagreed=sum(c not in agreed and (n is None or n.total_seconds() > PROMISED_S) for c, n in gaps),
        restarts=sum(cause in agreed for cause, _ in gaps),
        longest_s=max(longest, default=None),
        measured_s=sum((each.until - each.since).total_seconds() for each in seen),
    )


def make_month(
    name: str,
    told: Sequence[Told],
    month: str,
    say: Say,
    *,
    provider: str,
    generated_at: datetime,
    digest: str,
) -> Month:
    """``told``: everything released to this customer that stands, with reports in ``say``'s language."""
    done = of_month(told, month, say)
    year, number = month.split("-")
    called = say("month.name", month=say(f"month.{int(number)}"), year=year)
    coming = {each.notice.reference: each for each in told if each.notice.kind in BEFORE}
    for each in told:
        if each.notice.kind not in BEFORE:
            coming.pop(each.notice.reference, None)
    return Month(
        VERSION,
        month,
        name,
        say.language,
        say.zone_name,
        generated_at,
        provider,
        say("month.title", month=called),
        say("for", customer=name, date=called, written=say.day(generated_at)),
        say.counted("month.lede", len(done)) if done else say("month.lede.none"),
        say("month.works"),
        tuple(
            say(key)
            for key in ("month.col.day", "month.col.what", "month.col.services", "col.longest", "col.interruptions")
        ),
        tuple(_work(each, each.report, say) for each in done if each.report is not None),
        say("month.services"),
        tuple(say(key) for key in ("col.service", "month.col.measured", "col.longest", "col.interruptions")),
        _services(done, say),
        say("month.note"),
        say("portal.coming"),
        tuple(each.notice.text_for(say.language, say.timezone).subject for each in coming.values()),
        say("month.seal"),
        digest,
    )


def _work(told: Told, report: Report, say: Say) -> MonthWork:
    figure = report.headline.figure
    gaps = figures([told])
    names = say.names([row.service for row in report.services if row.moved != say("moved.no")])
    return MonthWork(
        told.notice.id,
        told.notice.reference,
        say.day(report.since),
        report.story[0].title if report.story else report.title,
        names,
        figure,
        _gaps(gaps, say, bool(gaps.measured_s)),
        bool(gaps.unagreed) or told.notice.kind is Class.CALLED_OFF,
    )


def _gaps(found: Figures, say: Say, measured: bool) -> str:
    if not measured:
        return say("not-measured")
    parts = []
    if found.unagreed:
        parts.append(say.counted("month.unagreed", found.unagreed))
    if found.restarts:
        parts.append(say.counted("month.restarts", found.restarts))
    return ", ".join(parts) or say("none-seen")


def _services(done: Sequence[Told], say: Say) -> tuple[MonthService, ...]:
    seen: dict[str, list[Experience]] = {}
    for each in done:
        if each.report is not None:
            for row in each.report.services:
                seen.setdefault(row.service, [])
            for one in each.report.measurements:
                if one.measured:
                    seen.setdefault(one.name, []).append(one)
    found = []
    for name in sorted(seen):
        spans = sum(((each.until - each.since) for each in seen[name]), timedelta())
        longest = max((each.longest_gap_s or 0.0 for each in seen[name]), default=0.0)
        own = [gap for each in seen[name] for gap in each.interruptions if not gap.already_failing]
        agreed = sum(gap.cause in (Cause.RELOCATION, Cause.RESTART) for gap in own)
        bad = sum(
            gap.cause not in (Cause.RELOCATION, Cause.RESTART)
            and (gap.length is None or gap.length.total_seconds() > PROMISED_S)
            for gap in own
        )
        measured = bool(seen[name])
        counts = Figures(len(done), bad, agreed, longest, spans.total_seconds())
        found.append(
            MonthService(
                name,
                say.span(spans) if measured else say("not-measured"),
                say.pause(longest) if measured else say("not-measured"),
                _gaps(counts, say, measured),
                bad > 0,
            )
        )
    return tuple(found)


def digest_text(made: Month, url: str, phone: str) -> Text:
    """The month as a mail."""
    say = Say(made.language, made.timezone)
    lines = [
        Line(f"{each.day}: {each.what}", f"{each.services}. {each.longest}; {each.interruptions}.")
        for each in made.works
    ]
    lines += [Line(made.coming_title, each) for each in made.coming]
    closing = [say("notice.link", url=url)] if url else []
    closing += [say("notice.phone", phone=phone)] if phone else []
    return Text(made.language, made.timezone, made.title, made.lede, tuple(lines), (*closing, made.provider))
