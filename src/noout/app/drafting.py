"""From what the journal says of a maintenance to the drafts it calls for: before, on change, after, and when it went
wrong. Each is drafted once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.outbox import Kept, Outbox, notice_of
from noout.app.reports import report_for
from noout.app.telling import experiences_of, policy_of
from noout.domain.cluster import Guest, GuestId
from noout.domain.customers import Customer, owner
from noout.domain.errors import Refused
from noout.domain.hardware import Urgency
from noout.domain.impact import Experience
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Maintenance, MoveKind, Phase
from noout.domain.notices import AFTER, BEFORE, Class, Concerned, Notice, State
from noout.run.touched import guests_of
from noout.steps.quiet import may_move_from
from noout.tell import notice as words
from noout.tell.report import Report

LANGUAGES = ("en", "nl", "es")
MOVED_MIN = timedelta(minutes=15)  # times that differ by less are the same times
_OFF = frozenset({Phase.ABORTED, Phase.REFUSED})


@dataclass(slots=True)
class Drafting:
    """Looks at every maintenance that went on since the last look."""

    found: Installation
    outbox: Outbox = field(init=False)
    _seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.found)

    async def look(self) -> list[Notice]:
        """The drafts that were made."""
        made: list[Notice] = []
        for m in await Maintenances(self.found).all():
            if self._seen.get(m.id) == m.seq or m.phase is Phase.PROPOSED:
                continue
            made += await self.one(m)
            self._seen[m.id] = m.seq
        return made

    async def one(self, m: Maintenance) -> list[Notice]:
        """The drafts that this maintenance calls for now and that were not made before."""
        guests = guests_of(m)
        own: dict[str, list[Guest]] = {}
        for guest in guests:
            whose = owner(self.found.customers, guest)
            if whose is not None and not guest.template:
                own.setdefault(whose.key, []).append(guest)
        made: list[Notice] = []
        told: _Told | None = None
        for customer in self.found.customers:
            if customer.key not in own:
                continue
            before = [each for each in await self.outbox.all(customer.key) if _of(m, each.notice)]
            found: Notice | None = None
            if m.open:
                found = await self._before(m, customer, own[customer.key], before)
            elif touched(m, own[customer.key]):
                told = told or await _Told.of(self.found, m)
                made += await self._after(told, customer, before)
            if found is not None:
                made.append(found)
        return made

    async def _before(
        self, m: Maintenance, customer: Customer, own: Sequence[Guest], before: Sequence[Kept]
    ) -> Notice | None:
        if m.plan is None or m.aborting or m.node_off_at is not None:
            return None
        services = words.concerned(m.plan, own)
        if not services:
            return None
        since, until = times(self.found, m, {guest.id for guest in own})
        last = next((each for each in reversed(before) if each.notice.kind in BEFORE), None)
        if last is not None and last.standing.state is State.WITHDRAWN:
            return None  # somebody decided that it is not said
        what = _changed(last.notice, services, since, until) if last is not None else ""
        if last is not None and not what:
            return None
        released = last is not None and last.standing.state is State.RELEASED
        if last is not None and not released:  # a draft that is no longer so is not left for anybody to send
            await self.outbox.withdraw(last.notice.id, "noout")
        kind, changed = (Class.CHANGED, what) if released else (Class.PLANNED, "")
        readers = await self.outbox.readers(customer)
        asks = customer.acknowledge_h > 0
        texts = [
            words.before(m, services, since, until, reader, changed=changed, acknowledge=asks) for reader in readers
        ]
        events = await self.found.journal.read(m.id)
        now = self.found.clock.now()
        number = sum(each.standing.state is State.RELEASED for each in before)
        return await self.outbox.draft(
            notice_of(
                kind, customer, m.id, reference(events), texts, since, until, now,
                round=m.reopened, number=number, services=services, late=lateness(m, customer, since, now),
            )
        )  # fmt: skip

    async def _after(self, told: _Told, customer: Customer, before: Sequence[Kept]) -> list[Notice]:
        m = told.m
        kinds = {each.notice.kind for each in before if each.notice.kind not in BEFORE}
        made: list[Notice] = []
        if not kinds & AFTER:
            for each in before:  # what was to be said before it began is of no use any more
                if each.notice.kind in BEFORE and each.standing.state is State.DRAFT:
                    await self.outbox.withdraw(each.notice.id, "noout")
            made += await self._ended(told, customer, before)
        done = next((each for each in before if each.notice.kind is Class.DONE), None)
        if done is not None and m.probation_over_at is not None and done.standing.state is not State.WITHDRAWN:
            kind = Class.CAME_BACK if m.probation_failed else Class.REPAIRED
            if kind not in kinds:
                readers = await self.outbox.readers(customer)
                texts = [words.ended(m, each, done.notice.since, kind) for each in readers]
                number = sum(each.standing.state is State.RELEASED for each in before)
                ended = notice_of(
                    kind, customer, m.id, done.notice.reference, texts, done.notice.since, done.notice.until,
                    self.found.clock.now(), round=m.reopened, number=number,
                )  # fmt: skip
                made.append(await self.outbox.draft(ended, hold=done.standing.state is not State.RELEASED))
        return made

    async def _ended(self, told: _Told, customer: Customer, before: Sequence[Kept]) -> list[Notice]:
        """What was done, or, where something was interrupted, the two texts about that and nothing else."""
        m, made = told.m, []
        reports = told.reports(self.found, customer)
        shown = reports[customer.language]
        own = [
            each for each in told.experiences if each.guest in {guest.id for guest in told.own(self.found, customer)}
        ]
        gaps = words.unagreed(own)
        off = m.aborting or m.phase in _OFF or bool(m.closing_up)
        kind = Class.INTERRUPTED if gaps else Class.CALLED_OFF if off else Class.DONE
        readers = await self.outbox.readers(customer)
        now, number = self.found.clock.now(), sum(each.standing.state is State.RELEASED for each in before)
        if gaps:
            manager = [words.incident(customer, gaps, m, words.Reader("en", customer.timezone, readers[0].provider))]
            told_to = notice_of(
                Class.INCIDENT, customer, m.id, told.reference, manager, shown.since, shown.until, now,
                round=m.reopened, number=number,
            )  # fmt: skip
            made.append(await self.outbox.draft(told_to))
        texts = [words.after(in_zone(told, self.found, customer, each, reports), each, kind) for each in readers]
        services = words.concerned(m.plan, told.own(self.found, customer)) if m.plan is not None else ()
        drafted = notice_of(
            kind, customer, m.id, told.reference, texts, shown.since, shown.until, now,
            round=m.reopened, number=number, services=services,
        )  # fmt: skip
        made.append(await self.outbox.draft(drafted, reports))
        return made

    async def correct(self, id: str, why: str) -> Notice:
        """A new draft that takes the place of a released message, with its report made anew from the journal as it is.

        Raises Refused for what was never released, or has no report.
        """
        kept = await self.outbox.get(id)
        if kept.standing.state is not State.RELEASED or not kept.notice.has_report:
            raise Refused(f"{id} is no released report", remedy="a draft is withdrawn: noout tell withdraw")
        if kept.standing.superseded_by:
            raise Refused(f"{id} was corrected already", remedy=f"correct {kept.standing.superseded_by}")
        m = await Maintenances(self.found).get(kept.notice.maintenance)
        customer = self.outbox.contacts.customer(kept.notice.customer)
        told = await _Told.of(self.found, m)
        reports = told.reports(self.found, customer)
        texts = [
            words.after(in_zone(told, self.found, customer, each, reports), each, Class.CORRECTION, why=why)
            for each in await self.outbox.readers(customer)
        ]
        drafted = notice_of(
            Class.CORRECTION, customer, m.id, kept.notice.reference, texts, kept.notice.since, kept.notice.until,
            self.found.clock.now(), round=kept.notice.round,
            number=kept.notice.number + 1, services=kept.notice.services, supersedes=id,
        )  # fmt: skip
        return await self.outbox.draft(drafted, reports)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of a closed maintenance: read once for all its customers."""

    m: Maintenance
    events: tuple[Event, ...]
    experiences: tuple[Experience, ...]
    guests: tuple[Guest, ...]
    reference: str

    @classmethod
    async def of(cls, found: Installation, m: Maintenance) -> _Told:
        events = tuple(await found.journal.read(m.id))
        begun = max((number for number, event in enumerate(events) if event.kind == Kind.REOPENED), default=0)
        experiences = tuple(await experiences_of(found, m))
        return cls(m, events[begun:], experiences, guests_of(m), reference(events))

    def own(self, found: Installation, customer: Customer) -> list[Guest]:
        return [guest for guest in self.guests if owner(found.customers, guest) == customer]

    def report(self, found: Installation, customer: Customer, language: str) -> Report:
        return report_for(
            self.m, customer, found.customers, self.experiences, self.guests, self.events,
            generated_at=found.clock.now(), policy=policy_of(found), language=language,
        )  # fmt: skip

    def reports(self, found: Installation, customer: Customer) -> dict[str, Report]:
        """In each language, in the customer's own time."""
        return {language: self.report(found, customer, language) for language in LANGUAGES}


