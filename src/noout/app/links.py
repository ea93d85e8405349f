"""A technician's link: made for one work order, for one person, until a time; opened by one device; revocable.

Its secret exists in one place only, the URL handed out. The journal's messages hold its hash, whom it is for, when it
ends, and the hash of the one device that opened it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from noout.domain.errors import NooutError, Refused
from noout.domain.journal import Message, MessageKind
from noout.domain.maintenance import Maintenance
from noout.ports import Clock

LINK_VALID_S = 12 * 3600.0
ID_CHARS = 12  # of its hash: what people call a link by


class NoSuchLink(NooutError):
    """Unknown, malformed, expired or revoked: never says which."""


class OtherDevice(Refused):
    """The link is good but was opened on another device first."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A link in the hands of its device. ``device`` is that device's secret, to be kept in its cookie."""

    maintenance: str
    technician: str
    link: str  # hash
    device: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link as operators see it. ``id``: the beginning of its hash, which opens nothing."""

    id: str
    technician: str
    made_at: datetime
    expires: datetime
    opened_at: datetime | None
    revoked_at: datetime | None

    def good(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires


@dataclass(frozen=True, slots=True)
class Live:
    """A link that is good now: its hash, and that of the one device that opened it."""

    link: str
    technician: str
    expires: datetime
    device: str | None


def live_links(messages: Sequence[Message], now: datetime) -> list[Live]:
    """Those of one maintenance, oldest first."""
    revoked = _when(messages, MessageKind.LINK_REVOKED)
    found = []
    for each in messages:
        if each.kind == MessageKind.LINK and (link := str(each.data["link"])) not in revoked:
            expires = datetime.fromisoformat(str(each.data["expires"]))
            if now < expires:
                found.append(Live(link, str(each.data["technician"]), expires, _bound_to(messages, link)))
    return found


@dataclass(frozen=True, slots=True)
class Links:
    """``post`` leaves a message for the run and wakes it; False = one of its key was there already."""

    clock: Clock
    maintenance: Callable[[str], Awaitable[Maintenance | None]]
    messages: Callable[[str], Awaitable[Sequence[Message]]]
    post: Callable[[str, Message], Awaitable[bool]]

    async def make_link(
        self, maintenance: str, technician: str, *, valid_s: float = LINK_VALID_S
    ) -> tuple[str, datetime]:
        """A new link's token and when it ends. Raises Refused when there is no work order or it is over."""
        m = await self.maintenance(maintenance)
        if m is None or m.work_order is None:
            raise Refused(
                f"{maintenance}: no work order has been issued", remedy="it is issued when the plan is approved"
            )
        if not m.open:
            raise Refused(f"{maintenance} is over", remedy="open a new maintenance")
        secret = secrets.token_urlsafe(24)
        now = self.clock.now()
        expires = now + timedelta(seconds=valid_s)
        data = {"link": hashed(secret), "technician": technician, "expires": expires.isoformat()}
        await self.post(m.id, Message(f"link/{hashed(secret)}", MessageKind.LINK, "noout", now, data))
        return f"{m.id}.{secret}", expires

    async def links(self, maintenance: str) -> list[Link]:
        """Every link that was made for this maintenance, oldest first."""
        messages = await self.messages(maintenance)
        opened = _when(messages, MessageKind.LINK_OPENED)
        revoked = _when(messages, MessageKind.LINK_REVOKED)
        found = []
        for each in messages:
            if each.kind == MessageKind.LINK:
                link = str(each.data["link"])
                expires = datetime.fromisoformat(str(each.data["expires"]))
                technician = str(each.data["technician"])
                found.append(
                    Link(link[:ID_CHARS], technician, each.at, expires, opened.get(link), revoked.get(link))
                )  # fmt: skip
        return found

    async def revoke_link(self, maintenance: str, id: str, actor: str) -> bool:
        """End a link at once, for good; False when it was revoked already. Refused when there is no such link."""
        messages = await self.messages(maintenance)
        links = [str(each.data["link"]) for each in messages if each.kind == MessageKind.LINK]
        link = next((each for each in links if each[:ID_CHARS] == id), None)
        if link is None:
            raise Refused(f"{maintenance} has no link {id}", remedy=f"noout workorder {maintenance} --links")
        now = self.clock.now()
        said = Message(f"link-revoked/{link}", MessageKind.LINK_REVOKED, actor, now, {"link": link})
        return await self.post(maintenance, said)

    async def enter(self, token: str, device: str | None) -> Visit:
        """Check a link. The first device to come is bound to it; another raises OtherDevice, a bad link NoSuchLink."""
        maintenance, _, secret = token.rpartition(".")
        link = hashed(secret)
        m = await self.maintenance(maintenance) if maintenance else None
        if m is None:
            raise NoSuchLink("no such link")
        messages = await self.messages(m.id)
        made = next(
            (each for each in messages if each.kind == MessageKind.LINK and each.data.get("link") == link), None
        )
        now = self.clock.now()
        over = made is None or datetime.fromisoformat(str(made.data["expires"])) <= now
        if made is None or over or link in _when(messages, MessageKind.LINK_REVOKED):
            raise NoSuchLink("no such link")
        device = device or secrets.token_urlsafe(24)
        visit = Visit(m.id, str(made.data["technician"]), link, device)
        bound = _bound_to(messages, link)
        if bound is None:
            data = {"link": link, "device": hashed(device)}
            opened = Message(f"link-opened/{link}", MessageKind.LINK_OPENED, actor_of(visit), now, data)
            if await self.post(m.id, opened):
                return visit
            bound = _bound_to(await self.messages(m.id), link)  # another device was faster
        if bound is None or not secrets.compare_digest(bound, hashed(device)):
            raise OtherDevice("this link was opened on another device", remedy="ask for a link of your own")
        return visit


def actor_of(visit: Visit) -> str:
    return f"technician:{visit.technician}"


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _when(messages: Sequence[Message], kind: MessageKind) -> dict[str, datetime]:
    return {str(each.data.get("link")): each.at for each in messages if each.kind == kind}


def _bound_to(messages: Sequence[Message], link: str) -> str | None:
    for message in messages:
        if message.kind == MessageKind.LINK_OPENED and message.data.get("link") == link:
            return str(message.data["device"])
    return None
