"""noout's own prober against real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.probe import DirectProber, Limits
from noout.domain.cluster import GuestId
from noout.domain.impact import Sample, Service

WEB, MAIL, NOWHERE = (GuestId("ams1", vmid) for vmid in (101, 102, 103))
EVERY_S = 0.05

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def page(status: str, body: str, *, chunked: bool = False, asked: list[str] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = (await reader.readuntil(b"\r\n\r\n")).decode()
        if asked is not None:
            asked.append(heard)
        if chunked:
            parts = "".join(f"1\r\n{each}\r\n" for each in body)
            writer.write(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n{parts}0\r\n\r\n".encode())
        else:
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()

    return serve


@asynccontextmanager
async def listener(serve: Serve = hang_up) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def asked(
    prober: DirectProber, services: Sequence[Service], instants: int = 4, every_s: float = EVERY_S
) -> Sequence[Sample]:
    now = prober.clock.now()
    try:
        return await prober.collect(services, now, now + timedelta(seconds=every_s * instants), every_s)
    finally:
        await prober.close()


def verdicts(samples: Sequence[Sample]) -> set[bool]:
    return {sample.ok for sample in samples}


async def test_answers_silence_and_what_is_not_measured() -> None:
    clock = SystemClock()
    prober = DirectProber(clock)
    async with listener() as port:
        services = [
            Service(WEB, "web", f"tcp:127.0.0.1:{port}"),
            Service(MAIL, "mail", f"tcp:127.0.0.1:{closed_port()}"),
            Service(NOWHERE, "nowhere", "tcp:443"),
        ]
        since = clock.now()
        until = since + timedelta(seconds=EVERY_S * 6)
        samples = await prober.collect(services, since, until, EVERY_S)
    assert clock.now() >= until
    of = {guest: [sample for sample in samples if sample.guest == guest] for guest in (WEB, MAIL, NOWHERE)}
    assert 1 <= len(of[WEB]) <= 6  # a busy machine may skip instants; it makes none up
    assert verdicts(of[WEB]) == {True}
    assert verdicts(of[MAIL]) == {False}
    assert of[NOWHERE] == [], "no address: not measured, not failed"
    for sample in samples:
        assert since < sample.at
        assert 0 <= sample.lag_s <= EVERY_S + 0.5
    await prober.close()


async def test_the_guests_own_address_is_used_where_the_probe_names_none() -> None:
    async with listener() as port:
        # 127.0.0.1 is a guest's own loopback and is never asked in its name.
        inside = Service(WEB, "web", f"tcp:{port}", ("127.0.0.1",))
        assert await asked(DirectProber(SystemClock()), [inside]) == []


async def test_instants_that_are_over_are_not_made_up() -> None:
    clock = SystemClock()
    async with listener() as port:
        now, prober = clock.now(), DirectProber(clock)
        service = Service(WEB, "web", f"tcp:127.0.0.1:{port}")
        samples = await prober.collect([service], now - timedelta(seconds=60), now, 1.0)
    assert len(samples) <= 1
    await prober.close()


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
    async with listener() as port:
        samples = await asked(DirectProber(Sleepy()), [Service(WEB, "web", f"tcp:127.0.0.1:{port}")])
    assert [round(sample.lag_s, 3) for sample in samples if sample.ok] == [0.02] * 4


async def test_what_this_process_was_too_late_to_see_is_its_own_lag() -> None:
    """It stands still while a question waits: nobody can say whose fault the late answer is."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = time.monotonic() + 0.4
        while time.monotonic() < end:  # the whole process, prober included
            pass
        await page("200 OK", "pong")(reader, writer)

    prober = DirectProber(SystemClock(), timeout_s=0.3)
    async with listener(slow) as port:
        samples = await asked(prober, [Service(WEB, "web", f"http://127.0.0.1:{port}/")], 1, 0.5)
    assert all(sample.ok or sample.lag_s >= 0.3 for sample in samples)


