"""The report a customer gets after a maintenance: a document model, built from facts and measurements alone. Pure.

It shows that customer's guests only, names no node and no rack, says "on probation until", never that anything is
mended for good, and keeps apart what was done (the journal's facts), what was measured (always with its resolution)
and, only where the provider enabled it, what is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from noout.domain.cluster import Guest
from noout.domain.customers import Customer
from noout.domain.impact import Experience
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Maintenance, MoveKind
from noout.tell.counterfactual import Assumptions, Counterfactual, could_copy, had_it_failed
from noout.tell.say import NBSP, Say
from noout.tell.story import Chapter, tell_story
from noout.tell.subject import PROMISED_S, Subject, make_subject
from noout.tell.table import ServiceRow, service_rows

VERSION = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """What the provider decides. An estimate is left out unless enabled; its assumption is printed with it.

    ``stop_start_s``: (low, high) time that stopping, starting and checking would have added to the time switched off.
    """

    provider: str = "Your provider"
    show_estimates: bool = False
    stop_start_s: tuple[float, float] = (240.0, 1740.0)
    assumptions: Assumptions = field(default_factory=Assumptions)


@dataclass(frozen=True, slots=True)
class Headline:
    """The one large figure, a measured one; ``measured`` False: there is none and ``figure`` says so in words."""

    label: str
    figure: str
    measured: bool
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One of did (fact), est (estimate), mea (measured), told (measured, an interruption), unk (not measured)."""

    kind: str
    tag: str
    title: str
    figure: str
    text: str
    fine: str


@dataclass(frozen=True, slots=True)
class Term:
    term: str
    text: str


@dataclass(frozen=True, slots=True)
class Seal:
    """``digest``: of the journal's last line when this was written (hex), "" when there was none to see."""

    provider: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Report:
    """The document, in the reader's language, in the order it is read. ``measurements``: what every figure rests on."""

    version: int
    maintenance: str
    customer: str
    language: str
    timezone: str
    generated_at: datetime
    since: datetime
    until: datetime
    probation_until: datetime | None
    provider: str
    addressee: str
    title: str
    lede: str
    headline: Headline
    worth: str
    columns: tuple[Column, ...]
    had_it_failed: Counterfactual | None  # only where the provider shows estimates, and it could have happened
    story_title: str
    story: tuple[Chapter, ...]
    services_title: str
    services_columns: tuple[str, ...]
    services: tuple[ServiceRow, ...]
    services_note: str
    possible_title: str
    possible: tuple[Term, ...]
    words_title: str
    words: tuple[Term, ...]
    seal: Seal
    measurements: tuple[Experience, ...]


def make_report(
    m: Maintenance,
    customer: Customer,
    experiences: Sequence[Experience],
    guests: Sequence[Guest],
    *,
    language: str | None = None,
    generated_at: datetime,
    events: Sequence[Event] = (),
    policy: Policy | None = None,
) -> Report:
    """This customer's report on this maintenance; guests and measurements of others are left out, whoever passes them.

    ``events``: the maintenance's journal, for the times data was held and for the seal. ``language``: the customer's
    own unless given.
    """
    policy = policy or Policy()
    say = Say(language or customer.language, customer.timezone)
    about = make_subject(m, customer, experiences, guests, events)
    since, until = about.since or m.opened_at, about.until or m.closed_at or generated_at
    columns = [_did(about, say, since, until), _noticed(about, say)]
    estimate = _estimate(about, say, policy)
    if estimate is not None:
        columns.insert(1, estimate)
    days = say.days(since, until)
    measured = about.measured
    return Report(
        version=VERSION,
        maintenance=_reference(m, events),
        customer=customer.name,
        language=say.language,
        timezone=say.zone_name,
        generated_at=generated_at,
        since=since,
        until=until,
        probation_until=m.probation_until,
        provider=policy.provider,
        addressee=say("for", customer=customer.name, date=say.date(since), written=say.day(generated_at)),
        title=say("title.off" if about.called_off else "title", date=days),
        lede=say.counted("lede", len(about.affected), n=say.in_words(len(about.affected))),
        headline=_headline(about, say),
        worth=say("worth.estimate" if estimate else "worth"),
        columns=tuple(columns),
        had_it_failed=had_it_failed(about, say, policy.assumptions) if policy.show_estimates else None,
        story_title=say("story", date=say.weekday(since)),
        story=tell_story(about, say),
        services_title=say("services"),
        services_columns=tuple(say(f"col.{name}") for name in ("service", "moved", "longest", "own", "interruptions")),
        services=service_rows(about, say),
        services_note=_services_note(measured, say),
        possible_title=say("possible"),
        possible=_possible(about, say),
        words_title=say("words"),
        words=_words(say, with_estimate=estimate is not None),
        seal=_seal(m, say, policy, events, closed=any(event.kind == Kind.CLOSED for event in events)),
        measurements=about.experiences,
    )


def _reference(m: Maintenance, events: Sequence[Event]) -> str:
    """The maintenance's id, or, where that holds the node's name (not the customer's to know), its first event's."""
    if m.node.name not in m.id:
        return m.id
    return events[0].digest[:12] if events else ""


