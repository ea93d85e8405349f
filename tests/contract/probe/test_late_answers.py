"""An answer that comes too late was none, and yet it says since when the service is back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from noout.adapters.clock import SystemClock
from noout.adapters.probe import DirectProber
from noout.domain.impact import Service
from tests.contract.probe.test_direct import WEB, asked, listener

LATE_S = 1.5  # far above what a busy machine makes of the others


async def test_a_late_answer_is_a_missed_question_and_a_good_answer_when_it_came() -> None:
    questions = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal questions
        questions += 1
        mine = questions
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(LATE_S if mine == 6 else 0.0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with listener(serve) as port:
        prober = DirectProber(SystemClock(), timeout_s=3.0)
        samples = await asked(prober, [Service(WEB, "web", f"http://127.0.0.1:{port}/")], 8, 0.1)
    missed = [each.at for each in samples if not each.ok]
    assert len(missed) == 1
    assert len(samples) == questions + 1
    assert any(each.ok and each.at - missed[0] >= timedelta(seconds=LATE_S * 0.9) for each in samples)
