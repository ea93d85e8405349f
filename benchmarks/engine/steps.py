"""How long one durable step takes, beside a bare transaction of the same database in the same run.

A step here is what the engine and the journal add to any step of a run: one event is appended to the journal, and the
step's result is recorded by the engine. What the step does to the world comes on top.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from noout.adapters.clock import SystemClock
from noout.adapters.durable import DurableEngine
from noout.adapters.store.sql import SqlStore
from noout.ports import Engine, Wait

MID = "ams1-pve3-1"
WARM = 20  # steps before the first that counts
EVENT = {"why": "guests to arrive", "until": "2026-11-30T10:00:00+00:00", "needs": "", "code": "arrivals"}


@dataclass(frozen=True)
class Steps:
    """Medians over ``count`` in wall milliseconds, and the CPU of one step with its event."""

    store: str
    count: int
    bare_ms: float  # one row, one transaction
    event_ms: float  # one event of the journal: what is read before, and the hash chain, included
    step_ms: float  # one durable step with one event
    step_p95_ms: float
    cpu_ms: float


def _median_ms(values: Sequence[float]) -> float:
    return 1000 * statistics.median(values)


async def _measure(store_url: str, count: int, folder: Path) -> Steps:
    clock = SystemClock()
    store = await SqlStore.open(store_url, clock)
    name = "PostgreSQL" if store_url.startswith("postgresql") else "SQLite"
    over = asyncio.get_running_loop().create_future()
    took: list[float] = []
    cpu = 0.0
    loop = asyncio.get_running_loop()
    try:
        await store.do(lambda connection: _make_bare(connection))

        async def advance(maintenance: str) -> Wait | None:
            if len(took) >= WARM + count:
                return None
            await store.append(maintenance, len(took), "waiting", EVENT)
            return Wait("at once")

        async def run(engine: Engine, maintenance: str) -> None:
            nonlocal cpu
            while True:
                if len(took) == WARM:
                    cpu = time.process_time()
                began = time.perf_counter()
                wait = await engine.step(advance, maintenance)
                if wait is None:
                    break
                took.append(time.perf_counter() - began)
                await engine.inbox(maintenance, wait.until)
            cpu = time.process_time() - cpu
            loop.call_soon_threadsafe(over.set_result, None)

        bare, events = await _bare(store, count)
        async with DurableEngine(f"sqlite:///{folder / 'engine.db'}", clock, run) as engine:
            await engine.start(MID)
            await over
        again, more = await _bare(store, count, "events-2")  # before and after: a busy machine shows
    finally:
        await store.close()
    steps = sorted(took[WARM:])
    return Steps(
        store=name,
        count=count,
        bare_ms=_median_ms(bare + again),
        event_ms=_median_ms(events + more),
        step_ms=_median_ms(steps),
        step_p95_ms=1000 * steps[int(0.95 * len(steps))],
        cpu_ms=1000 * cpu / count,
    )


def _make_bare(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE IF NOT EXISTS bare (number INTEGER, words VARCHAR(200))"))


async def _bare(store: SqlStore, count: int, stream: str = "events-1") -> tuple[list[float], list[float]]:
    """A transaction of one row, and one event of the journal, in turn."""
    bare, events = [], []
    for number in range(count // 2):
        began = time.perf_counter()
        await store.do(
            lambda connection, number=number: connection.execute(  # type: ignore[misc]
                text("INSERT INTO bare VALUES (:number, :words)"), {"number": number, "words": str(EVENT)}
            )
        )
        between = time.perf_counter()
        await store.append(stream, number, "waiting", EVENT)
        bare.append(between - began)
        events.append(time.perf_counter() - between)
    return bare, events


def measure(count: int, store_url: str | None = None) -> Steps:
    """``count`` steps on SQLite, or on the database of that URL."""
    with tempfile.TemporaryDirectory(prefix="noout-bench-") as name:
        folder = Path(name)
        return asyncio.run(_measure(store_url or f"sqlite:///{folder / 'noout.db'}", count, folder))