def _headline(about: Subject, say: Say) -> Headline:
    measured, longest = about.measured, about.longest
    if longest is None or longest.longest_gap_s is None:
        return Headline(say("headline.none"), say("not-measured"), False, (say("headline.nothing"),))
    gap, every = say.pause(longest.longest_gap_s), say.interval(about.every_s)
    paragraphs = [
        say.counted(
            "headline.how",
            len(measured),
            n=say.in_words(len(measured)),
            every=every,
            times=say.whole(sum(each.samples for each in measured)),
            gap=gap,
            service=longest.name,
        )
    ]
    coarse = max(each.resolution_s or 0.0 for each in measured)
    if coarse > about.every_s * 1.5:
        paragraphs.append(say("headline.coarse", resolution=say.pause(coarse)))
    else:
        small = longest.longest_gap_s is not None and longest.longest_gap_s <= PROMISED_S
        seen = f" {say('headline.seen', gap=gap)}" if small else ""  # nobody would call a restart nothing
        paragraphs.append(say("headline.limit", resolution=every) + seen)
    partly = about.partly_measured
    if partly is not None and about.since is not None and about.until is not None:
        seen, work = say.clocks(partly.since, partly.until), say.clocks(about.since, about.until)
        paragraphs.append(say("headline.partly", service=partly.name, times=seen, work=work))
    unmeasured = [guest.name for guest in about.affected if not about.is_measured(guest)]
    if unmeasured:
        paragraphs.append(say("headline.unmeasured", names=say.names(unmeasured)))
    silent = about.ongoing
    if silent is not None:
        name, interruption = silent
        told = say("headline.silent", service=name, time=say.clock(interruption.last_good))
        return Headline(say("headline.ongoing"), say("headline.ongoing.figure"), False, (told, *paragraphs))
    label = "headline.longest" if longest.interruptions else "headline.under"
    return Headline(say(label if partly is None else f"{label}.partly"), gap, True, tuple(paragraphs))


def _did(about: Subject, say: Say, since: datetime, until: datetime) -> Column:
    m = about.m
    way = ".off" if about.called_off else ".some" if about.restarted else ""
    fine = []
    moves = sum(move.kind is not MoveKind.SHUTDOWN for move in about.moved)  # what was switched off went nowhere
    if moves:
        fine.append(say.counted("did.moves", moves))
    if m.findings:
        fine.append(say.counted("did.checks", len(m.findings)))
    if m.node_off_at and m.node_on_at:
        fine.append(say("did.off", span=say.span(m.node_on_at - m.node_off_at)))
    text = say("did.text", times=say.clocks(since, until))
    took = say.took(since, until)
    return Column("did", say("did.tag"), say(f"did.title{way}"), took, text, _sentence(fine))


def _noticed(about: Subject, say: Say) -> Column:
    longest = about.longest
    if longest is None or longest.longest_gap_s is None:
        return Column("unk", say("mea.tag.none"), say("mea.title"), say("not-measured"), say("mea.text.none"), "")
    kind, text, figure = "mea", say("mea.text", service=longest.name), say.pause(longest.longest_gap_s)
    if about.ongoing:
        kind, text, figure = "told", say("mea.text", service=about.ongoing[0]), say("headline.ongoing.figure")
    elif longest.guest in about.restarted:
        kind, text = "told", say("mea.text.agreed", service=longest.name)
    elif about.ours:
        kind = "told"
    if about.ours:
        text = f"{text} {say('mea.ours', service=say.names(about.ours))}"
    measured = about.measured
    times = say.clocks(min(each.since for each in measured), max(each.until for each in measured))
    how = say.names(sorted({say.how(each.probe) for each in measured}))
    fine = say("mea.fine", how=how, every=say.interval(about.every_s), times=times)
    return Column(kind, say("mea.tag"), say("mea.title"), figure, text, fine)


def _estimate(about: Subject, say: Say, policy: Policy) -> Column | None:
    """Only when enabled, and only for services that were really carried past the time the server was off."""
    m = about.m
    carried = [guest.name for guest in about.affected if about.way_of(guest) == "live"]
    if about.called_off or m.closing_up:
        return None  # work that was not done has no worth to be estimated
    if not policy.show_estimates or not carried or not (m.node_off_at and m.node_on_at):
        return None
    off = m.node_on_at - m.node_off_at
    low, high = (timedelta(seconds=seconds) for seconds in policy.stop_start_s)
    return Column(
        "est",
        say("est.tag"),
        say("est.title"),
        f"{say.span(off + low)}{NBSP}– {say.span(off + high)}",
        say("est.text", names=say.names(carried)),
        say("est.fine", off=say.span(off), low=say.span(low), high=say.span(high)),
    )


def _sentence(parts: Sequence[str]) -> str:
    """Parts as one sentence: "3 moves, 11 checks."."""
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _services_note(measured: Sequence[Experience], say: Say) -> str:
    if not measured:
        return say("services.note.none", zone=say.zone_name)
    every = min(each.every_s or each.resolution_s or 0.0 for each in measured)
    times = say.clocks(min(each.since for each in measured), max(each.until for each in measured))
    return say("services.note", every=say.interval(every), times=times, zone=say.zone_name)


def _possible(about: Subject, say: Say) -> tuple[Term, ...]:
    """Only what was used."""
    used = [
        *(["live"] if any(about.way_of(guest) == "live" for guest in about.affected) else []),
        *(["noout"] if about.held_at else []),
    ]
    how = {"noout": "text" if could_copy(about.m.facts) else "plain"}
    return tuple(Term(say(f"tech.{name}"), say(f"tech.{name}.{how.get(name, 'text')}")) for name in used)


def _words(say: Say, *, with_estimate: bool) -> tuple[Term, ...]:
    names = ["pause", "probe", "interruption", "probation", *(["estimate"] if with_estimate else [])]
    return tuple(Term(say(f"word.{name}"), say(f"word.{name}.text")) for name in names)


def _seal(m: Maintenance, say: Say, policy: Policy, events: Sequence[Event], *, closed: bool) -> Seal:
    text = say("seal", id=_reference(m, events))
    head = events[-1].digest if events else ""
    return Seal(policy.provider, text if closed or not m.open else f"{text} {say('seal.open')}", head)
