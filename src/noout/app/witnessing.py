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
from noout.domain.impact import Sample, Service
from noout.domain.maintenance import Maintenance
from noout.ports import Clock, Measurements, Prober
from noout.settings import ProbeSettings

log = logging.getLogger(__name__)

SLICE_S = 5.0  # how much is asked for in one go: the run hears of a silent service at most this much later,
SLICE_WALL_S = 0.4  # but never so often that asking is all this machine does (a lab's time runs faster)
SILENT_S = 8.0  # unanswered for so long after having answered: far above a blackout or one lost SYN


def services_of(guests: Sequence[Guest], settings: ProbeSettings) -> tuple[Service, ...]:
    """The services to ask: opt-in, by guest id or by tag; a guest without either is not measured."""
    found = []
    for guest in sorted(guests, key=lambda each: each.id):
        probe = settings.services.get(str(guest.id))
        if probe is None:
            tags = sorted(guest.tags & set(settings.tags))
            probe = settings.tags[tags[0]] if tags else None
        if probe is not None and not guest.template:
            found.append(Service(guest.id, guest.name, probe))
    return tuple(found)


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
    answered_through: datetime | None = None
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
        while not closing:
            state = await self.state()
            closing = not state.open
            every_s = self.settings.every_moving_s if state.pending else self.settings.every_s
            services = self.services(state)
            self.asked |= {service.guest for service in services}
            since = await self._slice(services, since, every_s)
            self.begun.set()

    async def _slice(self, services: Sequence[Service], since: datetime, every_s: float) -> datetime:
        slice_s = max(SLICE_S, SLICE_WALL_S / self.clock.wall_s(1.0))
        behind_s = max(0.0, (self.clock.now() - since).total_seconds())
        # A whole number of intervals: the next slice's first question is then one interval after this one's last.
        until = since + timedelta(seconds=every_s) * math.ceil((behind_s + slice_s) / every_s)
        try:
            samples = await self.prober.collect(services, since, until, every_s)
        except NooutError as error:
            # The prober's own trouble: a gap in the samples, which the ledger never takes for an interruption.
            log.warning("witness: %s", error)
            await self.clock.sleep(SLICE_S)
            return self.clock.now()
        self._note(samples)
        await self.measurements.add_samples(self.maintenance, samples)
        self.answered_through = until
        return until

    def _note(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            self.last_asked[sample.guest] = sample.at
            if sample.ok:
                self.last_good[sample.guest] = sample.at

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
