"""The TCP prober against real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.probe import TcpProber
from noout.adapters.probe.tcp import parse_target
from noout.domain.cluster import GuestId
from noout.domain.impact import Service

WEB, MAIL, NOWHERE = (GuestId("ams1", vmid) for vmid in (101, 102, 103))
EVERY_S = 0.05


@asynccontextmanager
async def listener() -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def test_answers_silence_and_what_is_not_measured() -> None:
    clock = SystemClock()
    prober = TcpProber(clock, {MAIL: "127.0.0.1"})
    async with listener() as port:
        services = [
            Service(WEB, "web", f"tcp:127.0.0.1:{port}"),
            Service(MAIL, "mail", f"tcp:{closed_port()}"),
            Service(NOWHERE, "nowhere", "tcp:443"),
        ]
        since = clock.now()
        until = since + timedelta(seconds=EVERY_S * 6)
        samples = await prober.collect(services, since, until, EVERY_S)
    assert clock.now() >= until
    of = {guest: [sample for sample in samples if sample.guest == guest] for guest in (WEB, MAIL, NOWHERE)}
    assert 1 <= len(of[WEB]) <= 6  # a busy machine may skip instants; it makes none up
    assert all(sample.ok for sample in of[WEB])
    assert not any(sample.ok for sample in of[MAIL])
    assert of[NOWHERE] == [], "no address: not measured, not failed"
    for sample in samples:
        assert since < sample.at
        assert 0 <= sample.lag_s <= EVERY_S + 0.5


async def test_instants_that_are_over_are_not_made_up() -> None:
    clock = SystemClock()
    async with listener() as port:
        now = clock.now()
        samples = await TcpProber(clock).collect(
            [Service(WEB, "web", f"tcp:127.0.0.1:{port}")], now - timedelta(seconds=60), now, 1.0
        )
    assert len(samples) <= 1


class Sleepy:
    """A clock whose sleeper always wakes 20 ms late."""

    def __init__(self) -> None:
        self.time = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)  # what was asked before goes out before
        self.time += timedelta(seconds=max(0.0, seconds) + 0.02)

    def wall_s(self, seconds: float) -> float:
        return seconds


async def test_a_question_asked_late_says_how_late() -> None:
    clock = Sleepy()
    async with listener() as port:
        services = [Service(WEB, "web", f"tcp:127.0.0.1:{port}")]
        samples = await TcpProber(clock).collect(services, clock.now(), clock.now() + timedelta(seconds=0.2), EVERY_S)
    assert [round(sample.lag_s, 3) for sample in samples] == [0.02] * 4


@pytest.mark.parametrize(
    ("probe", "address", "target"),
    [
        ("tcp:192.0.2.1:443", None, ("192.0.2.1", 443)),
        ("tcp:shop.example.net:80", "192.0.2.9", ("shop.example.net", 80)),
        ("tcp:[2001:db8::1]:443", None, ("2001:db8::1", 443)),
        ("tcp:443", "192.0.2.9", ("192.0.2.9", 443)),
        ("tcp:443", None, None),
        ("tcp:192.0.2.1:0", None, None),
        ("udp:192.0.2.1:53", None, None),
        ("", "192.0.2.9", None),
    ],
)
def test_targets(probe: str, address: str | None, target: tuple[str, int] | None) -> None:
    assert parse_target(probe, address) == target


async def test_an_interval_has_to_be_positive() -> None:
    now = datetime.now(UTC)
    with pytest.raises(ValueError, match="positive"):
        await TcpProber(SystemClock()).collect([], now, now, 0)
