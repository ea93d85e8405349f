"""Another noout asks from where it stands: over its own HTTP, with a clock of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import httpx2
import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.http import Server
from noout.adapters.probe import DirectProber
from noout.adapters.probe.remote import RemoteProber, Together
from noout.domain.cluster import GuestId
from noout.domain.errors import Broken, Retryable
from noout.domain.impact import Sample, Service
from noout.web.vantage import vantage_app
from tests.contract.probe.test_direct import closed_port, listener

WEB, MAIL = GuestId("ams1", 101), GuestId("ams1", 102)
TOKEN = "a token of the test's own"
EVERY_S = 0.1


class Ahead(SystemClock):
    """A machine whose clock is an hour ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


def vantage(token: str = TOKEN, **manners: Sequence[str]) -> RemoteProber:
    clock = Ahead()
    app = vantage_app(DirectProber(clock, **manners), clock, TOKEN)  # type: ignore[arg-type]
    return RemoteProber(
        "office", Server("http://vantage", transport=httpx2.ASGITransport(app=app)), token, SystemClock()
    )


async def test_samples_of_a_clock_an_hour_ahead_are_told_in_our_time() -> None:
    prober, clock = vantage(), SystemClock()
    async with listener() as port:
        services = [
            Service(WEB, "web", f"tcp:127.0.0.1:{port}"),
            Service(MAIL, "mail", f"tcp:127.0.0.1:{closed_port()}"),
        ]
        since = clock.now()
        samples = await prober.collect(services, since, since + timedelta(seconds=0.6), EVERY_S)
        received = clock.now()
    assert {(sample.guest, sample.ok) for sample in samples} == {(WEB, True), (MAIL, False)}
    assert {sample.vantage for sample in samples} == {"office"}
    for sample in samples:
        assert since - timedelta(seconds=1) <= sample.at <= received
        assert sample.lag_s * 1000 == pytest.approx(round(sample.lag_s * 1000))
    await prober.close()


async def test_without_the_token_nobody_is_asked() -> None:
    prober, now = vantage("another token"), SystemClock().now()
    async with listener() as port:
        service = Service(WEB, "web", f"tcp:127.0.0.1:{port}")
        with pytest.raises(Broken, match="token"):
            await prober.collect([service], now, now + timedelta(seconds=0.1), EVERY_S)


async def test_addresses_outside_of_its_networks_are_not_asked() -> None:
    now = SystemClock().now()
    async with listener() as port:
        service = [Service(WEB, "web", f"tcp:127.0.0.1:{port}")]
        elsewhere = vantage(only=["192.0.2.0/24"])
        assert await elsewhere.collect(service, now, now + timedelta(seconds=0.2), EVERY_S) == []
        here = vantage(only=["127.0.0.0/8"])
        assert await here.collect(service, now, SystemClock().now() + timedelta(seconds=0.3), EVERY_S)


async def test_too_much_is_refused_with_a_sentence() -> None:
    now = SystemClock().now()
    with pytest.raises(Broken, match="seconds: Input should be less than or equal to 120"):
        await vantage().collect([], now, now + timedelta(seconds=500), EVERY_S)


class Sure:
    """A prober that knows everything at once, or fails."""

    def __init__(self, samples: Sequence[Sample] | None) -> None:
        self.samples = samples

    async def collect(
        self, services: Sequence[Service], since: datetime, until: datetime, every_s: float
    ) -> Sequence[Sample]:
        if self.samples is None:
            raise Retryable("the vantage point office does not answer")
        return self.samples


async def test_a_vantage_point_that_fails_leaves_the_others_to_ask() -> None:
    now = SystemClock().now()
    own = Sample(WEB, now, True)
    assert await Together({"": Sure([own]), "office": Sure(None)}).collect([], now, now, 1.0) == [own]
    theirs = Sample(WEB, now, False, vantage="office")
    assert await Together({"": Sure([own]), "office": Sure([theirs])}).collect([], now, now, 1.0) == [own, theirs]
    with pytest.raises(Retryable):
        await Together({"": Sure(None), "office": Sure(None)}).collect([], now, now, 1.0)
