"""The technician's side of a maintenance: what may be done now, and the messages that say it was done.

Everything a technician sends has an id of the phone's making and counts once: what was answered to it is kept in the
store, and the same id gets the same answer, however often and in whatever order it comes again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from noout.adapters.pictures import BYTES_MAX, NotAPicture, Unfit, reencoded
from noout.adapters.store.photos import MemoryPhotos
from noout.app.links import Links, NoSuchLink, Visit, actor_of
from noout.app.touch import Sight, TouchVerdict, away, signed_off, verdict
from noout.domain.journal import Message, MessageKind
from noout.domain.maintenance import Json, Maintenance, Phase
from noout.domain.workorder import Answer, Check, WorkOrder
from noout.ports import Photos
from noout.tell.field import NOTHING, Declined, Phrase, phrase

SERIAL_TAIL = 4  # so many characters of the serial are shown; only who stands there can read the rest
NOTE_MAX = 2000
PART_MAX = 100
OPERATIONS_MAX = 2000  # of one link
PHOTOS_MAX = 60  # of one maintenance
PICTURE_BYTES_MAX = BYTES_MAX


@dataclass(frozen=True, slots=True)
class CheckLine:
    """``photos``: their digests, oldest first."""

    check: Check
    answer: Answer | None
    note: str
    part: str = ""
    photos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bench:
    """All the technician's page shows. ``why_not``: operation -> why it is not possible now (NOTHING = it is)."""

    work_order: WorkOrder
    phase: Phase
    verdict: TouchVerdict
    lines: tuple[CheckLine, ...]
    hands_on: bool
    signed_off: bool
    why_not: Mapping[str, Phrase]
    timezone: str = "UTC"  # in which its times are told

    @property
    def left(self) -> int:
        """Required checks without an answer."""
        return sum(line.check.required and line.answer is None for line in self.lines)

    @property
    def in_hand(self) -> bool:
        """Off, and with the technician: what is open may stay open while no answer comes."""
        return self.hands_on and not self.signed_off and not self.why_not["finding"]


