"""The Prober port for real services: a TCP connection each ``every_s``; every sample knows how late it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from noout.domain.cluster import GuestId
from noout.domain.impact import Sample, Service
from noout.ports import Clock

log = logging.getLogger(__name__)

TIMEOUT_S = 1.0


class TcpProber:
    """``probe`` of a service is ``tcp:HOST:PORT``, or ``tcp:PORT`` where ``addresses`` knows the guest's.

    A service without an address is not asked: it gets no samples, and so counts as not measured. An instant that is
    already over by more than one interval is skipped, never made up.
    """

    def __init__(
        self, clock: Clock, addresses: Mapping[GuestId, str] | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._clock = clock
        self._addresses = dict(addresses or {})
        self._timeout_s = timeout_s
        self._told: set[GuestId] = set()

    async def collect(
        self, services: Sequence[Service], since: datetime, until: datetime, every_s: float
    ) -> Sequence[Sample]:
        if every_s <= 0:
            raise ValueError("every_s has to be positive")
        every = timedelta(seconds=every_s)
        targets = [(service, target) for service in services if (target := self._target(service)) is not None]
        asked: list[asyncio.Task[Sample]] = []
        try:
            due = since + every
            while due <= until:
                await self._clock.sleep((due - self._clock.now()).total_seconds())
                if self._clock.now() - due < every:
                    asked += [asyncio.create_task(self._ask(service.guest, *to, due)) for service, to in targets]
                due += every
            await self._clock.sleep((until - self._clock.now()).total_seconds())
            return await asyncio.gather(*asked)
        finally:
            for task in asked:
                task.cancel()

    def _target(self, service: Service) -> tuple[str, int] | None:
        target = parse_target(service.probe, self._addresses.get(service.guest))
        if target is None and service.guest not in self._told:
            self._told.add(service.guest)
            log.warning(
                "%s (%s) is not measured: %r names no address; write tcp:HOST:PORT",
                service.guest, service.name, service.probe,
            )  # fmt: skip
        return target

    async def _ask(self, guest: GuestId, host: str, port: int, due: datetime) -> Sample:
        at = self._clock.now()
        lag_s = max(0.0, (at - due).total_seconds())
        try:
            async with asyncio.timeout(self._timeout_s):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError, UnicodeError):  # the last: a name that cannot be one
            return Sample(guest, at, False, lag_s)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return Sample(guest, at, True, lag_s)


def parse_target(probe: str, address: str | None) -> tuple[str, int] | None:
    """``tcp:HOST:PORT`` or ``tcp:PORT`` with a known address -> (host, port); None for anything else."""
    scheme, _, rest = probe.partition(":")
    host, _, port = rest.rpartition(":")
    host = host.strip("[]") or (address or "")
    if scheme != "tcp" or not host or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return host, int(port)
