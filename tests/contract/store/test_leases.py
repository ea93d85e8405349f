"""Leases: one holder at a time, another one soon after it has gone, and no word of a former holder in the journal.

Two processes are two ``SqlLeases`` over stores of their own; one that is stopped is one that says nothing any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from noout.adapters.clock import SystemClock, uptime_s
from noout.adapters.store.leases import Alone, SqlLeases
from noout.adapters.store.memory import MemoryStore
from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import metadata
from noout.domain.errors import Superseded
from noout.domain.journal import chain_error
from tests.support.postgres import postgres_url

LONG_S, SHORT_S = 600.0, 1.0
PATIENCE_S = 20.0
RUN = "run/ams1-pve3-1"


class Process:
    def __init__(self, store: SqlStore, lasts_s: float) -> None:
        self.store = store
        self.leases = SqlLeases(store, lasts_s)
        self.life = AsyncExitStack()

    async def join(self, *, serves: bool = True) -> Process:
        await self.life.enter_async_context(self.leases.joined(serves=serves))
        return self

    async def leave(self) -> None:
        await self.life.aclose()

    def stop(self) -> None:
        """As SIGSTOP does: not another word."""
        self.leases._over.set()

    async def until_it_holds(self, name: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if name in await self.leases.take([name]):
                    return
                await asyncio.sleep(0.02)


class House:
    """The database, and the processes on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.processes: list[Process] = []

    async def process(self, lasts_s: float = LONG_S, *, serves: bool = True) -> Process:
        made = Process(await SqlStore.open(self.url, SystemClock()), lasts_s)
        self.processes.append(made)
        return await made.join(serves=serves)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    real = request.param == "postgresql"
    made = House(request.getfixturevalue("postgres") if real else f"sqlite:///{tmp_path / 'noout.db'}")
    yield made
    for each in made.processes:
        await each.leave()
    await made.processes[0].store.do(metadata.drop_all)
    for each in made.processes:
        await each.store.close()


async def test_of_two_one_gets_it_and_keeps_it(house: House) -> None:
    one, two = await house.process(), await house.process()
    got = await asyncio.gather(one.leases.take([RUN, "watch"]), two.leases.take([RUN, "watch"]))
    assert sorted([*got[0], *got[1]]) == [RUN, "watch"]
    for name in (RUN, "watch"):
        assert one.leases.holds(name) != two.leases.holds(name)
    again = await asyncio.gather(one.leases.take([RUN]), two.leases.take([RUN]))
    assert (RUN in again[0], RUN in again[1]) == (one.leases.holds(RUN), two.leases.holds(RUN))


async def test_of_many_at_once_exactly_one_takes_what_the_dead_one_held(house: House) -> None:
    dead = await house.process(SHORT_S)
    await dead.until_it_holds(RUN)
    dead.stop()
    others = [await house.process() for _ in range(4)]
    async with asyncio.timeout(PATIENCE_S):
        while True:
            got = await asyncio.gather(*(each.leases.take([RUN]) for each in others))
            if any(got):
                break
            await asyncio.sleep(0.02)
    assert sum(each.leases.holds(RUN) for each in others) == 1


async def test_what_is_alive_keeps_it_and_what_leaves_gives_it_back_at_once(house: House) -> None:
    one, two = await house.process(), await house.process()
    assert await one.leases.take([RUN]) == {RUN}
    for _ in range(3):
        await asyncio.to_thread(one.leases._beat)
        assert await two.leases.take([RUN]) == frozenset()
    await one.leave()
    assert not one.leases.holds(RUN)
    assert await two.leases.take([RUN]) == {RUN}


async def test_who_slept_holds_nothing_and_cannot_write(house: House) -> None:
    """The zombie: it was stopped, another one went on, and it wakes up with what it was about to write."""
    zombie, heir = await house.process(SHORT_S), await house.process()
    await zombie.until_it_holds(RUN)
    journal = zombie.leases.fenced(zombie.store, RUN)
    await journal.append("ams1-pve3-1", 0, "effect.intended", {"n": 1})
    zombie.stop()
    await heir.until_it_holds(RUN)
    assert not zombie.leases.holds(RUN)
    with pytest.raises(Superseded, match="another noout process has taken it over"):
        await journal.append("ams1-pve3-1", 1, "effect.intended", {"n": 2})
    await heir.leases.fenced(heir.store, RUN).append("ams1-pve3-1", 1, "effect.intended", {"n": 3})
    events = await heir.store.read("ams1-pve3-1")
    assert [event.data["n"] for event in events] == [1, 3]
    assert chain_error(events) is None
    assert await journal.streams() == ["ams1-pve3-1"], "it still reads, as everybody does"


async def test_a_former_holder_who_got_it_again_writes_under_its_new_token_only(house: House) -> None:
    one, two = await house.process(), await house.process()
    await one.leases.take([RUN])
    first = dict(one.leases._tokens)
    await one.leave()
    await two.leases.take([RUN])
    await two.leave()
    await one.join()
    assert await one.leases.take([RUN]) == {RUN}
    now = dict(one.leases._tokens)
    assert now[RUN] == first[RUN] + 2
    one.leases._tokens = first
    with pytest.raises(Superseded):
        await one.leases.fenced(one.store, RUN).append("ams1-pve3-1", 0, "fact", {})
    one.leases._tokens = now
    await one.leases.fenced(one.store, RUN).append("ams1-pve3-1", 0, "fact", {})


async def test_who_slept_and_was_not_missed_goes_on(house: House) -> None:
    one, _ = await house.process(), await house.process()
    await one.leases.take([RUN])
    one.leases._certain_until = 0.0  # it slept, by its own clock
    assert not one.leases.holds(RUN)
    assert await one.leases.take([RUN]) == frozenset()
    await asyncio.to_thread(one.leases._beat)
    assert one.leases.holds(RUN)


async def test_an_event_loop_that_is_kept_busy_costs_no_lease(house: House) -> None:
    one, two = await house.process(SHORT_S), await house.process()
    await one.until_it_holds(RUN)
    busy_until = uptime_s() + 1.5 * SHORT_S
    while uptime_s() < busy_until:
        sum(range(10_000))
    assert one.leases.holds(RUN)
    assert await two.leases.take([RUN]) == frozenset()


async def test_it_is_known_whether_another_process_serves(house: House) -> None:
    one = await house.process(serves=False)
    assert not await one.leases.served()
    two = await house.process()
    assert await one.leases.served() and not await two.leases.served()
    await two.leave()
    assert not await one.leases.served()


async def test_one_that_is_alone_holds_everything() -> None:
    alone, store = Alone(), MemoryStore(SystemClock())
    async with alone.joined(serves=True):
        assert await alone.take([RUN]) == {RUN} and alone.holds(RUN) and not await alone.served()
        assert alone.fenced(store, RUN) is store