@dataclass(frozen=True, slots=True)
class FieldWork(Links):
    """What technicians can do. Every operation returns False when the same one had come before, and raises Declined
    for what is refused; asked again under the same key, it refuses again."""

    look: Callable[[Maintenance], Awaitable[Sight]]
    photos: Photos = field(default_factory=MemoryPhotos)
    timezone: Callable[[str], str] = lambda cluster: "UTC"

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
        now_seen = verdict(m, await self.look(m), self.clock.now(), messages)
        return Bench(
            work_order=order,
            phase=m.phase,
            verdict=now_seen,
            lines=lines,
            hands_on=arrived,
            signed_off=given_back,
            why_not={
                "hands-on": _no_hands_on(m, arrived),
                "finding": _no_finding(m, given_back),
                "sign-off": _no_sign_off(m, given_back, lines),
                "not-today": _no_close_up(m, given_back, messages),
                "serial-again": NOTHING if now_seen.gone else phrase("no.alarm"),
            },
            timezone=self.timezone(m.node.cluster),
        )

    async def hands_on(self, visit: Visit, serial: str, key: str) -> bool:
        """The technician stands at the node and read this serial from its label, in full."""

        async def said(m: Maintenance, messages: Sequence[Message]) -> Mapping[str, Json]:
            _refuse(_no_hands_on(m, m.hands_on_at is not None or _waiting(m, messages, MessageKind.HANDS_ON)))
            return {"serial": _read(m, serial)}

        return await self._once(visit, MessageKind.HANDS_ON, key, said)

    async def serial_again(self, visit: Visit, serial: str, key: str) -> bool:
        """Another server went away, and this is the serial of the one before the technician: it is the right one."""

        async def said(m: Maintenance, messages: Sequence[Message]) -> Mapping[str, Json]:
            read = _read(m, serial)
            return {"serial": read, "away": away(m, await self.look(m))}

        return await self._once(visit, MessageKind.SERIAL_AGAIN, key, said)

    async def finding(self, visit: Visit, check: str, answer: Answer, note: str, key: str, part: str = "") -> bool:
        """An answer to one check; a later answer to the same check replaces it. ``part``: the number on what was put
        in."""

        async def said(m: Maintenance, messages: Sequence[Message]) -> Mapping[str, Json]:
            _refuse(_no_finding(m, signed_off(m, messages)))
            _on_the_list(m, check)
            if len(note) > NOTE_MAX or len(part) > PART_MAX:
                raise Declined(phrase("refused.note", n=NOTE_MAX), phrase("remedy.shorten"))
            data = {"check": check, "answer": answer.value, "note": note.strip()}
            return data | ({"part": part.strip()} if part.strip() else {})

        return await self._once(visit, MessageKind.FINDING, key, said)

    async def photo(self, visit: Visit, check: str, picture: bytes, key: str) -> bool:
        """A photo of one check. Only the picture itself is kept, drawn anew; the journal gets its digest."""

        async def said(m: Maintenance, messages: Sequence[Message]) -> Mapping[str, Json]:
            _refuse(_no_finding(m, signed_off(m, messages)))
            _on_the_list(m, check)
            taken = sum(each.kind == MessageKind.PHOTO for each in messages)
            if taken >= PHOTOS_MAX:
                raise Declined(phrase("refused.photos", n=taken), phrase("remedy.link"))
            if len(picture) > PICTURE_BYTES_MAX:
                raise Declined(phrase("refused.bytes", n=PICTURE_BYTES_MAX >> 20), phrase("remedy.photo"))
            try:
                kept = await reencoded(picture)
            except NotAPicture as error:
                raise Declined(_UNFIT[error.why](error.limit), phrase("remedy.photo")) from None
            digest = hashlib.sha256(kept).hexdigest()
            await self.photos.keep(m.id, digest, self.clock.now(), kept)
            return {"check": check, "photo": digest}

        return await self._once(visit, MessageKind.PHOTO, key, said)

    async def picture(self, visit: Visit, digest: str) -> bytes | None:
        """A photo of this maintenance as JPEG; None when there is none, or it was erased."""
        return await self.photos.find(visit.maintenance, digest)

    async def not_today(self, visit: Visit, why: str, key: str) -> bool:
        """It cannot be repaired today: the work ends, and the node goes back as it was."""

        async def said(m: Maintenance, messages: Sequence[Message]) -> Mapping[str, Json]:
            _refuse(_no_close_up(m, signed_off(m, messages), messages))
            if len(why) > NOTE_MAX:
                raise Declined(phrase("refused.note", n=NOTE_MAX), phrase("remedy.shorten"))
            return {"reason": "not repairable today" + (f": {why.strip()}" if why.strip() else "")}

        return await self._once(visit, MessageKind.CLOSE_UP, key, said)

    async def sign_off(self, visit: Visit, key: str) -> bool:
        """Hands clear: the node is noout's again. Refused while required checks are unanswered."""

        async def said(m: Maintenance, messages: Sequence[Message]) -> Mapping[str, Json]:
            lines = _lines(m, m.work_order, messages) if m.work_order else ()
            _refuse(_no_sign_off(m, signed_off(m, messages), lines))
            return {}

        return await self._once(visit, MessageKind.SIGN_OFF, key, said)

    async def _maintenance(self, visit: Visit) -> Maintenance:
        m = await self.maintenance(visit.maintenance)
        if m is None:
            raise NoSuchLink("no such link")
        return m

    async def _once(
        self,
        visit: Visit,
        kind: MessageKind,
        key: str,
        said: Callable[[Maintenance, Sequence[Message]], Awaitable[Mapping[str, Json]]],
    ) -> bool:
        """Look what was answered under this key; if nothing, decide, and keep the answer: a message for the run, or
        the refusal. Of two at the same moment the one kept first is answered to both."""
        m = await self._maintenance(visit)
        messages = await self.messages(m.id)
        mine = f"technician/{visit.link[:16]}/"
        if (before := _under(messages, mine + key)) is not None:
            return _answered(before, kind)
        if sum(each.key.startswith(mine) for each in messages) >= OPERATIONS_MAX:
            raise Declined(phrase("refused.many", n=OPERATIONS_MAX), phrase("remedy.link"))
        refusal: Declined | None = None
        try:
            data = await said(m, messages)
        except Declined as error:
            refusal = error
            why, remedy = ({"key": each.key, "fields": dict(each.fields)} for each in (error.why, error.what_to_do))
            data = {"what": kind.value, "why": why, "remedy": remedy}
        kept = MessageKind.TURNED_DOWN if refusal is not None else kind
        if await self.post(m.id, Message(mine + key, kept, actor_of(visit), self.clock.now(), data)):
            if refusal is not None:
                raise refusal
            return True
        first = _under(await self.messages(m.id), mine + key)
        assert first is not None
        return _answered(first, kind)


_UNFIT: Mapping[Unfit, Callable[[int], Phrase]] = {
    Unfit.UNREADABLE: lambda limit: phrase("refused.not-a-picture"),
    Unfit.KIND: lambda limit: phrase("refused.kind"),
    Unfit.PIXELS: lambda limit: phrase("refused.pixels", n=limit),
}


def _under(messages: Sequence[Message], key: str) -> Message | None:
    return next((each for each in messages if each.key == key), None)


