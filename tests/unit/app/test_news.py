"""One look at the journal serves everybody, however many maintenances wait; and who waits hears of what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from noout.adapters.clock import LabClock
from noout.adapters.store.memory import MemoryStore
from noout.app.inboxes import EVERY_S, RESTART_EVERY, Inboxes
from noout.app.news import OPENINGS, SWEEP_WALL_S, News
from noout.domain.errors import Refused, StoreBroken
from noout.domain.journal import Kind, Message, MessageKind
from noout.ports import Head
from noout.run.record import Known
from tests.support.virtual import run_virtual

OPENED = {"node": "ams1/pve3", "mode": "auto"}


class Store(MemoryStore):
    """Counts what is asked of it."""

    def __init__(self, clock: LabClock) -> None:
        super().__init__(clock)
        self.asked: list[str] = []
        self.full = False

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        self.asked.append("heads")
        return await super().heads(streams)

    async def read(self, stream: str, after: int = 0):  # type: ignore[no-untyped-def]
        self.asked.append(f"read {stream}")
        return await super().read(stream, after)

    async def writable(self) -> None:
        if self.full:
            raise StoreBroken("no room")

    async def opens(self, *streams: str) -> None:
        for stream in streams:
            await self.append(stream, 0, Kind.OPENED, OPENED)

    async def says(self, stream: str, key: str) -> None:
        await self.post(stream, Message(key, MessageKind.PAUSE, "operator:anna", self._clock.now(), {}))


def desk() -> tuple[Store, News]:
    """Call it inside a running loop."""
    clock = LabClock(1_796_032_800.0, asyncio.get_running_loop().time(), 1.0, asyncio.get_running_loop().time)
    store = Store(clock)
    return store, News(store, Known(store), clock)


def names(count: int) -> list[str]:
    return [f"c{number}-pve3-1" for number in range(count)]


def test_many_that_wait_cost_one_question_a_look() -> None:
    async def play() -> None:
        store, news = desk()
        await store.opens(*names(50))
        assert len(await news.open_ones()) == 50
        await asyncio.sleep(1)
        store.asked.clear()
        states = await asyncio.gather(*(news.state(each) for each in names(50)))
        assert len(states) == 50 and store.asked == ["heads"], "and nothing is read of those that did not go on"
        await asyncio.sleep(1)
        await store.append("c7-pve3-1", 1, Kind.STEP_ENTERED, {"step": "evacuate"})
        store.asked.clear()
        assert [m.step for m in await asyncio.gather(*(news.state(each) for each in names(50)))].count("evacuate") == 1
        assert store.asked == ["heads", "read c7-pve3-1"]

    run_virtual(play())


def test_what_is_claimed_is_seen_as_soon_as_it_is_opened_and_what_was_restored_at_the_next_sweep() -> None:
    async def play() -> None:
        store, news = desk()
        assert await news.open_ones() == []
        await store.append(OPENINGS, 0, "opening.claimed", {"maintenance": "c1-pve3-1"})
        await asyncio.sleep(1)
        assert await news.open_ones() == [], "claimed, and not yet opened"
        await store.opens("c1-pve3-1", "c2-pve3-1")
        await asyncio.sleep(1)
        assert [m.id for m in await news.open_ones()] == ["c1-pve3-1"]
        await asyncio.sleep(SWEEP_WALL_S)
        assert {m.id for m in await news.open_ones()} == {"c1-pve3-1", "c2-pve3-1"}
        await store.append("c1-pve3-1", 1, Kind.CLOSED, {"outcome": "done"})
        await asyncio.sleep(1)
        assert [m.id for m in await news.open_ones()] == ["c2-pve3-1"]
        await store.append(OPENINGS, 1, "opening.claimed", {"maintenance": "c1-pve3-1"})
        await store.append("c1-pve3-1", 2, Kind.REOPENED, OPENED)
        await asyncio.sleep(1)
        assert {m.id for m in await news.open_ones()} == {"c1-pve3-1", "c2-pve3-1"}, "taken up again under its name"

    run_virtual(play())


class Engine:
    def __init__(self) -> None:
        self.started: list[str] = []
        self.woken: list[str] = []
        self.lost = ""

    async def start(self, maintenance: str) -> None:
        if maintenance == self.lost:
            raise Refused("the engine is away")
        self.started.append(maintenance)

    async def wake(self, maintenance: str) -> None:
        self.woken.append(maintenance)


def test_each_run_is_woken_for_its_own_messages_and_let_go_when_it_is_over() -> None:
    async def play() -> None:
        store, news = desk()
        await store.opens(*names(3))
        engine, led, told = Engine(), {"c0-pve3-1", "c1-pve3-1"}, []

        async def trouble(maintenance: str, error: StoreBroken) -> None:
            told.append(maintenance)

        inboxes = Inboxes(news, store, lambda each: each in led, trouble, engine)  # type: ignore[arg-type]
        waiting = {each: asyncio.create_task(inboxes.until_over(each)) for each in names(3)}
        await asyncio.sleep(2 * EVERY_S)
        assert engine.started == ["c0-pve3-1", "c1-pve3-1"] and not engine.woken, "only what is led here is started"
        await store.says("c1-pve3-1", "a")
        await asyncio.sleep(3 * EVERY_S)
        assert engine.woken == ["c1-pve3-1"], "and once"
        led.add("c2-pve3-1")
        await asyncio.sleep(3 * EVERY_S)
        assert engine.started[2:] == ["c2-pve3-1"], "what falls to this process is started at once"
        await store.append("c0-pve3-1", 1, Kind.CLOSED, {"outcome": "done"})
        await asyncio.sleep(3 * EVERY_S)
        assert waiting["c0-pve3-1"].done() and not waiting["c1-pve3-1"].done()
        store.full = True
        await asyncio.sleep(RESTART_EVERY * EVERY_S)
        assert set(told) == {"c1-pve3-1", "c2-pve3-1"}
        store.full = False
        before = len(engine.started)
        await asyncio.sleep(RESTART_EVERY * EVERY_S)
        assert set(engine.started[before:]) == {"c1-pve3-1", "c2-pve3-1"}, "a lost one would be begun again"
        engine.lost = "c1-pve3-1"
        before = len(engine.started)
        await asyncio.sleep(RESTART_EVERY * EVERY_S)
        assert set(engine.started[before:]) == {"c2-pve3-1"}, "one that cannot be started keeps no other waiting"
        for task in waiting.values():
            task.cancel()
        await inboxes.end()

    run_virtual(play())


@pytest.mark.parametrize("seq", [0, 1])
async def test_a_state_is_read_again_only_when_it_went_on(seq: int) -> None:
    store, _ = desk()
    await store.opens("c0-pve3-1")
    known = Known(store)
    await known.get("c0-pve3-1")
    store.asked.clear()
    await known.at_least("c0-pve3-1", seq)
    assert bool(store.asked) is (seq == 0)
