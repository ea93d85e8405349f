"""The technician's side of a maintenance: links, what may be done now, and the messages that say it was done.

A link's secret exists in one place only, the URL handed out; the journal's messages hold its hash, whom it is for,
when it ends, and the hash of the one device that opened it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from noout.app.touch import Sight, TouchVerdict, signed_off, verdict
from noout.domain.errors import NooutError, Refused
from noout.domain.journal import Message, MessageKind
from noout.domain.maintenance import Json, Maintenance, Phase
from noout.domain.workorder import Answer, Check, WorkOrder
from noout.ports import Clock

LINK_VALID_S = 12 * 3600.0
SERIAL_TAIL = 4  # so many characters of the serial are shown; only who stands there can read the rest
_NOTE_MAX = 2000


class NoSuchLink(NooutError):
    """Unknown, malformed or expired: never says which."""


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
class CheckLine:
    check: Check
    answer: Answer | None
    note: str


@dataclass(frozen=True, slots=True)
class Bench:
    """All the technician's page shows. ``why_not``: operation -> why it is not possible now ("" = it is)."""

    work_order: WorkOrder
    phase: Phase
    verdict: TouchVerdict
    lines: tuple[CheckLine, ...]
    hands_on: bool
    signed_off: bool
    why_not: Mapping[str, str]

    @property
    def left(self) -> int:
        """Required checks without an answer."""
        return sum(line.check.required and line.answer is None for line in self.lines)


@dataclass(frozen=True, slots=True)
class FieldWork:
    """What technicians can do. ``post`` leaves a message for the run and wakes it; False = it was there already."""

    clock: Clock
    maintenance: Callable[[str], Awaitable[Maintenance | None]]
    messages: Callable[[str], Awaitable[Sequence[Message]]]
    post: Callable[[str, Message], Awaitable[bool]]
    look: Callable[[Maintenance], Awaitable[Sight]]

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
        data = {"link": _hash(secret), "technician": technician, "expires": expires.isoformat()}
        await self.post(m.id, Message(f"link/{_hash(secret)}", MessageKind.LINK, "noout", now, data))
        return f"{m.id}.{secret}", expires

    async def enter(self, token: str, device: str | None) -> Visit:
        """Check a link. The first device to come is bound to it; another raises OtherDevice, a bad link NoSuchLink."""
        maintenance, _, secret = token.rpartition(".")
        link = _hash(secret)
        m = await self.maintenance(maintenance) if maintenance else None
        if m is None:
            raise NoSuchLink("no such link")
        messages = await self.messages(m.id)
        made = next(
            (each for each in messages if each.kind == MessageKind.LINK and each.data.get("link") == link), None
        )
        now = self.clock.now()
        if made is None or datetime.fromisoformat(str(made.data["expires"])) <= now:
            raise NoSuchLink("no such link")
        device = device or secrets.token_urlsafe(24)
        visit = Visit(m.id, str(made.data["technician"]), link, device)
        bound = _bound_to(messages, link)
        if bound is None:
            data = {"link": link, "device": _hash(device)}
            opened = Message(f"link-opened/{link}", MessageKind.LINK_OPENED, _actor(visit), now, data)
            if await self.post(m.id, opened):
                return visit
            bound = _bound_to(await self.messages(m.id), link)  # another device was faster
        if bound is None or not secrets.compare_digest(bound, _hash(device)):
            raise OtherDevice("this link was opened on another device", remedy="ask for a link of your own")
        return visit

    async def bench(self, visit: Visit) -> Bench:
        """The page's state, with one fresh look at the node. Raises NoSuchLink when the work order is gone."""
        m = await self._maintenance(visit)
        order = m.work_order
        if order is None:
            raise NoSuchLink("no such link")
        messages = await self.messages(m.id)
        lines = _lines(m, order, messages)
        given_back = signed_off(m, messages)
        arrived = m.hands_on_at is not None or _waiting(m, messages, MessageKind.HANDS_ON)
        sight = await self.look(m)
        return Bench(
            work_order=order,
            phase=m.phase,
            verdict=verdict(m, sight, self.clock.now(), messages),
            lines=lines,
            hands_on=arrived,
            signed_off=given_back,
            why_not={
                "hands-on": _no_hands_on(m, arrived),
                "finding": _no_finding(m, given_back),
                "sign-off": _no_sign_off(m, given_back, lines),
            },
        )

    async def hands_on(self, visit: Visit, serial: str, key: str) -> bool:
        """The technician stands at the node and read this serial from its label, in full.

        Returns False when the same message had come before. Raises Refused for a wrong serial or moment.
        """
        m = await self._maintenance(visit)
        if await self._repeated(visit, key):
            return False
        messages = await self.messages(m.id)
        _refuse(_no_hands_on(m, m.hands_on_at is not None or _waiting(m, messages, MessageKind.HANDS_ON)))
        known = m.work_order.location.serial if m.work_order else ""
        return await self._say(visit, MessageKind.HANDS_ON, key, {"serial": same_serial(serial, known, m.node.name)})

    async def finding(self, visit: Visit, check: str, answer: Answer, note: str, key: str) -> bool:
        """An answer to one check; a later answer to the same check replaces it. Raises Refused."""
        m = await self._maintenance(visit)
        if await self._repeated(visit, key):
            return False
        _refuse(_no_finding(m, signed_off(m, await self.messages(m.id))))
        if m.work_order is None or check not in {each.key for each in m.work_order.checks}:
            raise Refused(f"{check!r} is not on this checklist", remedy="open the page again")
        if len(note) > _NOTE_MAX:
            raise Refused(f"the note is longer than {_NOTE_MAX} characters", remedy="shorten it")
        data = {"check": check, "answer": answer.value, "note": note.strip()}
        return await self._say(visit, MessageKind.FINDING, key, data)

    async def sign_off(self, visit: Visit, key: str) -> bool:
        """Hands clear: the node is noout's again. Raises Refused while required checks are unanswered."""
        m = await self._maintenance(visit)
        if await self._repeated(visit, key):
            return False
        messages = await self.messages(m.id)
        lines = _lines(m, m.work_order, messages) if m.work_order else ()
        _refuse(_no_sign_off(m, signed_off(m, messages), lines))
        return await self._say(visit, MessageKind.SIGN_OFF, key, {})

    async def _maintenance(self, visit: Visit) -> Maintenance:
        m = await self.maintenance(visit.maintenance)
        if m is None:
            raise NoSuchLink("no such link")
        return m

    async def _repeated(self, visit: Visit, key: str) -> bool:
        wanted = _message_key(visit, key)
        return any(message.key == wanted for message in await self.messages(visit.maintenance))

    async def _say(self, visit: Visit, kind: MessageKind, key: str, data: Mapping[str, Json]) -> bool:
        message = Message(_message_key(visit, key), kind, _actor(visit), self.clock.now(), data)
        return await self.post(visit.maintenance, message)


