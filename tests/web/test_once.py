"""Everything a technician sends counts once, in the order in which it was said, however often and however late it
comes again; and the same id gets the same answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from noout.app.links import Visit
from noout.app.technician import OPERATIONS_MAX, FieldWork
from noout.domain.errors import Refused
from noout.domain.journal import MessageKind
from noout.domain.workorder import Answer
from noout.tell.field import Declined
from tests.web.world import SERIAL, World

VISIT = Visit("m-0001", "ruben", "f" * 64, "device")
CHECKS = ("fans.clean", "fans.inspect", "bus.inspect", "not.there")


def work(world: World) -> FieldWork:
    return FieldWork(world, world.maintenance, world.messages, world.post, world.look)


async def say(field: FieldWork, number: int, check: str, answer: Answer) -> str:
    """One operation; what was answered, but for whether it was new."""
    try:
        await field.finding(VISIT, check, answer, f"note {number}", f"key-{number}")
    except Refused as error:
        return error.message
    return "accepted"


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[tuple[str, Answer]], list[int]]:
    """Operations in the order of the phone's outbox, and how they arrive: each for the first time in its order, and
    any of those that had come again at any time (an answer was lost, a proxy tried twice, a tab was left open)."""
    said = draw(st.lists(st.tuples(st.sampled_from(CHECKS), st.sampled_from(list(Answer))), min_size=1, max_size=6))
    arriving: list[int] = []
    for number in range(len(said)):
        arriving += draw(st.lists(st.integers(0, number), max_size=3))
        arriving.append(number)
    return said, arriving + draw(st.lists(st.integers(0, len(said) - 1), max_size=4))


@settings(max_examples=60, deadline=None)
@given(deliveries())
def test_any_order_of_retries_and_losses_is_as_if_each_came_once(
    given_: tuple[list[tuple[str, Answer]], list[int]],
) -> None:
    said, arriving = given_

    async def played(order: list[int]) -> tuple[World, dict[int, set[str]]]:
        world = World()
        world.make_safe()
        answers: dict[int, set[str]] = {}
        first: list[int] = []
        for number in order:
            if number not in first and number > len(first):
                continue  # the outbox sends nothing before what was said earlier
            first += [number] if number not in first else []
            answers.setdefault(number, set()).add(await say(work(world), number, *said[number]))
            world.now_ += timedelta(seconds=1)
        return world, answers

    once, plain = asyncio.run(played(list(range(len(said)))))
    world, answers = asyncio.run(played(arriving))
    assert answers == plain and all(len(each) == 1 for each in answers.values())
    assert [(each.key, each.kind, each.data) for each in world.messages_] == [
        (each.key, each.kind, each.data) for each in once.messages_
    ]


async def test_two_at_the_same_moment_are_one() -> None:
    world = World()
    world.make_safe()
    found = await asyncio.gather(*(work(world).sign_off(VISIT, "k") for _ in range(2)), return_exceptions=True)
    assert len(world.messages_) == 1 and isinstance(found[0], Declined)  # checks are left: told to both
    world.answer_all()
    new = await asyncio.gather(*(work(world).sign_off(VISIT, "k2") for _ in range(3)))
    assert sorted(new) == [False, False, True]
    assert len(world.said(MessageKind.SIGN_OFF)) == 1


async def test_a_refusal_is_kept_and_given_again_though_it_would_be_taken_now() -> None:
    world = World()
    field = work(world)
    wrong: set[str] = set()
    for serial in ("CZ2D5009X99", SERIAL):  # the second time under the same id
        try:
            await field.hands_on(VISIT, serial, "k")
        except Declined as error:
            wrong.add(error.message)
    assert len(wrong) == 1 and "DO NOT TOUCH: this is not pve3" in wrong.pop()
    assert world.said(MessageKind.HANDS_ON) == [] and len(world.said(MessageKind.TURNED_DOWN)) == 1
    assert await field.hands_on(VISIT, SERIAL, "k3")


async def test_an_id_used_for_two_things_is_refused() -> None:
    world = World()
    world.make_safe()
    field = work(world)
    assert await field.finding(VISIT, "fans.clean", Answer.DONE, "", "k")
    try:
        await field.not_today(VISIT, "no spare", "k")
    except Declined as error:
        assert error.why.key == "refused.key"
    assert [each.kind for each in world.messages_] == [MessageKind.FINDING]


async def test_one_link_cannot_fill_the_journal() -> None:
    world = World()
    world.make_safe()
    await work(world).finding(VISIT, "fans.clean", Answer.DONE, "", "k0")
    first = world.messages_[0]
    world.messages_ += [replace(first, key=first.key + str(number)) for number in range(OPERATIONS_MAX)]
    try:
        await work(world).finding(VISIT, "fans.clean", Answer.DONE, "", "k-new")
    except Declined as error:
        assert error.why.key == "refused.many"
    assert len(world.messages_) == OPERATIONS_MAX + 1
