"""An answer that comes too late was none, and yet it says since when the service is back; and whose fault that is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.probe import DirectProber
from noout.adapters.probe.asking import Cancel
from noout.adapters.probe.tcp import Dial
from noout.domain.impact import Sample, Service
from tests.contract.probe.test_direct import WEB, asked, listener

LATE_S = 1.5  # far above what a busy machine makes of the others
THIS_ONE = 6


def stand_still(seconds: float) -> None:
    """The whole process does, prober included."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def asked_of(slow_s: float = 0.0, still_s: float = 0.0) -> tuple[Sequence[Sample], int]:
    """What the prober brings home from a server whose sixth answer takes so long by its own doing, and then so long
    because this process stands still; and how often it was asked."""
    questions = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal questions
        questions += 1
        mine = questions
        await reader.readuntil(b"\r\n\r\n")
        if mine == THIS_ONE:
            await asyncio.sleep(slow_s)
            stand_still(still_s)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with listener(serve) as port:
        prober = DirectProber(SystemClock(), timeout_s=3.0)
        samples = await asked(prober, [Service(WEB, "web", f"http://127.0.0.1:{port}/")], 8, 0.1)
    return samples, questions


async def test_a_late_answer_is_a_missed_question_and_a_good_answer_when_it_came() -> None:
    samples, _ = await asked_of(slow_s=LATE_S)
    missed = [each.at for each in samples if not each.ok]
    assert len(missed) == 1
    # All the others were asked within the first 0.8 s: this is the answer itself.
    assert any(each.ok and each.at - missed[0] >= timedelta(seconds=LATE_S * 0.9) for each in samples)


async def test_a_late_answer_stays_one_when_this_process_was_late_for_a_part_of_it() -> None:
    """What is left without the process's own standstill is still far too long: no excuse for the service. Since when it
    is back is known no better than this process was late, and is told so."""
    samples, _ = await asked_of(slow_s=LATE_S, still_s=0.3)
    (missed,) = [each for each in samples if not each.ok]
    assert missed.lag_s < 0.3
    assert any(each.ok and each.lag_s >= 0.25 and each.at - missed.at >= timedelta(seconds=LATE_S) for each in samples)


async def test_a_good_answer_that_took_its_time_counts_from_when_it_came() -> None:
    """Up to then the service may have been silent, as one is that stands still and then answers whoever waits."""
    came: list[datetime] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)
        came.append(datetime.now(UTC))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with listener(serve) as port:
        prober = DirectProber(SystemClock(), timeout_s=3.0)
        samples = await asked(prober, [Service(WEB, "web", f"http://127.0.0.1:{port}/")], 4, 0.5)
    assert {each.ok for each in samples} == {True}
    assert all(any(timedelta(0) <= each.at - at for at in came) for each in samples)
    assert samples[0].at >= came[0]


async def test_an_answer_that_was_perhaps_late_says_nothing() -> None:
    """This process stood still all the while: the service may have answered at once, or at the end."""
    samples, questions = await asked_of(still_s=0.8)
    assert all(each.ok for each in samples)
    assert len(samples) < questions


async def test_a_request_that_leaves_late_was_asked_when_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process stands still between a connection and the request over it: nobody was asked anything until then."""
    started, left = 0, datetime.max.replace(tzinfo=UTC)
    start = Dial.start

    def then_stand_still(dial: Dial) -> Cancel:
        nonlocal started, left
        cancel = start(dial)
        started += 1
        if started == THIS_ONE:
            stand_still(0.4)
            left = datetime.now(UTC)
        return cancel

    monkeypatch.setattr(Dial, "start", then_stand_still)
    samples, _ = await asked_of(slow_s=LATE_S)
    (missed,) = [each for each in samples if not each.ok]
    assert missed.at >= left
