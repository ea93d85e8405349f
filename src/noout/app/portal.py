"""Customers' portals and the public status page: documents made from what was released, and the links that open them.

Nothing is in a customer's document that is not theirs; a process that holds no credential can serve it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.outbox import Kept, Outbox
from noout.codec import decode, encode
from noout.domain.customers import Customer
from noout.domain.errors import Superseded, UsageError
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Json, Maintenance, MoveKind
from noout.domain.notices import (
    BEFORE,
    LINK_MADE,
    LINKS_REVOKED,
    Class,
    Door,
    Purpose,
    doors,
    stream_of,
)
from noout.domain.workorder import Answer
from noout.tell.portal import Public, Told, make_portal, make_status
from noout.tell.report import Report
from noout.tell.story import TOLD_WORK
from noout.tell.subject import NOOUT

DAYS_OF = {Purpose.PORTAL: 30.0, Purpose.FEED: 400.0}
BUNDLE = "noout.bundle"


def digest_of(token: str) -> str:
    """How a link's secret is known."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(slots=True)
class Portals:
    found: Installation
    outbox: Outbox = field(init=False)
    _made: dict[str, tuple[object, Json]] = field(default_factory=dict)  # by document: what it was made of, and it

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.found)

    @property
    def on(self) -> frozenset[str]:
        """The ways that are on, as the documents name them."""
        tell = self.found.settings.tell
        mails = {"mail"} if {"mail", "digest"} & set(tell.channels) and tell.mail is not None else set()
        reports = {"reports"} if tell.reports and "portal" in tell.channels else set()
        return frozenset({*tell.channels} - {"mail"} | mails | reports)

    def now(self) -> datetime:
        return self.found.clock.now()

    @property
    def silent(self) -> bool:
        """Never: what is shown here is made here."""
        return False

    # --- links ---------------------------------------------------------------------------------------------------

    async def make_link(self, customer: str, purpose: Purpose, actor: str, days: float | None = None) -> str:
        """The secret of a new link: it is shown once and kept nowhere. UsageError for no such customer."""
        self.outbox.contacts.customer(customer)
        token = secrets.token_urlsafe(24)
        until = self.now() + timedelta(days=days or DAYS_OF[purpose])
        told = {"digest": digest_of(token), "purpose": purpose.value, "until": until.isoformat()}
        await self._write(customer, LINK_MADE, told, actor)
        return token

    async def revoke(self, customer: str, actor: str) -> None:
        """No link of this customer opens anything any more."""
        self.outbox.contacts.customer(customer)
        await self._write(customer, LINKS_REVOKED, {}, actor)

    async def _write(self, customer: str, kind: str, data: Mapping[str, Json], actor: str) -> None:
        stream = stream_of(customer)
        while True:
            events = await self.found.journal.read(stream)
            try:
                await self.found.journal.append(stream, len(events), kind, data, actor)
            except Superseded:
                continue
            return

    async def door(self, token: str) -> Door | None:
        """What a link's secret opens; None when it opens nothing."""
        known = await self.document("doors")
        found = known.get(digest_of(token)) if known else None
        return _door(digest_of(token), found, self.now()) if found else None

    # --- documents -----------------------------------------------------------------------------------------------

    async def document(self, name: str) -> dict[str, Any] | None:
        """By its name: "status", "doors", "portal/CUSTOMER"; None where there is none, or its way is off."""
        return (await self.documents(frozenset({name}), only=name)).get(name)

    async def documents(self, wanted: frozenset[str], *, only: str | None = None) -> dict[str, Any]:
        """All of them, for a public process; each is made anew only when something it shows went on."""
        found: dict[str, Any] = {}
        heads = await self.found.journal.heads([stream_of(each.key) for each in self.found.customers])
        seen = tuple(sorted((stream, head.events) for stream, head in heads.items()))
        day = self.now().date()
        if self.on & {"portal", "calendar", "feed"}:
            if only in (None, "doors"):
                found["doors"] = await self._kept("doors", seen, self._doors)
            for customer in self.found.customers:
                name = f"portal/{customer.key}"
                if only in (None, name):
                    head = dict(seen).get(stream_of(customer.key), 0)
                    found[name] = await self._kept(name, (head, day), lambda who=customer: self._portal(who))
        if "public" in self.on and only in (None, "status"):
            found["status"] = await self._kept("status", (seen, day), self._status)
        return found

    async def _kept(self, name: str, of: object, make: Any) -> Json:
        known = self._made.get(name)
        if known is None or known[0] != of:
            known = self._made[name] = (of, await make())
        return known[1]

    async def _doors(self) -> Json:
        now, found = self.now(), {}
        for customer in self.found.customers:
            for each in doors(customer.key, await self.found.journal.read(stream_of(customer.key)), now):
                found[each.digest] = {
                    "customer": each.customer,
                    "purpose": each.purpose.value,
                    "until": each.until.isoformat(),
                }
        return found

    async def _portal(self, customer: Customer) -> Json:
        kept = await self.outbox.published(customer.key)
        told = [_told(each, customer) for each in kept]
        provider = self.found.settings.serve.provider
        made = make_portal(
            customer.key, customer.name, customer.language, customer.timezone, provider, told, self.now(), self.on
        )  # fmt: skip
        return encode(made)

    async def _status(self) -> Json:
        told: dict[str, list[Kept]] = {}
        for customer in self.found.customers:
            for each in await self.outbox.published(customer.key):
                told.setdefault(each.notice.maintenance, []).append(each)
        maintenances = Maintenances(self.found)
        works = []
        for mid, kept in told.items():
            m = await maintenances.find(mid)
            if m is not None:
                works.append(_public(m, kept, await self.found.journal.read(mid)))
        clusters = self.found.settings.clusters.values()
        zone = next((each.timezone for each in clusters), "UTC")
        return encode(make_status(self.found.settings.serve.provider, zone, works, self.now(), self.on))

    async def bundle(self, token: str, notice: str) -> dict[str, Any]:
        """A report with what proves it: the report in each language, and the chain of what this customer was told.

        UsageError for a link, or a message, that is not theirs: the same answer for both.
        """
        door = await self.door(token)
        kept = await self.outbox.published(door.customer) if door is not None else []
        one = next((each for each in kept if each.notice.id == notice and each.reports), None)
        if "reports" not in self.on or door is None or door.purpose is not Purpose.PORTAL or one is None:
            raise UsageError("there is no such report", remedy="")
        events = await self.found.journal.read(stream_of(door.customer))
        return bundle_of(one, events)

    async def acknowledge(self, token: str, notice: str) -> None:
        """By a link into the portal the customer says that they have read it. UsageError for a link, or a message,
        that is not theirs."""
        door = await self.door(token)
        kept = await self.outbox.published(door.customer) if door is not None else []
        one = next((each for each in kept if each.notice.id == notice and each.notice.kind in BEFORE), None)
        if door is None or door.purpose is not Purpose.PORTAL or "portal" not in self.on or one is None:
            raise UsageError("there is no such message", remedy="")
        await self.outbox.acknowledge(notice, f"customer:{door.customer}")

    async def perform(self, operation: Any) -> Json:
        """What a public process wants of us: a report, or an acknowledgement, by a link that is checked again."""
        if operation.what == "portal.acknowledge":
            return await self.acknowledge(operation.token, str(operation.told.get("notice", "")))
        return await self.bundle(operation.token, str(operation.told.get("notice", "")))


