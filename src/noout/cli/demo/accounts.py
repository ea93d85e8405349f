"""noout's account of its moves beside that of clients that share nothing with its prober, and the guests' own word."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from noout.cli.demo.checks import After, Check
from noout.domain.errors import Broken
from noout.domain.impact import Experience, Sample
from noout.domain.maintenance import Moved, MoveKind
from noout.lab.real.clients import Silence, Talk, get, read
from noout.ports import Measurements

GUEST_S = 0.1  # for a guest to answer at all
AROUND_S = 0.5
DIRTY_MIB_S = 4  # of memory that each guest rewrites all the time, so that a write could be lost


def noout_says(told: Experience, samples: Sequence[Sample], theirs: Silence) -> Silence:
    """What noout tells of the same time: the interruption that shares most of it; where there is none, the two good
    answers around it."""
    spans = [
        (each.last_good.timestamp(), each.next_good.timestamp(), each.resolution_s)
        for each in told.interruptions
        if each.next_good is not None
    ]
    good = sorted(sample.at.timestamp() for sample in samples if sample.ok)
    spans += [(a, b, b - a) for a, b in pairwise(good) if all(b <= x or y <= a for x, y, _ in spans)]
    shared = [min(b, theirs.next_good) - max(a, theirs.last_good) for a, b, _ in spans]
    since, until, resolution_s = spans[shared.index(max(shared))]
    lags = [sample.lag_s for sample in samples if since <= sample.at.timestamp() <= until]
    return Silence(since, until, resolution_s, max(lags))


def apart_s(ours: Silence, theirs: Silence) -> float:
    """By how much two accounts of one pause differ beyond what both could resolve; 0.0 when they agree."""
    slack_s = ours.resolution_s + theirs.resolution_s + ours.lag_s + theirs.lag_s + GUEST_S
    off = max(abs(ours.last_good - theirs.last_good), abs(ours.next_good - theirs.next_good))
    return max(0.0, off - slack_s)


@dataclass
class Clients:
    """Guests by number, where they answer, and what they said of themselves at the beginning."""

    file: Path
    addresses: dict[int, str]
    measurements: Measurements
    began: dict[int, dict[str, Any]] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        argv = (sys.executable, "-m", "noout.lab.real.clients", str(self.file), *self.addresses.values())
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe)
        assert self.process.stdout is not None
        if await self.process.stdout.readline() != b"ready\n":
            raise Broken("the guests' clients did not start")
        for vmid, address in self.addresses.items():
            self.began[vmid] = json.loads(await get(address, f"/dirty/{DIRTY_MIB_S}"))

    async def checks(self, after: After) -> Sequence[Check]:
        """Ends the clients, asks each guest, and compares."""
        ended = {vmid: json.loads(await get(address, "/check")) for vmid, address in self.addresses.items()}
        talks = await self.end()
        return [self._whole(ended), self._held(talks, after), await self._agree(talks, after)]

    async def end(self) -> dict[str, dict[str, Talk]]:
        """What they asked and heard, by address; they ask nothing more."""
        assert self.process is not None
        await self.process.communicate(b"")  # without input, Python 3.11 leaves its stdin open
        return await asyncio.to_thread(read, self.file)

    def _whole(self, ended: dict[int, dict[str, Any]]) -> Check:
        wrong = []
        for vmid, told in ended.items():
            lost = told["lost"] + told["disk_lost"] + told["disk_errors"]
            wrong += [f"guest {vmid}: {lost} writes lost"] if lost else []
            wrong += [f"guest {vmid} was started anew"] if told["boot"] != self.began[vmid]["boot"] else []
        pages, blocks = (
            sum(told[what] - self.began[vmid][what] for vmid, told in ended.items())
            for what in ("pages_written", "disk_writes")
        )
        evidence = (
            f"{len(ended)} guests read everything again: {pages} pages, {blocks} blocks of disk written meanwhile"
        )
        ok = not wrong and pages > 0 and blocks > 0
        return Check("no guest lost a write or was started anew", ok, ", ".join(wrong) or evidence)

    def _held(self, talks: dict[str, dict[str, Talk]], after: After) -> Check:
        broken = sum(each["stream"].reconnects for each in talks.values())
        seen = sum(each.held_broken for each in after.experiences)
        asked = sum(len(each["stream"].answers) for each in talks.values())
        evidence = f"{len(talks)} kept by clients ({asked} answers): {broken} broke; of noout's own {seen}"
        return Check("no connection that was held open broke", broken == seen == 0 and asked > 0, evidence)

    async def _agree(self, talks: dict[str, dict[str, Talk]], after: After) -> Check:
        told = {each.guest: each for each in after.experiences if each.measured}
        live = [each for each in after.state.moved if each.kind is MoveKind.LIVE]
        lines, off = [], []
        for move in live:
            if move.guest not in told:
                off.append(f"{move.name}: not measured")
                continue
            ours, theirs = await self._both(told[move.guest], move, talks, after)
            lines.append(f"{move.name} {_ms(ours)} and {_ms(theirs)} ms")
            if (beyond := apart_s(ours, theirs)) > 0:
                off.append(f"{lines[-1]}: {beyond:.2f} s more than both could resolve")
        name = "what noout measured agrees with clients of another kind"
        return Check(name, not off and bool(live), ", ".join(off) or ", ".join(lines))

    async def _both(
        self, told: Experience, move: Moved, talks: dict[str, dict[str, Talk]], after: After
    ) -> tuple[Silence, Silence]:
        talk = talks[self.addresses[move.guest.vmid]]["udp"]
        theirs = talk.longest(move.started.timestamp() - AROUND_S, move.finished.timestamp() + AROUND_S)
        samples = await self.measurements.samples(after.state.id, move.guest)
        return noout_says(told, [each for each in samples if not each.held], theirs), theirs


def _ms(silence: Silence) -> str:
    return f"{(silence.next_good - silence.last_good) * 1000:.0f}"


@asynccontextmanager
async def clients(file: Path, addresses: dict[int, str], measurements: Measurements) -> AsyncIterator[Clients]:
    made = Clients(file, addresses, measurements)
    try:
        await made.start()
        yield made
    finally:
        if made.process is not None and made.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                made.process.kill()
            await made.process.wait()
