"""Another server goes away while hands are at work on one: paged and written down at once, for it may be the wrong
one; the right serial, read again, explains it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from noout.domain.journal import Event, Kind, Message, MessageKind
from noout.domain.maintenance import Maintenance, Observation
from noout.domain.workorder import Location
from noout.run.alarm import mind_neighbours
from noout.run.context import Context
from noout.run.fold import fold_one
from noout.run.inbox import refusal
from noout.run.record import Record
from noout.steps.neighbours import WRONG_SERVER
from noout.tell.checklist import make_work_order
from tests.unit.run.test_alarm import Book
from tests.unit.steps.scene import T0, cluster, seen

STANDING = {"ams1/pve1": True, "ams1/pve2": True, "rtm1/pve9": True}


class Near:
    """A context that sees these servers, and pages."""

    def __init__(self) -> None:
        self.stand: dict[str, bool] = dict(STANDING)
        self.paged: list[str] = []

    async def neighbours(self, m: Maintenance, seen: Observation) -> dict[str, bool]:
        return self.stand

    async def page(self, m: Maintenance, text: str) -> None:
        self.paged.append(text)


async def look(near: Near, book: Book, **stand: bool | None) -> list[str]:
    near.stand = {each: up for each, up in {**STANDING, **stand}.items() if up is not None}
    await mind_neighbours(cast(Context, near), cast(Record, book), seen(cluster()))
    return list(book.m.facts.get(WRONG_SERVER) or ())


async def at_work() -> tuple[Near, Book]:
    near, book = Near(), Book(step="repair", hands_on_at=T0)
    assert await look(near, book) == []
    return near, book


def said(book: Book, kind: MessageKind, data: dict[str, Any]) -> None:
    told = {"key": f"k{book.m.seq}", "kind": kind.value, "at": T0.isoformat(), "data": data}
    book.m = fold_one(book.m, Event(book.m.id, book.m.seq + 1, T0, Kind.MESSAGE, told, "technician:ruben", ""))


async def test_it_is_paged_at_once_and_once() -> None:
    near, book = await at_work()
    for _ in range(3):
        assert await look(near, book, **{"ams1/pve2": False}) == ["ams1/pve2"]
    assert len(near.paged) == 1 and "WRONG SERVER?" in near.paged[0] and near.paged[0].startswith("pve2 went away")
    assert await look(near, book, **{"ams1/pve2": False, "rtm1/pve9": False}) == ["ams1/pve2", "rtm1/pve9"]
    assert len(near.paged) == 2 and near.paged[1].startswith("rtm1/pve9 went away")
    assert await look(near, book, **{"ams1/pve2": True, "rtm1/pve9": False}) == ["rtm1/pve9"]
    assert len(near.paged) == 2


async def test_what_nobody_can_say_changes_nothing() -> None:
    near, book = await at_work()
    assert await look(near, book, **{"rtm1/pve9": None}) == []
    assert await look(near, book, **{"rtm1/pve9": False}) == ["rtm1/pve9"]
    assert await look(near, book, **{"rtm1/pve9": None}) == ["rtm1/pve9"]


async def test_what_was_away_before_the_technician_came_is_no_alarm() -> None:
    near, book = Near(), Book(step="repair", hands_on_at=T0)
    assert await look(near, book, **{"ams1/pve2": False}) == []
    assert await look(near, book, **{"ams1/pve2": False}) == []
    assert near.paged == []


async def test_nothing_is_asked_while_nobody_is_at_the_rack() -> None:
    for changes in ({}, {"hands_on_at": T0, "signed_off_at": T0}, {"hands_on_at": T0, "node_on_at": T0}):
        near, book = Near(), Book(step="repair", **changes)
        await look(near, book, **{"ams1/pve2": False})
        assert (book.facts, near.paged) == ([], [])


async def test_the_alarm_ends_with_the_sign_off() -> None:
    near, book = await at_work()
    await look(near, book, **{"ams1/pve2": False})
    book.m = replace(book.m, signed_off_at=T0 + timedelta(minutes=1))
    assert await look(near, book, **{"ams1/pve2": False}) == []


async def test_the_right_serial_read_again_explains_it_and_another_loss_is_an_alarm_again() -> None:
    near, book = await at_work()
    await look(near, book, **{"ams1/pve2": False})
    said(book, MessageKind.SERIAL_AGAIN, {"serial": "CZ1", "away": ["ams1/pve2"]})
    assert await look(near, book, **{"ams1/pve2": False}) == []
    assert await look(near, book, **{"ams1/pve2": False, "ams1/pve1": False}) == ["ams1/pve1"]
    assert len(near.paged) == 2


async def test_the_run_refuses_the_serial_of_another_server() -> None:
    book = Book(step="repair", hands_on_at=T0)
    m = replace(book.m, work_order=make_work_order(book.m, Location(serial="CZ2D5007K41"), "WO-1"))
    for serial, why in (("CZ2D5009X99", "this is another machine"), ("cz2d5007k41", "")):
        message = Message("k", MessageKind.SERIAL_AGAIN, "technician:ruben", T0, {"serial": serial})
        assert why in refusal(m, message) if why else refusal(m, message) == ""


async def test_a_second_visit_begins_with_those_that_stand_then() -> None:
    near, book = await at_work()
    said(book, MessageKind.HANDS_ON, {"serial": ""})
    assert await look(near, book, **{"ams1/pve2": False}) == []
    assert await look(near, book, **{"ams1/pve2": False}) == []
