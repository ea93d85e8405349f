"""The witness at work: asks the services of one maintenance, keeps every answer, and says who fell silent."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from noout.domain.cluster import Guest, GuestId
from noout.domain.errors import NooutError
from noout.domain.impact import SILENT_S, Sample, Service
from noout.domain.maintenance import Maintenance
from noout.ports import Clock, Measurements, Prober
from noout.settings_probes import ProbeSettings, listed
from noout.steps.checks import fallen_silent

log = logging.getLogger(__name__)

SLICE_S = 5.0  # how much is asked for in one go: the run hears of a silent service at most this much later,
SLICE_WALL_S = 0.4  # but never so often that asking is all this machine does (a lab's time runs faster)
LAG_S_MAX = 0.5  # a question that the prober itself was later with says nothing of a silence
JUST_MOVED = timedelta(seconds=15)


def services_of(guests: Sequence[Guest], settings: ProbeSettings) -> tuple[Service, ...]:
    """The services to ask: opt-in, by guest id, tag or pool; a guest without any is not measured.

    Of a guest's several questions the held connection comes first and the one that is answered last.
    """
    found = []
    for guest in sorted(guests, key=lambda each: each.id):
        probes = settings.services.get(str(guest.id))
        if probes is None:
            tags = sorted(guest.tags & set(settings.tags))
            probes = settings.tags[tags[0]] if tags else settings.pools.get(guest.pool or "")
        if probes is not None and not guest.template:
            texts = sorted(listed(probes), key=lambda text: not text.startswith("held:"))
            found += [Service(guest.id, guest.name, text, guest.addresses) for text in texts]
    return tuple(found)


def on_the_way(state: Maintenance, now: datetime) -> frozenset[GuestId]:
    """The guests that move, or have just moved: they are asked more often than the others."""
    pending = {each.action.subject for each in state.pending}
    moving = {guest for guest in map(_guest, pending) if guest is not None}
    return frozenset(moving | {each.guest for each in state.moved if now - each.finished <= JUST_MOVED})


def _guest(subject: str) -> GuestId | None:
    try:
        return GuestId.parse(subject)
    except ValueError:
        return None


def dense_s(settings: ProbeSettings) -> float:
    """The interval while a guest moves: the other one is a whole number of it."""
    return settings.every_s / math.ceil(settings.every_s / settings.every_moving_s)


@dataclass(slots=True)
class Witness:
    """Asks the services of one maintenance from before its first effect until it is closed."""

    maintenance: str
    services: Callable[[Maintenance], Sequence[Service]]  # whom to ask now: a new plan may touch more guests
    prober: Prober
    measurements: Measurements
    clock: Clock
    settings: ProbeSettings
    state: Callable[[], Awaitable[Maintenance]]
    last_good: dict[GuestId, datetime] = field(default_factory=dict)
    last_asked: dict[GuestId, datetime] = field(default_factory=dict)
    asked: set[GuestId] = field(default_factory=set)
    alarm: Callable[[Maintenance, str], Awaitable[None]] | None = None
    alarms: set[asyncio.Future[None]] = field(default_factory=set)
    paged: set[GuestId] = field(default_factory=set)  # whose silence somebody was woken for
    begun: asyncio.Event = field(default_factory=asyncio.Event)  # everybody has been asked once

    async def run(self) -> None:
        """Ask until the maintenance is closed (then one slice more, so that the last move is covered)."""
        try:
            await self._ask()
        finally:
            self.begun.set()

    async def _ask(self) -> None:
        since = self.clock.now()
        closing = False
        before: asyncio.Task[None] | None = None
        state = await self.state()
        try:
            while not closing:
                state = await self._anew(state)
                closing = not state.open
                until = self._end(since)
                # The last answers of one slice may come a second after its end: the next one asks meanwhile.
                slice_ = asyncio.create_task(self._slice(state, since, until, before))
                if before is not None:
                    await before
                await asyncio.wait({slice_}, timeout=self.clock.wall_s((until - self.clock.now()).total_seconds()))
                await self.clock.sleep((until - self.clock.now()).total_seconds())  # it ended early, in trouble
                before, since = slice_, until
            if before is not None:
                await before
        finally:
            if before is not None:
                before.cancel()

    async def _anew(self, known: Maintenance) -> Maintenance:
        """As it is now; as it was last known where the store does not answer: customers are asked all the same."""
        try:
            return await self.state()
        except NooutError as error:
            log.warning("witness: %s", error)
            return known

    def _end(self, since: datetime) -> datetime:
        """A whole number of intervals: the next slice's first question is then one interval after this one's last."""
        slice_s = max(SLICE_S, SLICE_WALL_S / self.clock.wall_s(1.0))
        behind_s = max(0.0, (self.clock.now() - since).total_seconds())
        every_s = self.settings.every_s
        return since + timedelta(seconds=every_s) * math.ceil((behind_s + slice_s) / every_s)

    async def _slice(
        self, state: Maintenance, since: datetime, until: datetime, before: asyncio.Task[None] | None
    ) -> None:
        services = self.services(state)
        moving = on_the_way(state, since)
        self.asked |= {service.guest for service in services}
        told = await asyncio.gather(
            *(
                self.prober.collect(some, since, until, every_s)
                for some, every_s in (
                    ([each for each in services if each.guest not in moving], self.settings.every_s),
                    ([each for each in services if each.guest in moving], dense_s(self.settings)),
                )
                if some
            ),
            return_exceptions=True,
        )
        if before is not None:
            await before
        samples: list[Sample] = []
        for each in told:
            if isinstance(each, NooutError):
                # The prober's own trouble: a gap in the samples, which the ledger never takes for an interruption.
                log.warning("witness: %s", each)
            elif isinstance(each, BaseException):
                raise each
            else:
                samples += each
        self._note(samples)
        try:
            await self.measurements.add_samples(self.maintenance, samples)
        except NooutError as error:
            log.warning("witness: %s", error)
        self.begun.set()
        await self._alarm()

    def _note(self, samples: Sequence[Sample]) -> None:
        """Whoever hears an answer, from wherever, has heard it; nobody is silent to a prober that was late itself."""
        for sample in sorted(samples, key=lambda each: each.at):
            if sample.held or (not sample.ok and sample.lag_s > LAG_S_MAX):
                continue
            self.last_asked[sample.guest] = sample.at
            if sample.ok:
                self.last_good[sample.guest] = sample.at

    async def _alarm(self) -> None:
        """Wake somebody as soon as a guest that was moved has fallen silent: its task said OK, its customer is down.

        Once for each silence. The run does not go on by itself either: it asks ``silent`` before each step.
        """
        if self.alarm is None or not self.last_asked:
            return
        try:
            state = await self.state()
        except NooutError as error:
            log.warning("witness: %s", error)
            return
        silent = await self.silent(state)
        self.paged &= silent
        for blocker in fallen_silent(state, silent - self.paged, self.clock.now()):
            self.paged.add(GuestId.parse(blocker.subject))
            task = asyncio.ensure_future(self.alarm(state, blocker.message))  # nobody waits for a command
            self.alarms.add(task)
            task.add_done_callback(self.alarms.discard)

    async def answered(self) -> dict[GuestId, datetime | None]:
        """Whose service is asked, and when it last answered (None: not yet). Waits until all have been asked once:
        before that nobody knows who can be watched, neither at the beginning nor after a restart."""
        await self.begun.wait()
        return {guest: self.last_good.get(guest) for guest in self.asked}

    async def silent(self, state: Maintenance) -> frozenset[GuestId]:
        """Guests that answered before and do not now, leaving out those that are down or moving by our own doing."""
        excused = {owned.subject for owned in state.owned if owned.kind == "guest-down"}
        excused |= {pending.action.subject for pending in state.pending}
        return frozenset(
            guest
            for guest, asked in self.last_asked.items()
            if guest in self.last_good
            and (asked - self.last_good[guest]).total_seconds() >= SILENT_S
            and str(guest) not in excused
        )