def same_serial(read: str, known: str, node: str) -> str:
    """The node's serial when what was read is it (spaces, dashes and case aside); what was read when none is known.

    Raises Refused when it is another server's, or only the end that the page itself shows: opening the wrong server is
    the one mistake that must not happen.
    """
    typed = _plain(read)
    if len(typed) < SERIAL_TAIL:
        raise Refused(f"that is too short for a serial: {typed or 'nothing'}", remedy="read it from the label")
    if not known:
        return typed
    if typed != _plain(known) and _plain(known).endswith(typed):
        raise Refused(
            "that is only the end of the serial, which this page shows", remedy="read all of it from the label"
        )
    if typed != _plain(known):
        raise Refused(
            f"DO NOT TOUCH: this is not {node}. You read {typed}; {node} ends in {known[-SERIAL_TAIL:].upper()}",
            remedy="find the right server and read its label",
        )
    return known


def _plain(serial: str) -> str:
    return "".join(character for character in serial.upper() if character.isalnum())


def _no_hands_on(m: Maintenance, arrived: bool) -> str:
    if arrived:
        return "you are at the node already"
    if m.phase is Phase.EVACUATED:
        return ""
    if m.phase in (Phase.PROPOSED, Phase.PLANNED, Phase.EVACUATING):
        return f"guests are still leaving {m.node.name}; wait until they have left"
    return "this work is over"


def _in_hand(m: Maintenance) -> bool:
    """Off and not back yet: while the work is called off too, for what was opened must be closed and given back."""
    return m.open and m.node_off_at is not None and m.node_on_at is None


def _no_finding(m: Maintenance, given_back: bool) -> str:
    if given_back:
        return "you signed off already"
    return "" if _in_hand(m) else f"the checklist opens when {m.node.name} is off and its data held"


def _no_sign_off(m: Maintenance, given_back: bool, lines: Sequence[CheckLine]) -> str:
    if given_back:
        return "you signed off already"
    if not _in_hand(m):
        return f"it is not yours to give back: {m.node.name} has not been handed to you, or not any more"
    left = [line.check.text for line in lines if line.check.required and line.answer is None]
    if left and not (m.closing_up or m.aborting):
        return f"{len(left)} check{'s' if len(left) != 1 else ''} left: {left[0]}" + (" …" if len(left) > 1 else "")
    return ""


def _refuse(why: str) -> None:
    if why:
        raise Refused(why)


def _lines(m: Maintenance, order: WorkOrder, messages: Sequence[Message]) -> tuple[CheckLine, ...]:
    """Each check with its last answer; one that was sent but not yet read by the run counts already."""
    said = {finding.check: (finding.answer, finding.note) for finding in m.findings}
    for message in messages:
        if message.kind == MessageKind.FINDING and message.key not in m.messages_seen:
            said[str(message.data["check"])] = (Answer(message.data["answer"]), str(message.data.get("note", "")))
    return tuple(CheckLine(check, *said.get(check.key, (None, ""))) for check in order.checks)


def _waiting(m: Maintenance, messages: Sequence[Message], kind: MessageKind) -> bool:
    return any(message.kind == kind and message.key not in m.messages_seen for message in messages)


def _bound_to(messages: Sequence[Message], link: str) -> str | None:
    for message in messages:
        if message.kind == MessageKind.LINK_OPENED and message.data.get("link") == link:
            return str(message.data["device"])
    return None


def _actor(visit: Visit) -> str:
    return f"technician:{visit.technician}"


def _message_key(visit: Visit, key: str) -> str:
    return f"technician/{visit.link[:16]}/{key}"


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
