"""One contract for every store: in memory, SQLite, and PostgreSQL where it is installed."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import metadata
from noout.domain.cluster import GuestId, NodeId
from noout.domain.errors import Broken, Superseded, UsageError
from noout.domain.hardware import HardwareState, LogEntry, Power, Reading, SensorKind, Unit
from noout.domain.impact import Sample
from noout.domain.journal import GENESIS, Message, chain_error
from noout.domain.trend import Trend
from noout.ports import Head
from tests.support.postgres import postgres_url

T0 = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
NODE = NodeId("ams1", "pve3")
Store = MemoryStore | SqlStore


class Ticking:
    """A clock that moves a second each time it is read."""

    def __init__(self) -> None:
        self.at = T0

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def wall_s(self, seconds: float) -> float:
        return seconds


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        yield url


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.real)],
)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(Ticking())
        return
    if request.param == "sqlite":
        opened = await SqlStore.open(f"sqlite:///{tmp_path / 'noout.db'}", Ticking())
        yield opened
        await opened.close()
        return
    opened = await SqlStore.open(request.getfixturevalue("postgres"), Ticking())
    yield opened
    await opened.do(metadata.drop_all)
    await opened.close()


async def test_events_are_numbered_and_chained(store: Store) -> None:
    for seq in range(5):
        event = await store.append(
            "m-1", seq, "fact", {"name": "ö", "value": [1, 2.5, None, {"a": True}]}, "operator:a"
        )
        assert event.seq == seq + 1
    events = await store.read("m-1")
    assert [each.seq for each in events] == [1, 2, 3, 4, 5]
    assert chain_error(events) is None
    assert events[0].data == {"name": "ö", "value": [1, 2.5, None, {"a": True}]}
    assert events[0].at.tzinfo is not None
    assert [each.seq for each in await store.read("m-1", after=3)] == [4, 5]


async def test_what_append_returns_is_what_is_read(store: Store) -> None:
    made = await store.append("m-1", 0, "fact", {"tuple": (1, 2)})
    assert [made] == list(await store.read("m-1"))


async def test_a_changed_event_breaks_the_chain(store: Store) -> None:
    for seq in range(3):
        await store.append("m-1", seq, "fact", {"n": seq})
    events = list(await store.read("m-1"))
    events[1] = dataclasses.replace(events[1], data={"n": 7})
    assert "event 2" in (chain_error(events) or "")
    assert "event 2 is missing" in (chain_error([events[0], events[2]]) or "")


async def test_the_slower_writer_is_superseded(store: Store) -> None:
    await store.append("m-1", 0, "fact", {"n": 1})
    for wrong in (0, 2):
        with pytest.raises(Superseded):
            await store.append("m-1", wrong, "fact", {"n": 2})
    assert len(await store.read("m-1")) == 1


async def test_of_many_writers_at_once_exactly_one_wins(store: Store) -> None:
    async def write(n: int) -> bool:
        try:
            await store.append("m-1", 0, "fact", {"n": n})
        except Superseded:
            return False
        return True

    assert sum(await asyncio.gather(*(write(n) for n in range(8)))) == 1
    events = await store.read("m-1")
    assert len(events) == 1
    assert chain_error(events) is None


async def test_streams_do_not_share_anything(store: Store) -> None:
    await store.append("ams1-pve3-1", 0, "fact", {})
    await store.append("rtm1-pve3-1", 0, "fact", {})
    assert list(await store.streams()) == ["ams1-pve3-1", "rtm1-pve3-1"]
    first, second = await store.read("ams1-pve3-1"), await store.read("rtm1-pve3-1")
    assert first[0].digest != second[0].digest
    assert GENESIS not in (first[0].digest, second[0].digest)
    assert await store.read("nowhere") == []


async def test_a_message_counts_once(store: Store) -> None:
    message = Message("k1", "hands-on", "technician:ruben", T0, {"serial": "S1"})
    assert await store.post("m-1", message)
    assert not await store.post("m-1", message)
    assert await store.post("m-2", message)
    assert await store.post("m-1", Message("k2", "sign-off", "technician:ruben", T0))
    assert [each.key for each in await store.messages("m-1")] == ["k1", "k2"]
    assert (await store.messages("m-1"))[0] == message


async def test_a_figure_that_json_cannot_hold_is_refused_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match=r"JSON|nan"):
        await store.append("m-1", 0, "fact", {"value": float("nan")})
    assert await store.read("m-1") == []


async def test_samples_come_back_exactly_and_in_order(store: Store) -> None:
    web, db = GuestId("ams1", 101), GuestId("ams1", 102)
    samples = [Sample(web, T0 + timedelta(microseconds=200_001 * n), n % 3 != 0, 0.001 * n) for n in range(50)]
    await store.add_samples("m-1", samples[25:])
    await store.add_samples("m-1", samples[:25])
    await store.add_samples("m-1", [Sample(db, T0, True)])
    await store.add_samples("m-1", [])
    assert list(await store.samples("m-1", web)) == samples
    assert len(await store.samples("m-1")) == 51
    assert await store.samples("m-2") == []


async def test_samples_of_many_slices_come_back_as_they_were(store: Store) -> None:
    """Also across the merging of slices, with what vantage points and held connections said."""
    web, db = GuestId("ams1", 101), GuestId("ams1", 102)
    added: list[Sample] = []
    for n in range(260):
        at = T0 + timedelta(seconds=n)
        some = [
            Sample(web, at, n % 7 != 0, 0.002), Sample(web, at, True, 0.001, "ams-office"),
            Sample(web, at, n != 99, held=True), Sample(db, at, True),
        ]  # fmt: skip
        await store.add_samples("m-1", some)
        added += some
    of_web = await store.samples("m-1", web)
    assert sorted(of_web, key=repr) == sorted((each for each in added if each.guest == web), key=repr)
    assert [each.at for each in of_web] == sorted(each.at for each in of_web)
    assert len(await store.samples("m-1")) == len(added)


async def test_samples_are_forgotten_when_the_last_of_their_maintenance_is_old(store: Store) -> None:
    web = GuestId("ams1", 101)
    await store.add_samples("m-old", [Sample(web, T0, True)])
    await store.add_samples("m-long", [Sample(web, T0, True)])
    await store.add_samples("m-long", [Sample(web, T0 + timedelta(days=2), True)])
    await store.forget_samples(T0 + timedelta(days=1))
    assert await store.samples("m-old") == []
    assert len(await store.samples("m-long")) == 2


async def test_hardware_comes_back_whole(store: Store) -> None:
    node = NodeId("ams1", "pve3")
    reading = Reading("FAN3B", SensorKind.FAN, 0.0, Unit.RPM, lower_critical=1800.0)
    entry = LogEntry("7", T0, "Critical", "Fan FAN3B stopped", "FAN3B")
    states = [
        HardwareState(node, T0 + timedelta(seconds=n), True, Power.ON, False, (reading,), (entry,), {"fans": "Lost"})
        for n in range(3)
    ]
    for state in states:
        await store.add_hardware(state)
    assert list(await store.hardware(node, T0 + timedelta(seconds=1))) == states[1:]
    assert await store.hardware(NodeId("ams1", "pve4"), T0) == []


def _polled(minute: float, rpm: float | None, *log: LogEntry, power: Power = Power.ON) -> HardwareState:
    reading = Reading("FAN3B", SensorKind.FAN, rpm, Unit.RPM, lower_critical=1800.0)
    disk = Reading("sda", SensorKind.DISK, 1.0, Unit.STATE)
    at = T0 + timedelta(minutes=minute)
    return HardwareState(NODE, at, True, power, False, (reading,), log, host=(disk,), trouble="slow" if log else "")


async def test_states_written_at_once_are_all_there(store: Store) -> None:
    states = [_polled(minute, 100.0 * minute) for minute in range(30)]
    await asyncio.gather(*(store.add_hardware(state) for state in states))
    assert sorted(await store.hardware(NODE, T0), key=lambda each: each.at) == states


async def test_old_states_become_trends_and_their_log_is_kept(store: Store) -> None:
    entry = LogEntry("7", T0, "Critical", "Fan FAN3B stopped", "FAN3B")
    late = LogEntry("8", T0 + timedelta(hours=1), "OK", "Fan FAN3B turns", "FAN3B")
    speeds = [6000.0, 0.0, None, 5900.0, 6100.0, 6000.0, 5000.0, 6000.0]
    states = [_polled(2 * n, rpm, *((entry,) if n == 1 else ())) for n, rpm in enumerate(speeds)]
    states += [_polled(18, 0.0, power=Power.OFF), _polled(60, 6000.0, late), _polled(61, 5800.0)]
    for state in states:
        await store.add_hardware(state)
    limit = T0 + timedelta(minutes=65)  # not whole ten minutes: those from 09:00 to 10:00 are
    await store.thin_hardware(NODE, limit, T0)
    fans = [each for each in await store.trends(NODE, T0) if each.kind is SensorKind.FAN]
    assert fans == [
        Trend(T0, "FAN3B", SensorKind.FAN, Unit.RPM, 0.0, 5950.0, 6100.0, 4),
        Trend(T0 + timedelta(minutes=10), "FAN3B", SensorKind.FAN, Unit.RPM, 5000.0, 6000.0, 6000.0, 3),
    ]
    assert list(await store.hardware(NODE, T0)) == states[-2:]
    assert list(await store.logged(NODE, T0)) == [entry, late]
    assert list(await store.logged(NODE, T0 + timedelta(minutes=30))) == [late]
    await store.thin_hardware(NODE, limit, T0)  # once more changes nothing
    assert [each for each in await store.trends(NODE, T0) if each.kind is SensorKind.FAN] == fans
    await store.add_hardware(states[0])  # and a late one is not lost on the way, nor harms what is there
    await store.thin_hardware(NODE, limit + timedelta(days=2), T0 + timedelta(minutes=10))
    assert [each.at.minute for each in await store.trends(NODE, T0) if each.kind is SensorKind.FAN] == [10, 0]
    assert await store.hardware(NODE, T0) == []
    await store.add_hardware(_polled(9000, 6000.0))  # what stays the same is written anew
    assert list(await store.hardware(NODE, T0)) == [_polled(9000, 6000.0)]


async def test_what_the_watch_remembers_is_replaced(store: Store) -> None:
    assert await store.memory(NODE) is None
    for number in range(2):
        await store.keep_memory(NODE, T0 + timedelta(minutes=number), {"level": number, "since": None})
    assert await store.memory(NODE) == (T0 + timedelta(minutes=1), {"level": 1, "since": None})
    assert await store.memory(NodeId("ams1", "pve4")) is None


async def test_it_is_all_there_after_opening_it_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'noout.db'}"
    first = await SqlStore.open(url, Ticking())
    await first.append("m-1", 0, "fact", {"n": 1})
    await first.close()
    second = await SqlStore.open(url, Ticking())
    await second.append("m-1", 1, "fact", {"n": 2})
    assert chain_error(await second.read("m-1")) is None
    await second.close()


async def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    store = await SqlStore.open(f"sqlite:///{tmp_path / 'noout.db'}", Ticking())
    await store.append("m-1", 0, "fact", {})
    assert {os.stat(tmp_path / name).st_mode & 0o077 for name in os.listdir(tmp_path)} == {0}
    await store.close()


@pytest.mark.parametrize("url", ["nonsense", "mysql+nothing://x", "sqlite+zzz:///x"])
async def test_a_url_that_is_none_is_the_users_mistake(url: str) -> None:
    with pytest.raises(UsageError, match=r"store\.url"):
        await SqlStore.open(url, Ticking())


async def test_a_database_that_cannot_be_used_is_said_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "noout.db"
    path.write_text("this is no database, whatever it is called; it is long enough to be looked at" * 20)
    with pytest.raises(Broken, match="cannot be used") as caught:
        await SqlStore.open(f"sqlite:///{path}", Ticking())
    assert "\n" not in str(caught.value)


async def test_how_far_many_streams_are_is_asked_in_one_go(store: Store) -> None:
    assert await store.heads([]) == {} and await store.heads(["nobody-1"]) == {}
    for stream, events in (("a-1", 3), ("b-1", 1)):
        for seq in range(events):
            await store.append(stream, seq, "x", {})
    for key in ("k1", "k2", "k2"):
        await store.post("a-1", Message(key, "pause", "operator:anna", T0, {}))
    await store.post("nobody-1", Message("k", "pause", "operator:anna", T0, {}))
    assert await store.heads(["a-1", "b-1", "nobody-1"]) == {"a-1": Head(3, 2), "b-1": Head(1, 0)}
