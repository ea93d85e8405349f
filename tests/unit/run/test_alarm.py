"""What is written down of the node before it goes: once, while it is up, and said where it says nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.codec import encode
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Json, Maintenance, Observation
from noout.run.alarm import mind_exposure
from noout.run.context import Context
from noout.run.drift import note_drift
from noout.run.fold import fold_one
from noout.run.record import Known, Record
from tests.unit.run.test_settle import Hand
from tests.unit.steps.scene import (
    NODE,
    T0,
    ceph,
    cluster,
    guest,
    maintenance,
    move,
    owning,
    plan,
    seen,
    without,
)


class Book:
    """A journal that is one maintenance."""

    def __init__(self, **changes: Any) -> None:
        self.m: Maintenance = maintenance(**{"step": "hold-data", **changes})
        self.facts: list[str] = []

    async def write(self, kind: Kind, data: dict[str, Any]) -> None:
        self.facts.append(data["name"])
        self.m = fold_one(self.m, Event(self.m.id, self.m.seq + 1, T0, kind, data, "noout", ""))


class Asked:
    """A context of which the inventory is asked, and that pages."""

    def __init__(self, told: Json) -> None:
        self.told, self.times = told, 0
        self.paged: list[str] = []

    async def page(self, m: Maintenance, text: str) -> None:
        self.paged.append(text)

    async def inventory(self, m: Maintenance, seen: Observation) -> Json:
        self.times += 1
        return self.told


async def minded(book: Book, asked: Asked, state: Observation | None = None) -> Book:
    await mind_exposure(cast(Context, asked), cast(Record, book), state or seen(cluster()))
    return book


async def test_it_is_asked_once_as_the_data_is_about_to_be_held() -> None:
    asked, book = Asked({"kernel": "6.14"}), Book()
    for _ in range(3):
        await minded(book, asked)
    assert asked.times == 1
    assert book.m.facts["inventory"] == {"kernel": "6.14"}
    assert "caution" not in book.facts


async def test_where_it_says_nothing_that_is_a_caution_and_no_hindrance() -> None:
    asked, book = Asked(None), Book()
    for _ in range(3):
        await minded(book, asked)
    assert asked.times == 1
    assert [each.code for each in book.m.cautions if each.code.startswith("comeback")] == ["comeback.unread"]
    assert not book.m.blockers


@pytest.mark.parametrize(
    ("changes", "offline"),
    [
        ({"step": "evacuate"}, ()),
        ({"step": "repair"}, ()),
        ({"node_off_at": T0}, ()),
        ({"aborting": True}, ()),
        ({}, ("pve3",)),
    ],
)
async def test_not_before_and_not_once_it_is_going(changes: dict[str, Any], offline: tuple[str, ...]) -> None:
    asked = Asked({"kernel": "6.14"})
    book = await minded(Book(**changes), asked, seen(cluster(offline=offline)))
    assert asked.times == 0
    assert "inventory" not in book.facts


async def test_a_second_fault_that_says_something_else_each_time_is_still_one() -> None:
    before = {"baseline": {"nodes": ["pve5"], "mons": [], "osds": []}, "inventory": {}}
    asked, book = Asked(None), Book(step="repair", node_off_at=T0, facts=before)
    for seconds, inactive in ((0, 9), (12, 15), (24, 11)):
        state = seen(
            cluster(offline=("pve3", "pve5")),
            ceph(pgs_by_state={"active+clean": 100, "peering": inactive}),
            at=T0 + timedelta(seconds=seconds),
        )
        await minded(book, asked, state)
    assert len(asked.paged) == 1 and "11 placement groups" in asked.paged[0]
    assert book.m.urgent


async def test_what_looked_like_a_second_fault_for_a_moment_counts_from_the_beginning_again() -> None:
    before = {"baseline": {"nodes": ["pve5"], "mons": [], "osds": []}, "inventory": {}}
    asked, book = Asked(None), Book(step="repair", node_off_at=T0, facts=before)
    for seconds, away in ((0, ("pve3", "pve5")), (12, ("pve3",)), (24, ("pve3", "pve5"))):
        await minded(book, asked, seen(cluster(offline=away), at=T0 + timedelta(seconds=seconds)))
    assert not asked.paged and not book.m.urgent


async def test_a_noout_that_somebody_cleared_while_osds_are_down_is_paged_once_each_time() -> None:
    owned = owning(("noout", "pve3"), ("osd-stopped", "osd.4"), ("osd-stopped", "osd.5"))
    asked, book = Asked({}), Book(owned=owned, step="repair")
    held = seen(cluster(), without(ceph(host_flags={"pve3": frozenset({"noout"})}), 4, 5))
    cleared = seen(cluster(), without(ceph(), 4, 5))
    for state in (held, cleared, cleared, held):
        await minded(book, asked, state)
    assert asked.paged == ["somebody cleared the noout of pve3 while its OSDs are down: it is set again"]
    await minded(book, asked, cleared)
    assert len(asked.paged) == 2
    let_go, other = Book(owned=owned, step="repair", healing=True), Asked({})
    await minded(let_go, other, cleared)
    assert other.paged == []


async def test_a_guest_of_the_plan_that_is_on_no_node_any_more_is_told_once() -> None:
    store = MemoryStore(Hand())  # type: ignore[arg-type]
    told = [
        (Kind.OPENED, {"node": str(NODE), "mode": "auto"}),
        (Kind.PLANNED, {"plan": encode(plan(move(101), move(102)))}),
    ]
    for seq, (kind, data) in enumerate(told):
        await store.append("ams1-pve3-1", seq, kind, data)
    record = await Record.read(Known(store), "ams1-pve3-1")
    here = seen(cluster(guest(101)))
    assert await note_drift(record, here) == ["g102 is no longer there (ams1/102): it is on no node of the cluster"]
    assert await note_drift(record, here) == []
    assert await note_drift(record, seen(cluster(guest(101, "pve1")))) == [], "moved by others is not lost"
