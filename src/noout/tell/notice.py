"""The messages about a maintenance, in each reader's words: before, on change, after, and when it went wrong. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from noout.domain.cluster import Guest
from noout.domain.customers import Customer
from noout.domain.impact import Cause, Experience, Interruption
from noout.domain.maintenance import Maintenance, MoveKind, Plan
from noout.domain.notices import Class, Concerned, Impact, Line, Text
from noout.tell.report import Report
from noout.tell.say import Say
from noout.tell.subject import PROMISED_S

_WORST = (Impact.OUTAGE, Impact.DEGRADED, Impact.REDUCED_REDUNDANCY)
_IMPACT = {
    MoveKind.LIVE: Impact.REDUCED_REDUNDANCY,
    MoveKind.OFFLINE: Impact.REDUCED_REDUNDANCY,
    MoveKind.RELOCATE: Impact.DEGRADED,
    MoveKind.SHUTDOWN: Impact.OUTAGE,
}
_FAULTS = ("fans", "power", "memory")


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose language and clock a text is in, who signs it, and where more can be read ("" where nowhere)."""

    language: str
    timezone: str
    provider: str
    phone: str = ""
    url: str = ""
    reports: bool = True  # are found there

    @property
    def say(self) -> Say:
        return Say(self.language, self.timezone)


def concerned(plan: Plan, own: Sequence[Guest]) -> tuple[Concerned, ...]:
    """The customer's guests that the plan moves, restarts or shuts down, by name, with the worst that is expected."""
    found: dict[str, Impact] = {}
    names = {guest.id: guest.name for guest in own}
    for move in plan.moves:
        if move.guest in names:
            kinds = [_IMPACT[move.kind], *([found[names[move.guest]]] if names[move.guest] in found else [])]
            found[names[move.guest]] = min(kinds, key=_WORST.index)
    return tuple(Concerned(name, impact) for name, impact in sorted(found.items()))


def before(
    m: Maintenance,
    services: Sequence[Concerned],
    since: datetime,
    until: datetime,
    reader: Reader,
    *,
    changed: str = "",
    acknowledge: bool = False,
) -> Text:
    """What will be done and what may be noticed. ``changed``: "times", "services" or "both", of a second notice.
    ``acknowledge``: it is waited for until they say that they have read it."""
    say = reader.say
    template = m.fault.template if m.fault and m.fault.template in _FAULTS else "other"
    lede = say(f"notice.why.{template}")
    if changed:
        lede = f"{say(f'notice.changed.{changed}')} {lede}"
    names = {impact: [each.service for each in services if each.impact is impact] for impact in _WORST}
    expect = [
        say.counted(f"notice.expect.{impact.value.lower()}", len(some), names=say.names(some))
        for impact, some in names.items()
        if some
    ]
    read = Line(say("notice.acknowledge"), say("notice.acknowledge.text"))
    lines = (
        *((read,) if acknowledge else ()),
        Line(say("notice.when"), f"{say.weekday(since)}, {say.clocks(since, until)} ({say.zone_name})"),
        Line(say("notice.services"), say.names([each.service for each in services])),
        Line(say("notice.expect"), " ".join(expect)),
        Line(say("notice.redundancy"), say("notice.redundancy.text")),
        *(() if acknowledge else (Line(say("notice.do"), say("notice.do.text")),)),
    )
    subject = say("notice.changed" if changed else "notice.planned", date=say.day(since))
    return Text(reader.language, reader.timezone, subject, lede, lines, _closing(reader))


def after(report: Report, reader: Reader, kind: Class, *, why: str = "") -> Text:
    """What was done and what was measured, from the report alone. ``why``: of a correction, what was wrong."""
    say = reader.say
    figure = report.headline.figure if report.headline.measured else ""
    subject = {
        Class.DONE: say("notice.done.measured", figure=figure) if figure else say("notice.done"),
        Class.CALLED_OFF: say("notice.called-off", date=say.day(report.since)),
        Class.INTERRUPTED: say("notice.interrupted", date=say.day(report.since)),
        Class.CORRECTION: say("notice.correction", date=say.day(report.since)),
    }[kind]
    lede = report.lede
    if kind is Class.CORRECTION:
        lede = say("notice.correction.lede", why=why)
    elif kind is Class.INTERRUPTED:
        lede = say("notice.interrupted.lede")
    lines = [Line(report.headline.label, f"{report.headline.figure}. {report.headline.paragraphs[0]}")]
    lines += [Line(row.service, " ".join(row.notes)) for row in report.services if row.told and row.notes]
    lines += [
        Line(each.tag, f"{each.figure} {each.text} {each.fine}".strip())
        for each in report.columns
        if each.kind in ("did", "est")
    ]
    last = report.story[-1] if report.probation_until is not None and report.story else None
    if last is not None:
        lines.append(Line(last.title, last.text))
    return Text(reader.language, reader.timezone, subject, lede, tuple(lines), _closing(reader, report=True))


def ended(m: Maintenance, reader: Reader, since: datetime, kind: Class) -> Text:
    """The end of the probation: only now, and only so, is it called repaired."""
    say = reader.say
    key = "notice.repaired" if kind is Class.REPAIRED else "notice.came-back"
    over = m.probation_over_at or since
    lines = (Line(say("notice.work"), say.date(since)), Line(say("notice.over"), say.date(over)))
    return Text(reader.language, reader.timezone, say(key), say(f"{key}.lede"), lines, _closing(reader))


def incident(customer: Customer, gaps: Sequence[tuple[str, Interruption]], m: Maintenance, reader: Reader) -> Text:
    """For the account manager: what was interrupted, as measured, and that the customer was told nothing yet."""
    say = reader.say
    lines = [Line(name, _gap(gap, say)) for name, gap in gaps]
    lines.append(Line(say("notice.incident.next"), say("notice.incident.next.text")))
    subject = say("notice.incident", customer=customer.name, n=say.whole(len(gaps)))
    lede = say("notice.incident.lede", customer=customer.name, maintenance=m.id)
    return Text(reader.language, reader.timezone, subject, lede, tuple(lines), ())


def unagreed(experiences: Sequence[Experience]) -> tuple[tuple[str, Interruption], ...]:
    """Interruptions that nobody agreed to: any silence longer than a live move's, whatever it is put down to, that
    was not there before. With one of these nothing is called unnoticed."""
    return tuple(
        (each.name, gap)
        for each in experiences
        for gap in each.interruptions
        if gap.cause not in (Cause.RELOCATION, Cause.RESTART)
        and not gap.already_failing
        and (gap.length is None or gap.length.total_seconds() > PROMISED_S)
    )


def _gap(gap: Interruption, say: Say) -> str:
    at = say.clock(gap.last_good)
    if gap.length is None:
        return say("note.ongoing", time=at)
    key = "note.move" if gap.cause is Cause.MOVE else "note.unrelated"
    method = say(
        "note.method",
        how=say.how(gap.probe),
        every=say.interval(gap.resolution_s),
        resolution=say.pause(gap.resolution_s),
    )
    return f"{say(key, time=at, length=say.pause(gap.length))} {method}"


def _closing(reader: Reader, *, report: bool = False) -> tuple[str, ...]:
    say = reader.say
    link = "notice.link.report" if report and reader.reports else "notice.link"
    return (
        *([say(link, url=reader.url)] if reader.url else []),
        *([say("notice.phone", phone=reader.phone)] if reader.phone else []),
        *([say("notice.noticed")] if report else []),
        reader.provider,
    )
