"""The outbox: what customers should be told becomes a draft, and leaves only when a named person releases it.

What was drafted, released and withdrawn stands in the journal, in a stream for each customer that holds digests alone;
the messages themselves are papers, which can be erased.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from noout.app.compose import Installation
from noout.app.contacts import Contacts, language_of, zone_of
from noout.codec import decode, encode
from noout.domain.customers import Customer
from noout.domain.errors import Refused, Superseded, UsageError
from noout.domain.maintenance import Json
from noout.domain.notices import (
    ACKNOWLEDGED,
    BEFORE,
    BY_HAND,
    DRAFTED,
    RELEASED,
    WITHDRAWN,
    Class,
    Notice,
    Standing,
    State,
    Text,
    standings,
    stream_of,
)
from noout.tell.notice import Reader
from noout.tell.report import Report
from noout.tell.verify import canonical

log = logging.getLogger(__name__)

NOTICE, REPORT = "notice", "report"  # kinds of papers
AUTOMATIC = "noout:automatic"
TRIES = 20


def digest_of(document: Json) -> str:
    """SHA-256 (hex) of the canonical JSON: sorted keys, no spaces, UTF-8."""
    return canonical(document)


@dataclass(frozen=True, slots=True)
class Kept:
    """A notice, where it stands, and its reports by language (empty for what has none)."""

    notice: Notice
    standing: Standing
    reports: Mapping[str, Json] = field(default_factory=dict)


class Outbox:
    def __init__(self, found: Installation) -> None:
        self.found = found
        self.contacts = Contacts(found.papers, found.customers)

    # --- looking -------------------------------------------------------------------------------------------------

    async def all(self, customer: str | None = None, *, reports: bool = False) -> list[Kept]:
        """Every notice, of one customer or of all, in the order they were drafted."""
        found: list[Kept] = []
        for each in self.found.customers if customer is None else [self.contacts.customer(customer)]:
            papers = {paper["id"]: paper for paper in await self.found.papers.all(NOTICE, each.key)}
            if not papers:
                continue
            known = standings(await self.found.journal.read(stream_of(each.key)))
            for id, standing in known.items():
                if id in papers:
                    written = await self.reports(id) if reports else {}
                    found.append(Kept(decode(Notice, papers[id]), standing, written))
        return sorted(found, key=lambda kept: (kept.standing.drafted_at, kept.notice.id))

    async def get(self, id: str) -> Kept:
        """UsageError when there is none of that name."""
        paper = await self.found.papers.get(NOTICE, id)
        if paper is None:
            raise UsageError(f"there is no message {id}", remedy="see `noout tell list`")
        notice = decode(Notice, paper)
        known = standings(await self.found.journal.read(stream_of(notice.customer)))
        return Kept(notice, known[id], await self.reports(id))

    async def reports(self, id: str) -> Mapping[str, Json]:
        return await self.found.papers.get(REPORT, id) or {}

    async def published(self, customer: str) -> list[Kept]:
        """What was released to this customer and stands: withdrawn and superseded messages, and those for the account
        manager, are not among it."""
        return [
            each
            for each in await self.all(customer, reports=True)
            if each.standing.state is State.RELEASED
            and not each.standing.superseded_by
            and each.notice.kind is not Class.INCIDENT
        ]

    async def readers(self, customer: Customer) -> list[Reader]:
        """The languages and clocks that are read at this customer's; the customer's own first."""
        tell, serve = self.found.settings.tell, self.found.settings.serve
        pairs = [(customer.language, customer.timezone)]
        pairs += [
            (language_of(each, customer), zone_of(each, customer)) for each in await self.contacts.of(customer.key)
        ]
        pairs += [(language, customer.timezone) for language in ("en", "nl", "es")]  # the portal's own
        base = tell.portal_url or serve.base_url
        url = f"{base.rstrip('/')}/portal" if base and "portal" in tell.channels else ""
        return [Reader(*pair, serve.provider, tell.phone, url, tell.reports) for pair in dict.fromkeys(pairs)]

    # --- writing -------------------------------------------------------------------------------------------------

    async def draft(self, notice: Notice, reports: Mapping[str, Report] | None = None, *, hold: bool = False) -> Notice:
        """Keep it as a draft, under the next number of its customer. It is released at once where its class may be,
        unless it is ``hold``, or late by the customer's contract."""
        written = {language: encode(each) for language, each in (reports or {}).items()}
        for _ in range(TRIES):
            events = await self.found.journal.read(stream_of(notice.customer))
            number = 1 + sum(event.kind == DRAFTED for event in events)
            named = replace(notice, id=f"{notice.customer}-{number}", has_report=bool(written))
            told = {
                "notice": named.id, "class": named.kind.value, "maintenance": named.reference,
                "digest": digest_of({"notice": encode(named), "reports": written}),
                "reports": {language: digest_of(each) for language, each in written.items()},
            }  # fmt: skip
            try:
                await self.found.journal.append(stream_of(notice.customer), len(events), DRAFTED, told)
            except Superseded:
                continue
            if written:
                await self.found.papers.put(REPORT, named.id, notice.customer, written)
            await self.found.papers.put(NOTICE, named.id, notice.customer, encode(named))
            automatic = named.kind.value in self.found.settings.tell.automatic and named.kind not in BY_HAND
            if automatic and not (hold or named.late):
                await self.release(named.id, AUTOMATIC)
            return named
        raise Refused(f"{notice.customer} is written to by others at this moment", remedy="try again")

    async def release(self, id: str, actor: str) -> Notice:
        """From now on it may leave. Refused unless it is a draft, and reads as it was drafted."""
        kept = await self._decide(id, RELEASED, actor)
        return kept.notice

    async def acknowledge(self, id: str, actor: str) -> Notice:
        """The customer has read it: ``actor`` is they, or who they said it to. Once; saying it again changes nothing.
        Refused for what was not released to them, and for what is no notice of work to come."""
        for _ in range(TRIES):
            kept = await self.get(id)
            if kept.notice.kind not in BEFORE:
                raise Refused(f"{id} tells of no work to come", remedy="see `noout tell list --all`")
            if kept.standing.state is not State.RELEASED:
                said = f"{id} is {kept.standing.state.value}: nobody has been told it"
                raise Refused(said, remedy=f"noout tell release {id}")
            if kept.standing.acknowledged_by:
                return kept.notice
            events = await self.found.journal.read(stream_of(kept.notice.customer))
            try:
                told = {"notice": id, "digest": kept.standing.digest}
                await self.found.journal.append(stream_of(kept.notice.customer), len(events), ACKNOWLEDGED, told, actor)
            except Superseded:
                continue
            return kept.notice
        raise Refused(f"{id} is decided about by others at this moment", remedy="look again")

    async def withdraw(self, id: str, actor: str) -> Notice:
        """It will never leave. Refused unless it is a draft: what was released is corrected, not taken back."""
        kept = await self._decide(id, WITHDRAWN, actor)
        return kept.notice

    async def _decide(self, id: str, kind: str, actor: str) -> Kept:
        for _ in range(TRIES):
            kept = await self.get(id)
            if kept.standing.state is not State.DRAFT:
                remedy = "noout tell correct" if kept.standing.state is State.RELEASED else "noout tell list"
                raise Refused(f"{id} is {kept.standing.state.value} already, by {kept.standing.by}", remedy=remedy)
            told: dict[str, Json] = {"notice": id}
            if kind == RELEASED:
                if digest_of({"notice": encode(kept.notice), "reports": dict(kept.reports)}) != kept.standing.digest:
                    raise Refused(f"{id} was changed after it was drafted", remedy=f"noout tell withdraw {id}")
                told |= {"digest": kept.standing.digest, "supersedes": kept.notice.supersedes}
                told |= {"reports": {language: digest_of(each) for language, each in kept.reports.items()}}
            events = await self.found.journal.read(stream_of(kept.notice.customer))
            if standings(events)[id].state is not State.DRAFT:
                continue
            try:
                await self.found.journal.append(stream_of(kept.notice.customer), len(events), kind, told, actor)
            except Superseded:
                continue
            return kept
        raise Refused(f"{id} is decided about by others at this moment", remedy="look again")


def notice_of(
    kind: Class,
    customer: Customer,
    maintenance: str,
    reference: str,
    texts: Sequence[Text],
    since: datetime,
    until: datetime,
    now: datetime,
    **more: object,
) -> Notice:
    """A notice without a number yet: ``Outbox.draft`` gives it one."""
    bare = Notice("", customer.key, kind, maintenance, reference, 0, now, since, until, (), tuple(texts))
    return replace(bare, **more)  # type: ignore[arg-type]