def in_zone(
    told: _Told, found: Installation, customer: Customer, reader: words.Reader, reports: dict[str, Report]
) -> Report:
    """The report that the reader's message is made from: in their own time."""
    if reader.timezone == customer.timezone:
        return reports[reader.language]
    there = replace(customer, timezone=reader.timezone)
    customers = [there if each == customer else each for each in found.customers]
    return report_for(
        told.m, there, customers, told.experiences, told.guests, told.events,
        generated_at=found.clock.now(), policy=policy_of(found), language=reader.language,
    )  # fmt: skip


def _of(m: Maintenance, notice: Notice) -> bool:
    """Of this round: what is taken up again after a failed probation is told of anew."""
    return notice.maintenance == m.id and notice.round == m.reopened


def touched(m: Maintenance, own: Sequence[Guest]) -> bool:
    ids = {guest.id for guest in own}
    return any(move.guest in ids for move in m.moved)


def reference(events: Sequence[Event]) -> str:
    """The maintenance as customers may know it: its own name holds the node's."""
    return events[0].digest[:12] if events else ""


def times(found: Installation, m: Maintenance, own: Collection[GuestId]) -> tuple[datetime, datetime]:
    """When it begins for these guests, as far as is known, and when it should be over: the plan's two ways and a
    technician's visit, once the last guest has left. Quiet hours are counted."""
    begins = min((move.started for move in m.moved), default=None)
    if begins is None:
        waits = m.waiting_until if m.waiting_code == "window" else None
        begins = max(m.opened_at, waits) if waits is not None else m.opened_at
    moves = [each for each in (m.plan.moves if m.plan is not None else ()) if each.kind is not MoveKind.SHUTDOWN]
    may = {move.guest: may_move_from(move, m, begins) for move in moves}
    away = max(may.values(), default=begins)
    way_s = m.plan.estimate_s[1] if m.plan is not None else 0.0
    since = min((may[guest] for guest in own if guest in may), default=away)
    return since, away + timedelta(seconds=2 * way_s, hours=found.settings.tell.work_h)


def lateness(m: Maintenance, customer: Customer, since: datetime, now: datetime) -> str:
    """Why the contract's notice period is not kept; "" where it is."""
    urgent = m.fault is not None and m.fault.urgency is Urgency.EVACUATE_NOW
    wanted_h = customer.emergency_notice_h if urgent else customer.notice_h
    ahead_h = (since - now).total_seconds() / 3600
    if ahead_h >= wanted_h:
        return ""
    what = "work that cannot wait" if urgent else "planned work"
    return f"the contract wants {wanted_h:g} h notice of {what}, and there are {max(0.0, ahead_h):.1f} h left"


def _changed(last: Notice, services: tuple[Concerned, ...], since: datetime, until: datetime) -> str:
    moved = abs(last.since - since) > MOVED_MIN or abs(last.until - until) > MOVED_MIN
    others = last.services != services
    return "both" if moved and others else "times" if moved else "services" if others else ""
