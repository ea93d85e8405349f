"""A maintenance as it goes, drawn once for everybody who watches it, and sent as what has changed.

Each part of the page is a part of the stream (server-sent events that carry htmx partials). What depends on who looks
is drawn once for each set of rights. A stream ends when its session does, and when the server does.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from noout.app.standing import touched_by
from noout.domain.access import Right
from noout.domain.customers import owner
from noout.domain.errors import NooutError
from noout.domain.journal import Event
from noout.domain.maintenance import Json, Maintenance
from noout.web.console.deeds import deeds
from noout.web.console.floor import Floor, Marks, floor, scale_of
from noout.web.console.rail import JOURNAL_LINES, Entry, empty_by, evidence_in, lines, rail, waits
from noout.web.console.strip import strip
from noout.web.console.view import render
from noout.web.services import Shown
from noout.witness.tally import Heard

log = logging.getLogger(__name__)

PARTS = ("bar", "rail", "owned", "floor", "felt", "aside", "ceph", "journal")
ACTS = "acts"  # the part that depends on who looks
TICK_WALL_S = 0.2
SOON_WALL_S = 0.001  # less than that is no waiting: the clock may not have moved by then
BEAT_WALL_S = 10.0  # a proxy closes what says nothing for long; and so often a session is looked at again
WATCHERS_MAX = 500  # of this process; beyond them a page asks by itself
Rights = frozenset[Right]


class Full(Exception):
    """More watch than one process serves."""


@dataclass(slots=True)
class Books:
    """What is read of one journal: only what is new, each time."""

    seq: int = 0
    lines: deque[Entry] = field(default_factory=lambda: deque(maxlen=JOURNAL_LINES))  # the newest first
    evidence: dict[str, Mapping[str, Json]] = field(default_factory=dict)

    def feed(self, events: list[Event]) -> None:
        if not events:
            return
        self.lines.extendleft(reversed(lines(events)))
        self.evidence |= evidence_in(events)
        self.seq = events[-1].seq


@dataclass(frozen=True, slots=True)
class Look:
    """All that the parts are drawn from, but who looks. ``same``: what it rests on, by which two are the same."""

    m: Maintenance
    what: Mapping[str, Any]
    same: tuple[Any, ...]

    def part(self, name: str) -> str:
        return render(f"run/{name}.html", **self.what)

    def acts(self, rights: Rights) -> str:
        return render("run/acts.html", m=self.m, deeds=deeds(self.m, rights))


@dataclass(slots=True)
class Frame:
    """What is shown at one moment, each part as text and as it is sent."""

    look: Look
    parts: dict[str, str]
    acts: dict[Rights, str] = field(default_factory=dict)

    def of(self, rights: Rights) -> dict[str, str]:
        if rights not in self.acts:
            self.acts[rights] = partial(ACTS, self.look.acts(rights))
        return self.parts | {ACTS: self.acts[rights]}


def partial(name: str, text: str) -> str:
    return f'<hx-partial hx-target="#run-{name}" hx-swap="innerMorph">{text}</hx-partial>'


def message(parts: list[str]) -> bytes:
    """One event of the stream (HTML Living Standard, 9.2.6)."""
    body = "".join(f"data: {line}\n" for part in parts for line in part.splitlines())
    return f"{body}\n".encode()


BEAT = b"event: beat\ndata: 1\n\n"
ENDED = b"event: ended\ndata: 1\nretry: 2000\n\n"


@dataclass(slots=True)
class Room:
    """Those who watch one maintenance."""

    watchers: int = 0
    frame: Frame | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Live:
    """``now``: the time; ``everybody``: all maintenances; ``ending``: set when the server stops."""

    def __init__(
        self,
        shown: Shown,
        now: Callable[[], datetime],
        everybody: Callable[[], Awaitable[Sequence[Maintenance]]],
        ending: asyncio.Event,
    ) -> None:
        self._shown, self._now, self._everybody, self._ending = shown, now, everybody, ending
        self._rooms: dict[str, Room] = {}
        self._books: dict[str, Books] = {}

    # --- looking ------------------------------------------------------------------------------------------------

    async def look(self, m: Maintenance, before: Look | None = None) -> Look:
        """``before`` itself where nothing has changed since."""
        shown = self._shown
        books = self._books.setdefault(m.id, Books())
        if books.seq < m.seq:
            books.feed(list(await shown.events(m.id, books.seq)))
        seen = await shown.overview.cluster(m.node.cluster)
        progress = await shown.progress(m)
        heard = await shown.heard(m)
        same = (m.seq, seen, progress, heard)
        if before is not None and _same(same, before.same):
            return before
        marks = Marks(shown.customers, scale_of(seen.state) if seen.state is not None else 1.0)
        floor_ = floor(m, seen.state, progress, marks) if seen.state is not None else Floor()
        what = {
            "m": m, "floor": floor_, "trouble": seen.trouble, "waits": waits(m), "lines": list(books.lines),
            "rail": rail(m, books.evidence, self._now()), "empty_by": empty_by(m, self._now()), "now": self._now(),
            "felt": felt(m, heard, shown), "longest": max((each.longest for each in heard), default=None),
            "strip": strip(m, seen.state, seen.ceph, await self._everybody()) if seen.ceph is not None else None,
        }  # fmt: skip
        return Look(m, what, same)

    async def frame(self, m: Maintenance) -> Frame:
        look = await self.look(m)
        return Frame(look, {name: partial(name, look.part(name)) for name in PARTS})

    # --- watching -----------------------------------------------------------------------------------------------

    async def stream(
        self, maintenance: str, rights: Rights, still: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """What has changed, as it changes. ``still``: whether whoever watches may go on. Raises Full at the start."""
        if sum(room.watchers for room in self._rooms.values()) >= WATCHERS_MAX:
            raise Full
        room = self._rooms.setdefault(maintenance, Room())
        room.watchers += 1
        if room.task is None or room.task.done():
            room.task = asyncio.create_task(self._draw(maintenance, room))
        sent: dict[str, str] = {}
        time = asyncio.get_running_loop().time
        due = time() + BEAT_WALL_S
        ending: asyncio.Task[Any] = asyncio.create_task(self._ending.wait())
        try:
            while not self._ending.is_set():
                changed = room.changed
                if room.frame is not None:
                    parts = room.frame.of(rights)
                    new = [text for name, text in parts.items() if sent.get(name) != text]
                    if new:
                        sent = parts
                        yield message(new)
                if time() >= due:
                    due = time() + BEAT_WALL_S
                    if not await still():
                        return
                    yield BEAT
                await _either(changed, ending, due - time())
            yield ENDED
        finally:
            ending.cancel()
            room.watchers -= 1
            if not room.watchers:
                self._leave(maintenance, room)

    def _leave(self, maintenance: str, room: Room) -> None:
        if room.task is not None:
            room.task.cancel()
        self._rooms.pop(maintenance, None)

    async def _draw(self, maintenance: str, room: Room) -> None:
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._redraw(maintenance, room)
            except NooutError as error:  # the page says by itself how old it is
                log.warning("%s is not drawn anew: %s", maintenance, error)
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(TICK_WALL_S - took, TICK_WALL_S / 5))

    async def _redraw(self, maintenance: str, room: Room) -> None:
        before = room.frame.look if room.frame is not None else None
        look = await self.look(await self._shown.state(maintenance), before)
        if look is before:
            return
        parts = {name: partial(name, look.part(name)) for name in PARTS}
        room.frame = Frame(look, parts)
        changed, room.changed = room.changed, asyncio.Event()
        changed.set()


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """What is kept is the same object as long as it is kept."""
    return all(a is b or (isinstance(a, int) and a == b) for a, b in zip(one, other, strict=True))


async def _either(changed: asyncio.Event, ending: asyncio.Task[Any], wall_s: float) -> None:
    """Until one of them comes, or the time is over."""
    waiting: asyncio.Task[Any] = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait({waiting, ending}, timeout=max(SOON_WALL_S, wall_s), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


@dataclass(frozen=True, slots=True)
class Felt:
    """What one customer's services were heard to do so far; ``heard``: of the guest with the longest silence."""

    name: str
    letters: str
    mark: int
    guests: int
    heard: Heard


def felt(m: Maintenance, heard: Sequence[Heard], shown: Shown) -> list[Felt]:
    """The customers whose guests are touched and asked, the longest silence first."""
    customers = list(shown.customers)
    groups: dict[str, list[Heard]] = {}
    whose = {guest.id: owner(customers, guest) for guest in touched_by(m)}
    for each in heard:
        customer = whose.get(each.guest)
        groups.setdefault(customer.key if customer else "", []).append(each)
    found = []
    for key, group in groups.items():
        customer = next((each for each in customers if each.key == key), None)
        name, mark = (customer.name, Marks(customers).number(customer)) if customer else ("Nobody's", 0)
        worst = max(group, key=lambda each: each.longest)
        found.append(Felt(name, "".join(word[0] for word in name.split()[:2]).upper(), mark, len(group), worst))
    return sorted(found, key=lambda each: each.heard.longest, reverse=True)
