"""A guest that a new plan adds is written down with the address at which it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from noout.codec import encode
from noout.domain.cluster import ClusterState, Guest
from noout.domain.maintenance import Json
from noout.run.context import Context
from noout.run.newcomers import note_newcomers
from noout.run.record import Record
from noout.run.touched import guests_of
from tests.unit.run.test_alarm import Book
from tests.unit.steps.scene import cluster, guest, move, plan

OLD, NEW = guest(100), guest(101)


class Addressing:
    def __init__(self, told: Json = None) -> None:
        self.told = told

    async def addressed(self, state: ClusterState, guests: Sequence[Guest]) -> tuple[Sequence[Guest], Json]:
        return [replace(each, addresses=(f"192.0.2.{each.id.vmid}",)) for each in guests], self.told


def book() -> Book:
    return Book(facts={"guests": [encode(OLD)]})


async def note(there: Book, context: Addressing, *guests: Guest) -> Book:
    made = plan(*(move(each.id.vmid) for each in guests))
    await note_newcomers(cast(Context, context), cast(Record, there), cluster(*guests), made)
    return there


async def test_nothing_is_written_where_nobody_is_new() -> None:
    assert (await note(book(), Addressing({"asked": {}}), OLD)).facts == []


async def test_a_newcomer_is_recorded_with_its_address_and_what_there_is_to_say_of_it() -> None:
    written = await note(book(), Addressing({"asked": {}, "unmeasured": {}}), OLD, NEW)
    assert written.facts == ["guests", "own-addresses"]
    assert [each.addresses for each in guests_of(written.m)] == [("192.0.2.100",), ("192.0.2.101",)]
    assert (await note(book(), Addressing(), OLD, NEW)).facts == ["guests"], "with nothing to say, nothing is said"
