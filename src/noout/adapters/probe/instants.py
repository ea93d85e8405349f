"""The Prober port over a prober that can be asked about instants, such as the lab's (``POST URL/probe``).

Used where virtual time runs faster than questions could be asked one by one. Only answers are taken: an instant the
prober says nothing about gives no sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from noout.adapters.http import AnswerLost, Channel, NotSent, Server
from noout.domain.errors import Broken, Retryable
from noout.domain.impact import Sample, Service
from noout.ports import Clock

AT_ONCE = 20_000  # services x instants in one request


class InstantProber:
    """``server``: the base URL to which ``/probe`` is added."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._channel = Channel(server)
        self._clock = clock

    async def collect(
        self, services: Sequence[Service], since: datetime, until: datetime, every_s: float
    ) -> Sequence[Sample]:
        if every_s <= 0:
            raise ValueError("every_s has to be positive")
        await self._clock.sleep((until - self._clock.now()).total_seconds())
        instants = _instants(since, until, every_s)
        samples: list[Sample] = []
        if not services:
            return samples
        for cluster in sorted({service.guest.cluster for service in services}):
            mine = [service for service in services if service.guest.cluster == cluster]
            for part in _parts(instants, max(1, AT_ONCE // len(mine))):
                samples += await self._ask(cluster, mine, part)
        return sorted(samples, key=lambda sample: (sample.at, sample.guest))

    async def close(self) -> None:
        await self._channel.close()

    async def _ask(self, cluster: str, services: Sequence[Service], at: Sequence[float]) -> list[Sample]:
        body = {"cluster": cluster, "services": [service.guest.vmid for service in services], "at": list(at)}
        address = self._channel.server.address
        try:
            answer = await self._channel.ask("POST", "/probe", json=body)
        except (NotSent, AnswerLost) as error:
            raise Retryable(f"the prober at {address} does not answer: {error}") from error
        document = answer.document()
        if answer.status != 200 or not isinstance(document.get("answers"), dict):
            told = document.get("error") or f"{answer.status} {answer.reason}"
            raise Broken(f"the prober at {address} refused: {told}", remedy="check [probes]")
        samples = []
        for service in services:
            answers = document["answers"].get(str(service.guest.vmid)) or ()
            for instant, ok in zip(at, answers, strict=False):
                if isinstance(ok, bool):
                    samples.append(Sample(service.guest, datetime.fromtimestamp(instant, UTC), ok))
        return samples


def _instants(since: datetime, until: datetime, every_s: float) -> list[float]:
    """``since`` exclusive, ``until`` inclusive; counted from ``since``, so that rounding does not add up."""
    every = timedelta(seconds=every_s)
    count = (until - since) // every
    return [(since + every * step).timestamp() for step in range(1, count + 1)]


def _parts(items: Sequence[float], size: int) -> Iterator[Sequence[float]]:
    return (items[start : start + size] for start in range(0, len(items), size))
