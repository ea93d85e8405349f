"""The prober of noout against real servers, pinned to one core: its own lateness, and what the ledger makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from noout.adapters.clock import SystemClock
from noout.adapters.probe import DirectProber
from noout.domain.cluster import GuestId
from noout.domain.impact import Experience, Interruption, Sample, Service
from noout.witness.ledger import experience
from noout.witness.packing import pack, unpack

CALM_EVERY_S, MOVING_EVERY_S = 1.0, 0.1
SLICE_S = 5.0
ROUNDED_S = 0.002  # a question's time is kept to the millisecond, both of them
TRAVEL_S = 0.008  # what a question may need to reach the server: silence may begin while one is under way


@dataclass
class Site:
    """``ports``: the calm services first."""

    process: subprocess.Popen[str]
    calm: list[Service]
    moving: list[Service]

    def command(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextlib.contextmanager
def site(calm: int, moving: int) -> Iterator[Site]:
    """The servers on the last core, this process on the first."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.witness.servers", str(calm), str(moving)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        os.sched_setaffinity(0, cores[:1])
    try:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        services = [
            Service(
                GuestId("bench", 100 + i),
                f"service-{i}",
                f"http://127.0.0.1:{port}/ status=200" if i >= calm and (i - calm) % 2 else f"tcp:127.0.0.1:{port}",
            )
            for i, port in enumerate(ports)
        ]
        yield Site(process, services[:calm], services[calm:])
    finally:
        os.sched_setaffinity(0, cores)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


@dataclass(frozen=True)
class Watched:
    """What the prober brought home, with the share of one core that it took and the time it took."""

    calm: Sequence[Sample]
    moving: Sequence[Sample]
    since: datetime
    until: datetime
    cpu_share: float

    def lags_ms(self) -> list[float]:
        return sorted(each.lag_s * 1000 for each in (*self.calm, *self.moving))

    def accounts(self, services: Sequence[Service], *, moving: bool) -> list[Experience]:
        by_guest: dict[GuestId, list[Sample]] = defaultdict(list)
        for each in self.moving if moving else self.calm:
            by_guest[each.guest].append(each)
        every_s = MOVING_EVERY_S if moving else CALM_EVERY_S
        return [experience(each, by_guest[each.guest], self.since, self.until, every_s, ()) for each in services]


async def watch(found: Site, seconds: float) -> Watched:
    """Ask all of them for so long, in slices as noout's witness does."""
    clock = SystemClock()
    prober = DirectProber(clock)

    async def ask(services: Sequence[Service], every_s: float) -> list[Sample]:
        kept: list[bytes] = []  # packed at once and in a thread, as by noout's store
        at, before = since, None
        while services and at < until:
            then = min(until, at + timedelta(seconds=SLICE_S))
            slice_ = asyncio.create_task(prober.collect(services, at, then, every_s))
            if before is not None:
                kept.append(await asyncio.to_thread(pack, await before))
            await clock.sleep((then - clock.now()).total_seconds())
            at, before = then, slice_  # its last answers may come later: the next one asks meanwhile
        if before is not None:
            kept.append(await asyncio.to_thread(pack, await before))
        return [sample for each in kept for sample in unpack(each)]

    began, cpu = time.monotonic(), time.process_time()
    since = clock.now()
    until = since + timedelta(seconds=seconds)
    calm, moving = await asyncio.gather(ask(found.calm, CALM_EVERY_S), ask(found.moving, MOVING_EVERY_S))
    share = (time.process_time() - cpu) / (time.monotonic() - began)
    await prober.close()
    return Watched(calm, moving, since, until, share)


@dataclass(frozen=True)
class Trial:
    """One silence that was kept, and what was told of it (None: it went unseen)."""

    http: bool
    since: datetime
    until: datetime
    told: Interruption | None

    @property
    def within_one_sample(self) -> bool:
        """Both ends: from the last good question to the silence, and from its end to the next good one."""
        if self.told is None or self.told.next_good is None:
            return False
        slack = timedelta(seconds=self.told.resolution_s + ROUNDED_S + TRAVEL_S)
        return abs(self.told.last_good - self.since) <= slack and abs(self.told.next_good - self.until) <= slack

    @property
    def error_ms(self) -> float | None:
        if self.told is None or self.told.length is None:
            return None
        return (self.told.length - (self.until - self.since)) / timedelta(milliseconds=1)


def trials(found: Site, seen: Watched, kept: Sequence[tuple[int, float, float]]) -> tuple[list[Trial], int]:
    """Each silence with the interruption that overlaps it; and how many interruptions belong to none."""
    told = {each.guest: list(each.interruptions) for each in seen.accounts(found.moving, moving=True)}
    made = []
    for number, since_s, until_s in kept:
        since, until = datetime.fromtimestamp(since_s, UTC), datetime.fromtimestamp(until_s, UTC)
        mine = told[found.moving[number].guest]
        hit = next((each for each in mine if each.last_good < until and (each.next_good or until) > since), None)
        if hit is not None:
            mine.remove(hit)
        made.append(Trial(number % 2 == 1, since, until, hit))
    return made, sum(map(len, told.values()))


def false_interruptions(found: Site, seen: Watched) -> list[tuple[str, Interruption]]:
    """Where no server fell silent, every interruption is a false one."""
    accounts = [*seen.accounts(found.calm, moving=False), *seen.accounts(found.moving, moving=True)]
    return [(each.name, gap) for each in accounts for gap in each.interruptions]


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that compute, as many on each core, whichever this process may use."""
    cores = range(os.cpu_count() or 1)
    others = [subprocess.Popen([sys.executable, "-c", "while True: sum(range(10000))"]) for _ in range(processes)]
    try:
        for number, each in enumerate(others):
            os.sched_setaffinity(each.pid, {cores[number % len(cores)]})
        yield
    finally:
        for each in others:
            each.kill()
            each.wait()
