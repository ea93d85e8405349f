"""A customer who wants to acknowledge first: on their own portal, once, kept by ids; and the run that waits for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noout.app.acknowledging import unacknowledged
from noout.app.drafting import Drafting
from noout.app.mapping import customers_of
from noout.app.outbox import Outbox
from noout.app.portal import Portals
from noout.app.public.envelope import Operation
from noout.codec import encode
from noout.domain.errors import Refused, UsageError
from noout.domain.hardware import Urgency
from noout.domain.journal import Kind, chain_error
from noout.domain.maintenance import Maintenance
from noout.domain.notices import ACKNOWLEDGED, Purpose, stream_of
from noout.run import opening
from tests.support.telling import CUSTOMERS, MID, House, plan, told_settings
from tests.unit.tell.cast import FAULT, at
from tests.web.test_portal import ANNA, visitor

WANT = {"customers": CUSTOMERS | {"libreria": {**CUSTOMERS["libreria"], "acknowledge_h": 6}}}


async def planned() -> tuple[House, str]:
    """A maintenance that has not begun, and the id of the draft for the customer who wants to acknowledge."""
    house = House.make(**WANT)
    await house.open()
    made = await Drafting(house.found).look()
    return house, next(each.id for each in made if each.customer == "libreria")


async def held(house: House) -> Any:
    return await unacknowledged(house.found, await house.found.known.get(MID))


async def test_a_run_waits_for_the_draft_then_for_the_customer_and_then_no_more() -> None:
    house, id = await planned()
    first = await held(house)
    assert first.limit == at(8, 55) + timedelta(hours=6)
    assert first.why == f"libreria to acknowledge {id}, which nobody has released (noout tell release)"
    house.clock.at = at(9, 30)
    await Outbox(house.found).release(id, ANNA)
    without = await held(house)
    assert without.why.endswith(f"{id}, who has no link to the portal (noout customers link libreria)")
    await Portals(house.found).make_link("libreria", Purpose.FEED, ANNA)
    assert await held(house) == without
    await Portals(house.found).make_link("libreria", Purpose.PORTAL, ANNA)
    second = await held(house)
    assert second.why == f"libreria to acknowledge {id}" and second.limit == at(9, 30) + timedelta(hours=6)
    await Outbox(house.found).acknowledge(id, "customer:libreria")
    assert await held(house) is None


async def test_nobody_is_waited_for_who_does_not_want_it_or_is_not_touched() -> None:
    house = House.make()
    await house.open()
    assert await held(house) is None
    house, _ = await planned()
    ordered = plan()
    others = tuple(move for move in ordered.moves if move.name not in ("wiki", "tienda"))
    await house.write(at(8, 56), Kind.PLANNED, {"plan": encode(replace(ordered, moves=others))})
    assert await held(house) is None


async def test_without_a_draft_it_says_how_there_will_be_one() -> None:
    house = House.make(**WANT)
    await house.open()
    assert "there is no draft (noout tell list makes it)" in (await held(house)).why


async def test_a_changed_notice_is_acknowledged_anew() -> None:
    house, id = await planned()
    outbox = Outbox(house.found)
    await outbox.release(id, ANNA)
    await outbox.acknowledge(id, "operator:anna")
    moved = {"why": "the window", "code": "window", "needs": "time", "until": at(20, 0).isoformat()}
    await house.write(at(8, 57), Kind.WAITING, moved)
    changed = next(each for each in await Drafting(house.found).look() if each.customer == "libreria")
    assert changed.id != id and changed.id in (await held(house)).why


@pytest.mark.parametrize("language", ["en", "nl", "es"])
async def test_the_customer_does_it_on_their_own_page_and_nobody_else_can(language: str) -> None:
    house, id = await planned()
    outbox, portals = Outbox(house.found), Portals(house.found)
    await outbox.release(id, ANNA)
    theirs = await portals.make_link("libreria", Purpose.PORTAL, ANNA)
    others = await portals.make_link("boekhuis", Purpose.PORTAL, ANNA)
    feed = await portals.make_link("libreria", Purpose.FEED, ANNA)
    where = f"/portal/message/{id}/acknowledge"
    async with visitor(portals) as browser:
        assert (await browser.post(where)).status_code == 404
        await browser.get(f"/p/{others}")
        assert (await browser.post(where)).status_code == 404
        browser.cookies.set("noout_portal", feed)
        assert (await browser.post(where)).status_code == 404
        assert await held(house) is not None
        browser.cookies.clear()
        page = (await browser.get(f"/p/{theirs}")).text
        assert f"/portal/message/{id}?lang=es" in page and "Confirme la lectura" in page
        asked = (await browser.get(f"/portal/message/{id}?lang={language}")).text
        assert where in asked and "<form" in asked
        told = await browser.post(f"{where}?lang={language}")
        assert told.status_code == 200 and told.url.path == f"/portal/message/{id}" and where not in told.text
        await browser.post(where)  # said again it changes nothing
    events = await house.found.journal.read(stream_of("libreria"))
    assert chain_error(events) is None
    (said,) = [each for each in events if each.kind == ACKNOWLEDGED]
    assert said.actor == "customer:libreria" and set(said.data) == {"notice", "digest"}
    assert await held(house) is None


async def test_a_public_process_passes_it_on_with_the_link_that_control_checks() -> None:
    house, id = await planned()
    await Outbox(house.found).release(id, ANNA)
    portals = Portals(house.found)
    token = await portals.make_link("libreria", Purpose.PORTAL, ANNA)
    other = await portals.make_link("kade", Purpose.PORTAL, ANNA)
    feed = await portals.make_link("libreria", Purpose.FEED, ANNA)
    for wrong in (other, feed, "guessed"):
        with pytest.raises(UsageError, match="no such message"):
            await portals.perform(Operation("1", "portal.acknowledge", wrong, told={"notice": id}))
    await portals.perform(Operation("1", "portal.acknowledge", token, told={"notice": id}))
    assert await held(house) is None


async def test_what_was_not_released_or_is_over_is_not_acknowledged() -> None:
    house, id = await planned()
    outbox = Outbox(house.found)
    with pytest.raises(Refused, match="nobody has been told it"):
        await outbox.acknowledge(id, ANNA)
    await house.carry_through()
    done = next(each for each in await Drafting(house.found).look() if each.customer == "libreria")
    await outbox.release(done.id, ANNA)
    with pytest.raises(Refused, match="no work to come"):
        await outbox.acknowledge(done.id, ANNA)


async def test_the_notice_asks_for_it_in_each_language_and_only_where_it_is_waited_for() -> None:
    house, id = await planned()
    every = await Outbox(house.found).all()
    for kept in every:
        for text in kept.notice.texts:
            asks = any(
                line.label in ("Please acknowledge", "Graag bevestigen", "Confirme la lectura, por favor")
                for line in text.lines
            )
            assert asks == (kept.notice.id == id)


def test_only_the_beginning_waits_and_not_what_cannot_wait() -> None:
    m = Maintenance(MID, FAULT.node, "fans", "auto", at(8, 55), ANNA, 3, fault=FAULT, step="evacuate")  # type: ignore[arg-type]
    assert opening.empties(m)
    assert not opening.empties(replace(m, fault=replace(FAULT, urgency=Urgency.EVACUATE_NOW)))
    assert not opening.empties(replace(m, aborting=True)) and not opening.empties(replace(m, step="return"))


def test_it_needs_the_portal() -> None:
    with pytest.raises(UsageError, match=r"customers\.libreria\.acknowledge_h: the portal.*is off"):
        told_settings(**WANT, tell={"channels": ["digest"]})
    assert customers_of(told_settings(**WANT))[1].acknowledge_h == 6