def bundle_of(kept: Kept, events: Sequence[Event]) -> dict[str, Any]:
    """``noout journal verify --bundle`` reads it; so can anybody who can hash."""
    return {
        "format": BUNDLE, "version": 1, "notice": kept.notice.id, "reports": dict(kept.reports),
        "chain": [encode(each) for each in events],
    }  # fmt: skip


def _door(digest: str, found: Mapping[str, Any], now: datetime) -> Door | None:
    door = Door(digest, str(found["customer"]), Purpose(found["purpose"]), datetime.fromisoformat(found["until"]))
    return door if door.until > now else None


def _told(kept: Kept, customer: Customer) -> Told:
    written = kept.reports.get(customer.language)
    report = decode(Report, written) if written is not None else None
    asked = customer.acknowledge_h and kept.notice.kind in BEFORE
    state = ("given" if kept.standing.acknowledged_by else "asked") if asked else ""
    return Told(kept.notice, kept.standing.at or kept.standing.drafted_at, report, state)


def _public(m: Maintenance, kept: Sequence[Kept], events: Sequence[Event]) -> Public:
    notices = [each.notice for each in kept]
    latest = notices[-1]
    done = {each.check for each in m.findings if each.answer is Answer.DONE}
    fault = m.fault.template if m.fault and m.fault.template in ("fans", "power", "memory") else "other"
    planned = all(each.kind in BEFORE for each in notices)
    return Public(
        reference=latest.reference,
        fault=fault,
        since=min(each.since for each in notices),
        until=max(each.until for each in notices),
        planned=planned,
        called_off=any(each.kind is Class.CALLED_OFF for each in notices),
        moves=0 if planned else sum(move.kind is MoveKind.LIVE for move in m.moved),
        checks=() if planned else tuple(check for check in TOLD_WORK if check in done),
        held=not planned and any(event.kind == Kind.OWNED and event.data.get("kind") in NOOUT for event in events),
        interrupted=any(each.kind is Class.INTERRUPTED for each in notices),
        repaired=any(each.kind is Class.REPAIRED for each in notices),
    )
