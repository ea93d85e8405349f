"""A note that tells of more than the journal has: found out whatever way the journal fell behind, and heeded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.domain.errors import Forbidden, Retryable
from noout.domain.maintenance import Maintenance
from noout.domain.note import Note, with_note
from noout.ports import Description
from noout.run import older
from noout.run.older import mind_age, unknown_to
from tests.unit.run.test_settle import Hand
from tests.unit.steps.scene import NODE, cluster, maintenance, seen

MID = "ams1-pve3-1"


async def written(events: int, stream: str = MID, name: str = "x") -> MemoryStore:
    store = MemoryStore(Hand())  # type: ignore[arg-type]
    for seq in range(events):
        await store.append(stream, seq, "fact", {"name": name, "value": seq})
    return store


async def note_of(store: MemoryStore, seq: int, stream: str = MID) -> Note:
    return Note(stream, seq, (await store.read(stream))[seq - 1].digest)


async def test_a_journal_that_has_the_event_is_not_older() -> None:
    store = await written(5)
    for seq in (1, 3, 5):
        assert await unknown_to(store, await note_of(store, seq), NODE) == ""


async def test_a_shorter_one_another_one_and_an_empty_one_are_found_out() -> None:
    longer, other = await written(9), await written(9, name="y")
    note = await note_of(longer, 7)
    said = "the description of ams1/pve3 was written at event 7 of ams1-pve3-1; this journal has no such "
    for journal in (await written(5), await written(6), other):
        assert await unknown_to(journal, note, NODE) == said + "event"
    assert await unknown_to(await written(0), note, NODE) == said + "maintenance"
    assert await unknown_to(longer, replace(note, seq=0), NODE)  # nobody writes that; it is no event all the same


class Run:
    """A context as far as the age of a journal is minded in it."""

    def __init__(self, journal: MemoryStore, text: str = "") -> None:
        self.journal, self.text = journal, text
        self.error: Exception | None = None
        self.reads, self.needs, self.seq = 0, "", 5
        self.doubts, self.doubted = True, 0
        self.looked_back: dict[str, Any] = {}
        self.unread: dict[str, Any] = {}
        self.described: dict[str, Any] = {}

    def site(self, node: Any) -> Run:
        return self

    @property
    def hypervisor(self) -> Run:
        return self

    async def describe(self, node: Any) -> Description:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return Description(self.text)

    async def doubt(self, m: Maintenance, note: Note, why: str) -> bool:
        self.doubted += 1
        return self.doubts

    async def minds(self, after_s: float = 0.0, **changes: Any) -> str:
        """The blocker's code; "" when nothing is in the way."""
        sight, m = seen(cluster(**changes)), maintenance(needs=self.needs, seq=self.seq)
        blocker = await mind_age(self, m, replace(sight, at=sight.at + timedelta(seconds=after_s)))  # type: ignore[arg-type]
        return blocker.code if blocker is not None else ""


async def behind() -> Run:
    """Its journal has 5 events; the note was written at the 7th."""
    return Run(await written(5), with_note("rack 4", await note_of(await written(9), 7)))


async def test_it_blocks_for_as_long_as_it_is_so_and_no_operator_has_said_otherwise() -> None:
    run = await behind()
    assert [await run.minds(n) for n in (0, 1, 15)] == [older.CODE] * 3 and run.reads == 3
    run.doubts = False
    assert await run.minds(16) == "" and run.doubted == 4


async def test_a_note_in_order_is_read_again_after_a_while_and_not_before() -> None:
    store = await written(5)
    run = Run(store, with_note("", await note_of(store, 4)))
    assert [await run.minds(n) for n in (0, 1, 59)] == [""] * 3 and run.reads == 1
    run.text = (await behind()).text
    assert await run.minds(older.LOOK_BACK_S) == older.CODE and run.doubted == 1


async def test_while_only_a_person_s_word_can_set_it_going_it_is_not_read_again() -> None:
    store = await written(5)
    run = Run(store, with_note("", await note_of(store, 4)))
    run.needs = "technician"
    assert [await run.minds(n) for n in (0, 3600, 7200)] == [""] * 3 and run.reads == 1
    run.text, run.seq = (await behind()).text, 6  # he has come, and that was written down
    assert await run.minds(7201) == older.CODE
    run.needs, run.seq = "time", 5
    run.looked_back.clear()
    assert await run.minds(7202) == older.CODE


async def test_a_node_without_a_note_or_that_is_off_tells_nothing() -> None:
    run = Run(await written(5), "rack 4")
    assert await run.minds() == "" and run.reads == 1
    run = await behind()
    assert await run.minds(offline=("pve3",)) == "" and run.reads == 0
    assert await run.minds(1) == older.CODE, "but it is asked as soon as it is up"


async def test_what_cannot_be_read_now_is_waited_for_and_not_for_ever() -> None:
    run = await behind()
    run.error = Retryable("no answer")
    for after_s in (0.0, older.UNREAD_S - 1):
        with pytest.raises(Retryable):
            await run.minds(after_s)
    assert await run.minds(older.UNREAD_S) == ""
    run.error = None
    assert await run.minds(older.UNREAD_S + older.LOOK_BACK_S) == older.CODE
    run = await behind()
    run.error = Forbidden("Sys.Audit is missing")
    assert await run.minds() == "", "whoever may not read it goes on without"
