"""The Prober port over another noout that asks from where it stands (``noout probe``), and several probers as one."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from noout.adapters.http import AnswerLost, Channel, NotSent, Server
from noout.domain.errors import Broken, NooutError, Retryable
from noout.domain.impact import Sample, Service
from noout.ports import Clock, Prober
from noout.witness.packing import unpack

log = logging.getLogger(__name__)

SPARE_S = 10.0  # for the last answers, and the way back
BYTES_MAX = 64 << 20
MS = timedelta(milliseconds=1)


class RemoteProber:
    """``name``: the vantage point, in every sample.

    Its clock is not ours. What it says of when it began and ended lies between our sending and our receiving: so the
    difference is known to within half the time that both ways took, and that much every sample is told to be late.
    """

    def __init__(self, name: str, server: Server, token: str, clock: Clock) -> None:
        self.name, self._clock = name, clock
        self._channel = Channel(server, lambda: {"Authorization": f"Bearer {token}"})

    async def collect(
        self, services: Sequence[Service], since: datetime, until: datetime, every_s: float
    ) -> Sequence[Sample]:
        sent = self._clock.now()
        body = {
            "services": [
                {"guest": str(each.guest), "name": each.name, "probe": each.probe, "addresses": list(each.addresses)}
                for each in services
            ],
            "began_s_ago": (sent - since).total_seconds(),
            "seconds": (until - since).total_seconds(),
            "every_s": every_s,
        }
        wait_s = max(0.0, (until - sent).total_seconds()) + SPARE_S
        try:
            answer = await self._channel.ask(
                "POST",
                "/probe/v1",
                json=body,
                read_timeout_s=wait_s,
                whole_s=wait_s + SPARE_S,
                body_bytes_max=BYTES_MAX,
            )
        except (NotSent, AnswerLost) as error:
            raise Retryable(f"the vantage point {self.name} does not answer: {error}") from error
        received = self._clock.now()
        told = answer.document()
        if answer.status != 200 or told.get("format") != "noout.samples":
            said = told.get("error") or f"{answer.status} {answer.reason}"
            raise Broken(f"the vantage point {self.name} refused: {said}", remedy=f"check [probes.vantage.{self.name}]")
        try:
            began, ended = (datetime.fromisoformat(told[key]) for key in ("received", "answered"))
            samples = list(unpack(base64.b64decode(told["samples"])))
        except (KeyError, ValueError, IndexError, ArithmeticError) as error:
            raise Broken(f"the vantage point {self.name} sent what cannot be read: {error!r}") from None
        return self._as_ours(samples, frozenset(each.guest for each in services), sent, began, ended, received)

    async def close(self) -> None:
        await self._channel.close()

    def _as_ours(
        self,
        samples: Sequence[Sample],
        guests: frozenset[Any],
        sent: datetime,
        began: datetime,
        ended: datetime,
        received: datetime,
    ) -> list[Sample]:
        most, least = began - sent, ended - received  # between which its clock is ahead of ours
        ahead = (most + least) / 2
        unsure_s = max(0.0, (most - least).total_seconds() / 2)
        return [
            replace(sample, at=_whole(sample.at - ahead), lag_s=_ceil_ms(sample.lag_s + unsure_s), vantage=self.name)
            for sample in samples
            if sample.guest in guests
        ]


class Together:
    """Several probers as one: what one of them cannot do is missing from it, and the others go on."""

    def __init__(self, probers: Mapping[str, Prober]) -> None:
        self._probers = dict(probers)

    async def collect(
        self, services: Sequence[Service], since: datetime, until: datetime, every_s: float
    ) -> Sequence[Sample]:
        told = await asyncio.gather(
            *(prober.collect(services, since, until, every_s) for prober in self._probers.values()),
            return_exceptions=True,
        )
        failed = [each for each in told if isinstance(each, BaseException)]
        for each in failed:
            if not isinstance(each, NooutError) or len(failed) == len(told):
                raise each
            log.warning("%s", each)
        samples = [sample for each in told if not isinstance(each, BaseException) for sample in each]
        return sorted(samples, key=lambda sample: (sample.at, sample.guest))


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _ceil_ms(seconds: float) -> float:
    return -(-timedelta(seconds=seconds) // MS) / 1000
