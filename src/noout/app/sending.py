"""What was released leaves, by the ways that are on: once for each reader, tried again until it is taken, and told."""

from __future__ import annotations

import hashlib
import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Protocol
from urllib.parse import urlsplit

from noout.adapters.http import Server
from noout.adapters.notify.calendar import Entry, maintnote
from noout.adapters.notify.mail import Envelope, Mailer, compose
from noout.adapters.webhook import Hook, keys_of
from noout.app.compose import Installation
from noout.app.contacts import language_of, zone_of
from noout.app.outbox import Kept, Outbox
from noout.codec import decode, encode
from noout.domain.customers import Contact, Customer, Wants
from noout.domain.errors import NooutError, Refused, Retryable
from noout.domain.maintenance import Json
from noout.domain.notices import Class, Notice, State, Text
from noout.settings import secret

log = logging.getLogger(__name__)

DELIVERY = "delivery"  # kind of paper
AGAIN = tuple(timedelta(minutes=each) for each in (1, 5, 15, 60, 240, 720, 720))  # after each try that failed
LOOKED_BACK = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one reader by one way. ``state``: "waiting" (to be tried ``next_at``), "sent", "given up"."""

    notice: str
    customer: str
    channel: str
    to: str
    state: str = "waiting"
    tries: int = 0
    why: str = ""  # the last try's failure
    at: datetime | None = None  # of the last try
    next_at: datetime | None = None

    @property
    def key(self) -> str:
        return f"{self.notice}/{self.channel}/{self.to.lower()}"


class Post(Protocol):
    """Takes a mail: the configured server's, or a test's."""

    async def send(self, message: EmailMessage) -> None: ...


def mailer_of(found: Installation) -> Mailer | None:
    """None where no mail server is configured."""
    settings = found.settings
    mail = settings.tell.mail
    if mail is None:
        return None
    password = None
    if mail.password_file is not None:
        password = secret(settings, None, mail.password_file, "tell.mail.password_file")
    context = ssl.create_default_context(cafile=str(settings.file(mail.ca)) if mail.ca else None)
    return Mailer(mail.host, mail.port, mail.tls, context, mail.user, password)


def provider_of(found: Installation) -> str:
    """The provider as a domain: of its portal, its mail, or of nobody."""
    tell, serve = found.settings.tell, found.settings.serve
    host = urlsplit(tell.portal_url or serve.base_url).hostname
    return host or (tell.mail.sender.rpartition("@")[2] if tell.mail else "noout.invalid")


def outside(notice: Notice, text: Text) -> dict[str, Json]:
    """A notice as it may leave: nothing of it names a node, or is meant for the provider alone."""
    return {
        "format": "noout.message", "version": 1, "id": notice.id, "class": notice.kind.value,
        "customer": notice.customer, "maintenance": notice.reference, "number": notice.number,
        "supersedes": notice.supersedes, "made_at": notice.made_at.isoformat(), "since": notice.since.isoformat(),
        "until": notice.until.isoformat(), "services": [encode(each) for each in notice.services],
        "text": encode(text),
    }  # fmt: skip


@dataclass(slots=True)
class Sending:
    """``post``: takes mails; None where none is configured."""

    found: Installation
    post: Post | None = None
    hooks: Mapping[str, Hook] = field(default_factory=dict)  # by customer; made from the configuration where missing

    async def look(self) -> list[Delivery]:
        """Send what is due; the deliveries that were tried."""
        now = self.found.clock.now()
        tried: list[Delivery] = []
        for kept in await Outbox(self.found).all():
            standing = kept.standing
            fresh = standing.at is not None and now - standing.at <= LOOKED_BACK
            if standing.state is not State.RELEASED or standing.superseded_by or not fresh:
                continue
            for delivery in await self._wanted(kept):
                known = await self.found.papers.get(DELIVERY, delivery.key)
                one = decode(Delivery, known) if known is not None else delivery
                if one.state == "waiting" and (one.next_at is None or one.next_at <= now):
                    tried.append(await self._try(one, kept, now))
        return tried

    async def all(self, *, failed: bool = False) -> list[Delivery]:
        """``failed``: only those that were tried and not taken."""
        found = [decode(Delivery, each) for each in await self.found.papers.all(DELIVERY)]
        return [each for each in found if not failed or (each.state != "sent" and each.tries)]

    async def _wanted(self, kept: Kept) -> list[Delivery]:
        notice, tell = kept.notice, self.found.settings.tell
        on = set(tell.channels)
        if notice.kind is Class.INCIDENT:
            readers = [tell.account_manager] if tell.account_manager and "mail" in on else []
        else:
            contacts = await Outbox(self.found).contacts.of(notice.customer)
            digest = notice.kind is Class.DIGEST
            wanting = (Wants.EVERY, Wants.DIGEST) if digest else (Wants.EVERY,)
            way = "digest" if digest else "mail"
            readers = [each.mail for each in contacts if each.wants in wanting and way in on]
        wanted = [Delivery(notice.id, notice.customer, "mail", each) for each in readers] if self.post else []
        if "webhook" in on and notice.customer in tell.webhooks and notice.kind is not Class.INCIDENT:
            host = urlsplit(tell.webhooks[notice.customer].url).netloc
            wanted.append(Delivery(notice.id, notice.customer, "webhook", host))
        return wanted

    async def _try(self, one: Delivery, kept: Kept, now: datetime) -> Delivery:
        """One try. What became of it is kept before anything else is tried."""
        tries, state, why, next_at = one.tries + 1, "sent", "", None
        try:
            await (self._mail if one.channel == "mail" else self._hook)(one, kept.notice)
        except Retryable as error:
            why = error.message
            state = "waiting" if one.tries < len(AGAIN) else "given up"
            next_at = now + AGAIN[one.tries] if state == "waiting" else None
        except Refused as error:
            why, state = error.message, "given up"
        tried = Delivery(one.notice, one.customer, one.channel, one.to, state, tries, why, now, next_at)
        await self.found.papers.put(DELIVERY, tried.key, tried.customer, encode(tried))
        if why:
            log.warning("%s by %s: %s (%s)", one.notice, one.channel, why, state)
        return tried

    async def _mail(self, one: Delivery, notice: Notice) -> None:
        settings = self.found.settings
        assert self.post is not None and settings.tell.mail is not None
        customer = Outbox(self.found).contacts.customer(notice.customer)
        reader = await self._reader(one, customer)
        text = notice.text_for(language_of(reader, customer), zone_of(reader, customer))
        attached: dict[str, tuple[str, bytes]] = {}
        if "maintnote" in settings.tell.channels and notice.services:
            attached["maintenance.ics"] = ("text/calendar", maintnote(Entry(notice, text), provider_of(self.found)))
        mail = settings.tell.mail
        envelope = Envelope(
            f"{notice.id}.{hash_of(one.to)}", mail.sender, settings.serve.provider, one.to, reader.name,
            mail.reply_to, attached,
        )  # fmt: skip
        await self.post.send(compose(text, envelope))

    async def _reader(self, one: Delivery, customer: Customer) -> Contact:
        known = await Outbox(self.found).contacts.of(customer.key)
        return next((each for each in known if each.mail == one.to), Contact(customer.key, one.to))

    async def _hook(self, one: Delivery, notice: Notice) -> None:
        settings = self.found.settings
        customer = Outbox(self.found).contacts.customer(notice.customer)
        hook = self.hooks.get(customer.key)
        if hook is None:
            chosen = settings.tell.webhooks[customer.key]
            key = f"tell.webhooks.{customer.key}.secret_file"
            keys = keys_of(secret(settings, chosen.secret, chosen.secret_file, key))
            parts = urlsplit(chosen.url)
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            hook = Hook(Server(f"{parts.scheme}://{parts.netloc}"), target, keys)
        text = notice.text_for(customer.language, customer.timezone)
        body = json.dumps(outside(notice, text), ensure_ascii=False).encode()
        try:
            await hook.send(notice.id, body)
        except NooutError as error:
            raise Retryable(error.message) from error


def hash_of(address: str) -> int:
    """A number for a Message-ID: the address itself is nobody's business there."""
    return int(hashlib.sha256(address.lower().encode()).hexdigest()[:12], 16)
