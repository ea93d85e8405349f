"""Operators' tasks, done by a script that knows the start page and what people read: no selectors, no addresses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from noout.domain.journal import Event
from noout.domain.maintenance import Mode, Phase
from tests.browser.conftest import serving
from tests.browser.test_console import signed_in
from tests.browser.test_phone import complaints
from tests.unit.steps.scene import owning
from tests.web.place import Place
from tests.web.world import START

pytestmark = pytest.mark.real


def quiet() -> Place:
    """pve3 is proposed, and nothing is in maintenance."""
    made = Place()
    made.m = replace(made.m, closed_at=START, outcome="done", phase=Phase.DONE, needs="")
    return made


async def test_find_out_why_a_node_is_proposed(browser: Browser) -> None:
    async with serving(quiet()) as base:
        page = await signed_in(await browser.new_context(), base)
        against = complaints(page)
        proposed = page.get_by_role("region", name="Proposed")
        await expect(proposed).to_contain_text("FAN3B stops and restarts by itself, 14 times in 5 days")
        await expect(proposed.get_by_role("img", name="Its last seven days")).to_be_visible()
        await proposed.get_by_role("link", name="See the evidence").click()
        await expect(page.get_by_role("region", name="What noout proposes")).to_contain_text("days, not hours")
        await expect(page.get_by_role("region", name="The last seven days")).to_be_attached()
        sensors = page.get_by_role("region", name="Every sensor")
        await expect(sensors.get_by_role("row", name="FAN3B")).to_contain_text("flapping")
        assert against == []


async def test_approve_and_follow_a_maintenance(browser: Browser) -> None:
    here = quiet()
    async with serving(here) as base:
        page = await signed_in(await browser.new_context(viewport={"width": 1440, "height": 900}), base)
        against = complaints(page)
        await page.get_by_role("link", name="See the plan").click()
        await expect(page.get_by_role("heading", name="pve3 can be emptied")).to_be_visible()
        does = page.get_by_role("region", name="What it does")
        await expect(does).to_contain_text("1 guest moves live to other nodes")
        await expect(does).to_contain_text("only when a technician has confirmed to stand at pve3")
        await page.get_by_label("Why, for the technician and the record").fill("FAN3B flaps")
        await page.get_by_label("By itself, up to the points where a person is needed").check()
        here.m = replace(here.m, closed_at=None, outcome="", phase=Phase.EVACUATING, seq=1)  # what the run makes of it
        await page.get_by_role("button", name="Approve and begin").click()
        assert here.desk.begun[0]["mode"] is Mode.AUTO and here.desk.begun[0]["approves"]
        await expect(page.get_by_role("heading", level=1)).to_contain_text("evacuating")
        await expect(page.get_by_role("status").get_by_text("live", exact=True)).to_be_visible()
        said = {"needs": "technician", "why": "the technician to stand at the rack"}
        here.events.append(Event("m-0001", 2, START, "waiting", said, "noout", "0" * 64))
        here.m = replace(
            here.m, seq=2, phase=Phase.EVACUATED, step="dispatch", steps_done=(("evacuate", START),),
            needs="technician",
            waiting_for="the technician to stand at the rack", waiting_code="hands-on", waiting_since=START,
        )  # fmt: skip
        await expect(page.get_by_role("region", name="Waits for")).to_contain_text(
            "The technician to stand at the rack"
        )
        await expect(page.get_by_role("region", name="Journal", exact=True)).to_contain_text("waits: the technician")
        here.m = replace(
            here.m, seq=3, phase=Phase.REPAIR, step="repair", node_off_at=START, owned=owning(("noout", "pve3")),
            hands_on_by="ruben", waiting_for="", needs="",
        )  # fmt: skip
        await expect(page.get_by_role("region", name="Set by this maintenance")).to_contain_text("noout pve3")
        await expect(page.get_by_role("link", name="Close up…")).to_be_visible()
        here.m = replace(
            here.m, seq=4, phase=Phase.DONE, outcome="done", owned=(), closed_at=START + timedelta(hours=1),
            node_on_at=START + timedelta(minutes=31),
        )  # fmt: skip
        await expect(page.get_by_role("heading", level=1)).to_contain_text("done")
        await page.get_by_role("link", name="Maintenances", exact=True).click()
        await expect(page.get_by_role("row", name="m-0001")).to_contain_text("31 min 0 s")
        assert against == []