def _answered(before: Message, kind: MessageKind) -> bool:
    """The answer that was given: False, for it is not new, or the same refusal."""
    if before.kind == kind:
        return False
    if before.kind != MessageKind.TURNED_DOWN or before.data["what"] != kind.value:
        raise Declined(phrase("refused.key"), phrase("remedy.reload"))
    why, remedy = (Phrase(str(each["key"]), each["fields"]) for each in (before.data["why"], before.data["remedy"]))
    raise Declined(why, remedy)


def _read(m: Maintenance, serial: str) -> str:
    return same_serial(serial, m.work_order.location.serial if m.work_order else "", m.node.name)


def _on_the_list(m: Maintenance, check: str) -> None:
    if m.work_order is None or check not in {each.key for each in m.work_order.checks}:
        raise Declined(phrase("refused.check", check=check), phrase("remedy.reload"))


def same_serial(read: str, known: str, node: str) -> str:
    """The node's serial when what was read is it (spaces, dashes and case aside); what was read when none is known.

    Raises Declined when it is another server's, or only the end that the page itself shows: opening the wrong server
    is the one mistake that must not happen.
    """
    typed = _plain(read)
    if len(typed) < SERIAL_TAIL:
        raise Declined(phrase("refused.short", read=typed or "–"), phrase("remedy.label"))
    if not known:
        return typed
    if typed != _plain(known) and _plain(known).endswith(typed):
        raise Declined(phrase("refused.tail"), phrase("remedy.label"))
    if typed != _plain(known):
        tail = known[-SERIAL_TAIL:].upper()
        raise Declined(phrase("refused.wrong", node=node, read=typed, tail=tail), phrase("remedy.find"))
    return known


def _plain(serial: str) -> str:
    return "".join(character for character in serial.upper() if character.isalnum())


def _no_hands_on(m: Maintenance, arrived: bool) -> Phrase:
    if arrived:
        return phrase("no.arrived")
    if m.phase is Phase.EVACUATED:
        return NOTHING
    if m.phase in (Phase.PROPOSED, Phase.PLANNED, Phase.EVACUATING):
        return phrase("no.guests", node=m.node.name)
    return phrase("no.over")


def _in_hand(m: Maintenance) -> bool:
    """Off and not back yet: while the work is called off too, for what was opened must be closed and given back."""
    return m.open and m.node_off_at is not None and m.node_on_at is None


def _no_finding(m: Maintenance, given_back: bool) -> Phrase:
    if given_back:
        return phrase("no.signed")
    return NOTHING if _in_hand(m) else phrase("no.closed-list", node=m.node.name)


def _no_sign_off(m: Maintenance, given_back: bool, lines: Sequence[CheckLine]) -> Phrase:
    if given_back:
        return phrase("no.signed")
    if not _in_hand(m):
        return phrase("no.not-yours", node=m.node.name)
    left = sum(line.check.required and line.answer is None for line in lines)
    if left and not (m.closing_up or m.aborting):
        return phrase("no.left.one") if left == 1 else phrase("no.left.many", n=left)
    return NOTHING


def _no_close_up(m: Maintenance, given_back: bool, messages: Sequence[Message]) -> Phrase:
    if given_back:
        return phrase("no.signed")
    if not _in_hand(m):
        return phrase("no.not-away", node=m.node.name)
    if m.closing_up or m.aborting or _waiting(m, messages, MessageKind.CLOSE_UP):
        return phrase("no.close")
    return NOTHING


def _refuse(why: Phrase) -> None:
    if why:
        raise Declined(why)


def _lines(m: Maintenance, order: WorkOrder, messages: Sequence[Message]) -> tuple[CheckLine, ...]:
    """Each check with its last answer; one that was sent but not yet read by the run counts already."""
    said = {each.check: (each.answer, each.note, each.part) for each in m.findings}
    photos = [(each.check, each.digest) for each in m.photos]
    for message in messages:
        data = message.data
        if message.key in m.messages_seen:
            continue
        if message.kind == MessageKind.FINDING:
            said[str(data["check"])] = Answer(data["answer"]), str(data.get("note", "")), str(data.get("part", ""))
        elif message.kind == MessageKind.PHOTO:
            photos.append((str(data["check"]), str(data["photo"])))
    lines = []
    for check in order.checks:
        answer, note, part = said.get(check.key, (None, "", ""))
        mine = dict.fromkeys(digest for key, digest in photos if key == check.key)
        lines.append(CheckLine(check, answer, note, part, tuple(mine)))
    return tuple(lines)


def _waiting(m: Maintenance, messages: Sequence[Message], kind: MessageKind) -> bool:
    return any(message.kind == kind and message.key not in m.messages_seen for message in messages)
