"""The heads of the journal's chains, published day after day where whoever could rewrite the journal cannot reach."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from noout.app.compose import Installation, in_clock_s
from noout.app.paging import wake
from noout.app.running import hand_over
from noout.domain.errors import NooutError, Superseded
from noout.domain.heads import Head, head_error, write_heads
from noout.domain.journal import Event, chain_error
from noout.ports import Journal

log = logging.getLogger(__name__)

STREAM = "heads"
PUBLISHED, FAILED = "heads.published", "heads.failed"
LOOK_EVERY_S, LOOK_WALL_S = 600.0, 5.0
AGAIN = timedelta(hours=1)  # after it failed
COMMAND_S_MAX = 60.0


async def heads_now(found: Installation) -> str:
    """The heads of all chains, as text."""
    at, journal = found.clock.now(), found.journal
    streams = await journal.streams()
    known = await journal.heads(streams)
    heads = []
    for stream in streams:
        last = (await journal.read(stream, known[stream].events - 1))[-1]  # of the whole chain only its end
        heads.append(Head(stream, last.seq, last.digest, at))
    return write_heads(heads, at)


async def breaks(journal: Journal, published: tuple[Head, ...] = ()) -> tuple[dict[str, list[Event]], list[str]]:
    """Every chain recomputed, and held against heads published before: the chains that are whole by stream, and a
    sentence for whatever is not."""
    whole: dict[str, list[Event]] = {}
    broken: list[str] = []
    streams = list(await journal.streams())
    for stream in streams:
        try:
            events = list(await journal.read(stream))
        except NooutError as error:
            broken.append(error.message)
            continue
        wrong = [said] if (said := chain_error(events)) is not None else []
        wrong += [said for head in published if head.stream == stream and (said := head_error(head, events))]
        broken += wrong
        if not wrong:
            whole[stream] = events
    gone = {head.stream: head for head in published if head.stream not in streams}
    return whole, broken + [said for head in gone.values() if (said := head_error(head, ()))]


@dataclass(slots=True)
class Publisher:
    """Publishes once a day, from one process of those that share the store, by file and by command."""

    found: Installation

    async def run(self) -> None:
        """Until cancelled."""
        found = self.found
        while True:
            try:
                await self.look()
                kept = timedelta(days=found.settings.probes.keep_days)
                await found.measurements.forget_samples(found.clock.now() - kept)
            except NooutError as error:
                log.warning("the journal's heads were not published: %s", error)
            await found.clock.sleep(max(LOOK_EVERY_S, in_clock_s(found.clock, LOOK_WALL_S)))

    async def look(self) -> bool:
        """Publish if it is due; True when it was done."""
        chosen, journal = self.found.settings.journal, self.found.journal
        if chosen.heads_file is None and not chosen.heads_command:
            return False
        own = await journal.read(STREAM)
        now = self.found.clock.now()
        wait = AGAIN if own and own[-1].kind == FAILED else timedelta(hours=chosen.heads_every_h)
        if own and now - own[-1].at < wait:
            return False
        if not await journal.streams():
            return False
        text = await heads_now(self.found)
        seq = own[-1].seq if own else 0
        told = {"digest": hashlib.sha256(text.encode()).hexdigest(), "heads": text.count("\n") - 2}
        try:  # said first: of several processes one does it
            await journal.append(STREAM, seq, PUBLISHED, told)
        except Superseded:
            return False
        failures = [why for why in (await self._to_file(text), await self._to_command(text)) if why]
        if failures:
            why = "; ".join(failures)
            await journal.append(STREAM, seq + 1, FAILED, {"why": why})
            if not own or own[-1].kind != FAILED:  # told once
                await wake(self.found, f"the journal's heads could not be published: {why}", maintenance="", node="")
        return not failures

    async def _to_file(self, text: str) -> str:
        chosen = self.found.settings.journal.heads_file
        if chosen is None:
            return ""
        path = self.found.settings.file(chosen)
        try:
            await asyncio.to_thread(_append, path, text)
        except OSError as error:
            return f"{path}: {error.strerror or error}"
        return ""

    async def _to_command(self, text: str) -> str:
        argv = self.found.settings.journal.heads_command
        return await hand_over(argv, text, COMMAND_S_MAX) if argv else ""


def _append(path: Path, text: str) -> None:
    """At the file's end, and on the disk when this returns. It names nodes: its owner alone reads it."""
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
