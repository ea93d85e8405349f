"""Drafts and their release: nothing leaves unless somebody says so, and an interruption is never called unnoticed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from noout.app.drafting import Drafting
from noout.app.outbox import Outbox, digest_of
from noout.codec import encode
from noout.domain.customers import Contact, Wants
from noout.domain.errors import Refused, UsageError
from noout.domain.journal import Kind, chain_error
from noout.domain.notices import Class, Impact, State, stream_of
from tests.support.telling import CUSTOMERS, MID, House, plan
from tests.unit.tell.cast import GUESTS, at

ANNA = "operator:anna"


async def test_before_the_work_each_concerned_customer_has_one_draft_and_nothing_is_released() -> None:
    house = House.make()
    await house.open()
    drafting = Drafting(house.found)
    made = await drafting.look()
    assert sorted((each.customer, each.kind) for each in made) == [
        ("boekhuis", Class.PLANNED), ("kade", Class.PLANNED), ("libreria", Class.PLANNED),
    ]  # fmt: skip
    assert await drafting.look() == [] and await Drafting(house.found).look() == []
    assert {each.standing.state for each in await Outbox(house.found).all()} == {State.DRAFT}
    assert await Outbox(house.found).published("boekhuis") == []


async def test_what_is_expected_is_told_of_each_service_and_never_as_no_impact() -> None:
    house = House.make()
    await house.open()
    made = {each.customer: each for each in await Drafting(house.found).look()}
    assert {each.service: each.impact for each in made["libreria"].services} == {
        "tienda": Impact.REDUCED_REDUNDANCY, "wiki": Impact.DEGRADED,
    }  # fmt: skip
    assert [(each.service, each.impact) for each in made["kade"].services] == [("render-gpu", Impact.OUTAGE)]
    text = made["libreria"].text_for("en", "Europe/Madrid")
    told = " ".join(line.text for line in text.lines)
    assert "wiki restarts twice, as agreed" in told and "not a promise" in told and "one copy less" in told
    assert "pve" not in f"{text.subject}{text.lede}{told}"


async def test_quiet_hours_are_in_the_times_that_are_announced() -> None:
    house = House.make()
    quiet = ("Mon-Sun 00:00-22:00 Europe/Madrid",)  # winter: 21:00 UTC
    ordered = plan()
    of_libreria = {each.id for each in GUESTS if "sol" in each.tags}
    moves = tuple(replace(each, quiet=quiet) if each.guest in of_libreria else each for each in ordered.moves)
    await house.open()
    await house.write(at(8, 55), Kind.PLANNED, {"plan": encode(replace(ordered, moves=moves))})
    made = {each.customer: each for each in await Drafting(house.found).look()}
    assert made["libreria"].since.hour == 21 and made["libreria"].since.date() == at(8, 55).date()
    assert made["boekhuis"].since == at(8, 55)
    assert {each.until for each in made.values()} == {made["libreria"].since + timedelta(hours=2, seconds=1200)}


async def test_a_change_withdraws_a_draft_and_is_told_as_a_change_only_of_what_was_released() -> None:
    house = House.make()
    await house.open()
    drafting, outbox = Drafting(house.found), Outbox(house.found)
    first = {each.customer: each for each in await drafting.look()}
    await outbox.release(first["libreria"].id, ANNA)
    moved = {"why": "the window", "code": "window", "needs": "time", "until": at(13, 0).isoformat()}
    await house.write(at(8, 56), Kind.WAITING, moved)
    second = {each.customer: each for each in await drafting.look()}
    assert second["libreria"].kind is Class.CHANGED and second["libreria"].number == 1
    assert "times" in second["libreria"].text_for("en", "").lede
    assert second["boekhuis"].kind is Class.PLANNED and second["boekhuis"].number == 0
    assert (await outbox.get(first["boekhuis"].id)).standing.state is State.WITHDRAWN
    fewer = plan()
    fewer = type(fewer)(**{each: getattr(fewer, each) for each in fewer.__slots__} | {"moves": fewer.moves[:3]})
    await house.write(at(8, 57), Kind.PLANNED, {"plan": encode(fewer)})
    third = {each.customer: each for each in await drafting.look()}
    assert "libreria" not in third or third["libreria"].services


async def test_afterwards_the_report_is_drafted_in_three_languages_and_released_by_a_name() -> None:
    house = House.make()
    await house.open()
    await house.carry_through()
    drafting, outbox = Drafting(house.found), Outbox(house.found)
    made = {each.customer: each for each in await drafting.look()}
    assert {each.kind for each in made.values()} == {Class.DONE}
    kept = await outbox.get(made["libreria"].id)
    assert set(kept.reports) == {"en", "nl", "es"}
    assert kept.reports["es"]["headline"]["figure"].replace("\u00a0", " ") in made["libreria"].texts[0].subject.replace(
        "\u00a0", " "
    )
    await outbox.release(kept.notice.id, ANNA)
    again = await outbox.get(kept.notice.id)
    assert (again.standing.state, again.standing.by) == (State.RELEASED, ANNA)
    assert [each.notice.id for each in await outbox.published("libreria")] == [kept.notice.id]
    with pytest.raises(Refused, match="released already"):
        await outbox.release(kept.notice.id, "operator:piet")
    events = await house.found.journal.read(stream_of("libreria"))
    assert chain_error(events) is None
    assert "Librer" not in str([each.data for each in events])  # no name: it can be erased


async def test_an_interruption_drafts_the_account_managers_text_and_never_the_one_of_unnoticed_work() -> None:
    house = House.make(tell={"automatic": ["planned", "changed", "done", "repaired", "digest"]})
    await house.open()
    await house.carry_through(silent_s=20)
    made = await Drafting(house.found).look()
    of_boekhuis = [each for each in made if each.customer == "boekhuis"]
    assert [each.kind for each in of_boekhuis] == [Class.INCIDENT, Class.INTERRUPTED]
    assert "shop-web-1" in [line.label for line in of_boekhuis[0].texts[0].lines]
    outbox = Outbox(house.found)
    assert {(await outbox.get(each.id)).standing.state for each in of_boekhuis} == {State.DRAFT}  # never by itself
    assert "interrupted" in of_boekhuis[1].text_for("en", "").subject
    done = next(each for each in made if each.customer == "libreria")
    assert (await outbox.get(done.id)).standing.by == "noout:automatic"


async def test_repaired_is_said_only_after_the_probation_and_came_back_when_it_did() -> None:
    for kind, expected in ((Kind.PROBATION_PASSED, Class.REPAIRED), (Kind.PROBATION_FAILED, Class.CAME_BACK)):
        house = House.make()
        await house.open()
        await house.carry_through()
        drafting, outbox = Drafting(house.found), Outbox(house.found)
        for each in await drafting.look():
            await outbox.release(each.id, ANNA)
        assert not any("epaired" in text.subject for each in await outbox.all() for text in each.notice.texts)
        await house.write(at(9, 51) + timedelta(days=7), kind, {"why": "FAN3B of pve3 again"})
        made = await drafting.look()
        assert {each.kind for each in made} == {expected} and len(made) == 3
        assert all("pve3" not in f"{text.lede}{text.lines}" for each in made for text in each.texts)


async def test_a_correction_is_numbered_and_takes_the_place_of_what_was_wrong_once_released() -> None:
    house = House.make()
    await house.open()
    await house.carry_through()
    drafting, outbox = Drafting(house.found), Outbox(house.found)
    first = next(each for each in await drafting.look() if each.customer == "libreria")
    with pytest.raises(Refused, match="no released report"):
        await drafting.correct(first.id, "the clock was wrong.")
    await outbox.release(first.id, ANNA)
    second = await drafting.correct(first.id, "the clock was wrong.")
    assert second.number == first.number + 1 and second.supersedes == first.id
    assert [each.notice.id for each in await outbox.published("libreria")] == [first.id]
    await outbox.release(second.id, ANNA)
    assert [each.notice.id for each in await outbox.published("libreria")] == [second.id]
    with pytest.raises(Refused, match="corrected already"):
        await drafting.correct(first.id, "again.")


async def test_what_was_changed_after_it_was_drafted_cannot_be_released() -> None:
    house = House.make()
    await house.open()
    outbox = Outbox(house.found)
    made = (await Drafting(house.found).look())[0]
    paper = dict(encode(made))
    paper["texts"] = [{**paper["texts"][0], "subject": "Nothing happened"}, *paper["texts"][1:]]
    await house.found.papers.put("notice", made.id, made.customer, paper)
    with pytest.raises(Refused, match="changed after it was drafted"):
        await outbox.release(made.id, ANNA)
    with pytest.raises(UsageError):
        await outbox.get("nobody-1")


async def test_a_contract_that_wants_notice_says_so_and_holds_back_what_would_leave_by_itself() -> None:
    wanting = {key: {**each, "notice_h": 72} for key, each in CUSTOMERS.items()}
    house = House.make(customers=wanting, tell={"automatic": ["planned"]})
    await house.open()
    made = await Drafting(house.found).look()
    assert all("72 h notice of planned work" in each.late for each in made)
    assert {each.standing.state for each in await Outbox(house.found).all()} == {State.DRAFT}


async def test_each_reader_has_their_own_language_and_clock() -> None:
    house = House.make()
    reader = Contact("kade", "a@kade.example", "A", "nl", "America/New_York", Wants.EVERY)
    await Outbox(house.found).contacts.keep(reader)
    await house.open()
    made = next(each for each in await Drafting(house.found).look() if each.customer == "kade")
    mine = made.text_for("nl", "America/New_York")
    assert "03.55" in mine.lines[0].text and "America/New_York" in mine.lines[0].text
    assert "09:55" in made.text_for("en", "Europe/Amsterdam").lines[0].text


async def test_a_guest_of_nobody_is_in_no_message() -> None:
    house = House.make()
    await house.open()
    await house.carry_through()
    made = await Drafting(house.found).look()
    assert "nobodys-machine" not in str([encode(each) for each in made])
    assert digest_of({"b": 1, "a": [1, 2]}) == digest_of({"a": [1, 2], "b": 1})
    assert MID not in str([[encode(text) for text in each.texts] for each in made if each.kind is Class.DONE])
