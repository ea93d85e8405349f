"""Two real noout processes on a real PostgreSQL: one dies, and the other one goes on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.house import Middle, house
from tests.support.postgres import Postgres, postgres

pytestmark = pytest.mark.real
tell = print


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def moving(step: str) -> Middle:
    """A migration of this step is under way: asked for, and not yet seen to have happened."""
    return lambda m: any(p.action.step == step and "migrate" in p.action.verb and p.upid for p in m.pending)


async def test_the_other_one_goes_on_within_fifteen_seconds(tmp_path: Path, server: Postgres) -> None:
    async with house(tmp_path, url=server.url, takeover_s=15.0) as it:
        before = await it.lab.state()
        for _ in range(2):
            await it.replica()
        mid = await it.open()
        await it.until(mid, moving("evacuate"))
        dead = await it.carrier(mid)
        dead.signal(signal.SIGKILL)
        assert await dead.ended() == -signal.SIGKILL
        loop = asyncio.get_running_loop()
        died_at, seq = loop.time(), len(await it.store.read(mid))
        await it.until_true(lambda: _later(it, mid, seq), "nobody took it over")
        took_s = loop.time() - died_at
        tell(f"taken over {took_s:.1f} s after the kill")
        assert took_s <= 15.0
        await it.carried_through(mid)
        await it.check(mid, before)


async def _later(it: object, mid: str, seq: int) -> bool:
    return len(await it.store.read(mid)) > seq  # type: ignore[attr-defined]
