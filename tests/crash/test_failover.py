"""PostgreSQL with a standby: its server dies in the middle of a migration, the standby takes over, and noout goes on.

Both servers are named in the store's address; libpq goes to the one that can be written to. A standby that replicates
synchronously has all that was ever answered; one that does not may lack the newest events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.store.sql import SqlStore
from noout.app.standstill import doubt, standstill
from noout.domain.errors import StoreBroken
from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance
from noout.run.older import mind_lost
from noout.run.record import Known, Record
from tests.crash.house import house
from tests.crash.test_takeover import _said, check_moves, evacuated, moving, two
from tests.support.postgres import Postgres, postgres

pytestmark = pytest.mark.real
tell = print
MID = "ams1-pve3-1"


@contextmanager
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """The server that is written to, and its standby."""
    with postgres() as first, postgres(copy_of=first) as second:
        yield first, second


def either(*servers: Postgres) -> str:
    hosts = "&".join(f"host=127.0.0.1:{each.port}" for each in servers)
    return f"postgresql+psycopg://noout@/postgres?{hosts}&target_session_attrs=read-write"


async def test_a_synchronous_standby_takes_over_and_nothing_is_lost(tmp_path: Path) -> None:
    with pair() as (first, second):
        first.replicate_synchronously()
        async with house(tmp_path, url=either(first, second)) as it:
            one, other = await two(it)
            mid = await it.open()
            await it.until(mid, moving)
            before = list(await it.store.read(mid))
            await asyncio.to_thread(first.stop)
            for each in (one, other):
                await it.until_true(lambda each=each: _said(each, "nothing new is begun here"), "it noticed nothing")
            loop = asyncio.get_running_loop()
            began = loop.time()
            await asyncio.to_thread(second.promote)
            await it.written(mid, len(before))
            tell(f"the run went on {loop.time() - began:.1f} s after the standby was promoted")
            await it.until(mid, evacuated)
            assert list(await it.store.read(mid))[: len(before)] == before
            await check_moves(it, mid)
            assert all(each.process is not None and each.process.returncode is None for each in (one, other))


async def test_a_standby_that_lacks_the_newest_events_stops_every_effect(tmp_path: Path) -> None:
    """Without synchronous replication: an intent was answered, its effect may have happened, and nobody has heard of
    it. Whoever wrote it, or read it, says so, and nothing is done until a person has looked."""
    with pair() as (first, second):
        store = await SqlStore.open(either(first, second), SystemClock())
        await store.append(MID, 0, Kind.OPENED, {"node": "ams1/pve3", "mode": "auto", "reason": "a fan"})
        known = Known(store)
        paged: list[str] = []
        record = await Record.read(known, MID)
        await asyncio.to_thread(caught_up, second, first.say("SELECT pg_current_wal_lsn()"))
        second.stop()
        await record.write(Kind.FACT, {"name": "answered", "value": True})

        first.stop()
        await asyncio.to_thread(second.start)
        second.promote()
        for _ in range(2):
            try:
                m = await known.get(MID)
            except StoreBroken:  # of the server that is gone
                continue
        assert m.seq == 1 and "answered" not in m.facts

        async def page(m: Maintenance, why: str) -> None:
            paged.append(why)

        ctx = SimpleNamespace(known=known, looked_back={}, page=page, doubt=lambda m, *what: doubt(store, *what))
        await mind_lost(ctx, m)  # type: ignore[arg-type]
        stopped = await standstill(store)
        assert stopped is not None and stopped.doubted and "event 2 of ams1-pve3-1 was read here" in stopped.reason
        assert len(paged) == 1 and known.lost == {}
        await store.close()


def caught_up(standby: Postgres, lsn: str) -> None:
    """Until the standby has replayed all up to there."""
    for _ in range(200):
        if standby.say(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'") == "t":
            return
        time.sleep(0.05)
    raise AssertionError(f"the standby has not come to {lsn} within ten seconds")
