"""A journal that grows is read from where it was left off; one that lost its end is noticed, whichever way."""

from __future__ import annotations

from collections.abc import Sequence

from noout.adapters.store.memory import MemoryStore
from noout.domain.journal import Event, Kind
from noout.run.record import Known, Record
from tests.unit.run.test_settle import Hand

MID = "ams1-pve3-1"
OPENED = {"node": "ams1/pve3", "reason": "a fan", "mode": "auto"}


async def written(store: MemoryStore, *names: str) -> MemoryStore:
    """The opening, and a fact for each name."""
    for seq, name in enumerate(["", *names]):
        kind, data = (Kind.FACT, {"name": name, "value": 1}) if name else (Kind.OPENED, OPENED)
        await store.append(MID, seq, kind, data)
    return store


class Cluster:
    """A journal on whichever of two databases answers."""

    def __init__(self, first: MemoryStore, second: MemoryStore) -> None:
        self.now, self.second, self.reads = first, second, 0

    def fails_over(self) -> None:
        self.now = self.second

    async def read(self, stream: str, after: int = 0) -> Sequence[Event]:
        self.reads += 1
        return await self.now.read(stream, after)

    async def append(self, *args: object) -> Event:
        return await self.now.append(*args)  # type: ignore[arg-type]


async def pair(first: Sequence[str], second: Sequence[str]) -> tuple[Cluster, Known]:
    clock = Hand()
    stores = [await written(MemoryStore(clock), *names) for names in (first, second)]  # type: ignore[arg-type]
    cluster = Cluster(*stores)
    return cluster, Known(cluster)  # type: ignore[arg-type]


async def test_one_that_grew_is_read_from_where_it_was_left_off() -> None:
    cluster, known = await pair("abc", "")
    assert (await known.get(MID)).seq == 4
    record = await Record.read(known, MID)
    await record.write(Kind.FACT, {"name": "d", "value": 1})
    await cluster.append(MID, 5, Kind.FACT, {"name": "e", "value": 1})
    reads = cluster.reads
    m = await known.get(MID)
    assert (m.seq, set(m.facts)) == (6, set("abcde")) and cluster.reads == reads + 1
    assert known.lost == {}


async def test_one_that_is_shorter_than_what_was_read_is_noticed_when_it_is_read_anew() -> None:
    cluster, known = await pair("abc", "ab")
    last = (await cluster.read(MID))[-1]
    await known.get(MID)
    cluster.fails_over()
    known.forget(MID)
    assert (await known.get(MID)).seq == 3
    assert (known.lost[MID].seq, known.lost[MID].digest) == (4, last.digest)


async def test_one_that_grew_otherwise_is_noticed_and_read_from_its_beginning() -> None:
    cluster, known = await pair("abc", "axyz")
    await known.get(MID)
    cluster.fails_over()
    m = await known.get(MID)
    assert (m.seq, set(m.facts)) == (5, set("axyz")), "nothing of the other one is left in it"
    assert known.lost[MID].seq == 4


async def test_one_that_lost_what_was_written_here_is_noticed() -> None:
    """An intent is answered, its effect asked for, and the standby that takes over has never heard of it."""
    cluster, known = await pair("ab", "ab")
    record = await Record.read(known, MID)
    await record.write(Kind.FACT, {"name": "c", "value": 1})
    cluster.fails_over()
    assert set((await known.get(MID)).facts) == set("ab")
    assert known.lost[MID].seq == 4