@pytest.mark.parametrize(
    ("serve", "words", "good"),
    [
        (page("200 OK", "pong"), "", True),
        (page("302 Found", "elsewhere"), "", True),
        (page("302 Found", "elsewhere"), "status=200", False),
        (page("503 Service Unavailable", "sorry"), "", False),
        (page("503 Service Unavailable", "sorry"), "status=200,503", True),
        (page("200 OK", "all is well"), "'text=is well'", True),
        (page("200 OK", "database down"), "'text=is well'", False),
        (page("200 OK", "all is well", chunked=True), "'text=is well'", True),
        (hang_up, "", False),
    ],
)
async def test_http_with_what_is_expected(serve: Serve, words: str, good: bool) -> None:
    async with listener(serve) as port:
        samples = await asked(
            DirectProber(SystemClock()), [Service(WEB, "web", f"http://127.0.0.1:{port}/x {words}")], 2
        )
    assert verdicts(samples) == {good}


async def test_who_asks_is_said() -> None:
    heard: list[str] = []
    async with listener(page("200 OK", "", asked=heard)) as port:
        prober = DirectProber(SystemClock(), contact="noc@example.net\r\nX: y")
        await asked(prober, [Service(WEB, "web", f"http://127.0.0.1:{port}/up host=shop.example.net")], 1)
    assert heard[0].startswith(f"GET /up HTTP/1.1\r\nHost: shop.example.net:{port}\r\n")
    assert "User-Agent: noout-witness/" in heard[0] and "(+noc@example.netX: y)\r\n" in heard[0]


async def test_a_held_connection_that_breaks_is_found_once_and_made_anew() -> None:
    kept: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept.append(writer)
        await reader.read()

    clock = SystemClock()
    prober = DirectProber(clock)
    async with listener(hold) as port:
        service = [Service(WEB, "web", f"held:127.0.0.1:{port}")]

        async def ask(instants: int) -> Sequence[Sample]:
            now = clock.now()
            return await prober.collect(service, now, now + timedelta(seconds=instants * EVERY_S), EVERY_S)

        before = await ask(6)
        kept[0].transport.abort()
        after = await ask(8)
        assert all(sample.held for sample in (*before, *after))
        assert verdicts(before) == {True}
        assert [sample.ok for sample in after].count(False) == 1
        assert after[-1].ok and len(kept) == 2
        await prober.close()
        for writer in kept:
            writer.close()


async def test_a_held_connection_is_made_anew_before_the_server_ends_it() -> None:
    kept: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept.append(writer)
        await reader.read()
        writer.close()

    async with listener(hold) as port:
        samples = await asked(
            DirectProber(SystemClock()), [Service(WEB, "web", f"held:127.0.0.1:{port} renew=0.1")], 12
        )
    assert verdicts(samples) == {True}
    assert len(kept) > 2


async def test_two_stretches_follow_each_other_without_a_gap_or_a_double() -> None:
    clock = Sleepy()
    prober = DirectProber(clock)
    async with listener() as port:
        service = [Service(WEB, "web", f"tcp:127.0.0.1:{port}")]
        since, samples = clock.now(), list[Sample]()
        for _ in range(3):
            until = since + timedelta(seconds=0.1007)
            samples += await prober.collect(service, since, until, EVERY_S)
            since = until
    due = [round((sample.at.timestamp() - sample.lag_s) / EVERY_S, 3) for sample in samples if sample.ok]
    assert len(set(due)) == len(due)
    assert all(step % 1 == due[0] % 1 for step in due)
    await prober.close()


async def test_the_limits_are_kept_and_everybody_gives_way() -> None:
    times: list[float] = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        times.append(asyncio.get_running_loop().time())
        writer.close()

    async with listener(count) as port:
        services = [Service(GuestId("ams1", n), f"g{n}", f"tcp:127.0.0.1:{port}") for n in range(1, 9)]
        samples = await asked(DirectProber(SystemClock(), Limits(1000, 20)), services, 10, 0.1)
    assert len(samples) <= 40, "20 a second for two seconds at the most"
    assert {sample.guest for sample in samples} == {service.guest for service in services}


async def test_an_interval_has_to_be_positive() -> None:
    now = datetime.now(UTC)
    with pytest.raises(ValueError, match="positive"):
        await DirectProber(SystemClock()).collect([], now, now, 0)
