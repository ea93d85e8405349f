"""The console's pages in a browser: read by everybody, with keys, with and without scripts, as it happens."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from noout.domain.ownership import Oddity
from noout.domain.reasons import Blocker, Caution
from noout.witness.tally import Heard
from tests.browser.conftest import serving
from tests.browser.test_phone import complaints
from tests.unit.access.test_sign_in import PASSWORD
from tests.unit.steps.scene import guest, move, plan
from tests.web.place import Place
from tests.web.world import START

PATIENCE_MS = 12_000  # of a page that hears nothing: SILENT_MS in console.js

pytestmark = pytest.mark.real

PAGES = (
    "/", "/maintenances", "/maintenances/m-0001", "/maintenances/m-0001/abort", "/nodes/ams1/pve3",
    "/nodes/ams1/pve3/plan", "/nodes/ams1/pve3/not-now", "/standstill", "/owned/ams1", "/record",
)  # fmt: skip
SAID, COMMAND = "noout pve3 in ams1 is set, with no live maintenance", "noout ledger --release noout pve3"
LEFT = Oddity("left", "ams1", "noout", "pve3", SAID, COMMAND)


def place() -> Place:
    made = Place()
    made.heard = [Heard(guest(104).id, START, 900, 4, timedelta(seconds=0.4), (True,) * 23 + (False,))]
    made.desk.oddities = (LEFT,)
    blocker = Blocker("guest.passthrough", "ams1/107", "VM 107 uses usb0", "tag it shutdown-ok")
    made.desk.plan_ = replace(
        plan(move(104)), cautions=(Caution("mon.two", "ams1", "2 of 3 mons are left", "leave them"),)
    )
    made.m = replace(made.m, blockers=(blocker,))
    return made


async def signed_in(context: BrowserContext, base: str) -> Page:
    page = await context.new_page()
    await page.goto(base)
    await page.get_by_label("Name").fill("anna")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_read_every_page_and_the_policy_is_kept(browser: Browser, scheme: str) -> None:
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    async with serving(place()) as base:
        context = await browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        page = await signed_in(context, base)
        against = complaints(page)
        wide: list[str] = []
        found: list[str] = []
        for path in PAGES:
            for width in (1440, 390) if scheme == "light" else (1440,):
                await page.set_viewport_size({"width": width, "height": 844})
                await page.goto(base + path)
                await expect(page.get_by_role("heading", level=1)).to_have_count(1)
                if await page.evaluate("document.documentElement.scrollWidth") > width:
                    wide.append(f"{path} at {width}")
                await page.evaluate(axe)
                result = await page.evaluate("axe.run()")
                found += [
                    f"{path} at {width}: {each['impact']} {each['id']}: {each['nodes'][0]['html'][:160]}"
                    for each in result["violations"]
                    if each["impact"] in ("serious", "critical")
                ]
                if where := os.environ.get("NOOUT_SCREENSHOTS"):
                    name = path.strip("/").replace("/", "-") or "fleet"
                    await page.screenshot(path=f"{where}/{name}-{width}-{scheme}.png", full_page=True)
        assert (found, wide, against) == ([], [], [])


async def test_what_happens_is_shown_without_a_reload_and_the_stream_ends_with_the_server(browser: Browser) -> None:
    here = place()
    async with serving(here) as base:
        page = await signed_in(await browser.new_context(), base)
        against = complaints(page)
        await page.goto(f"{base}/maintenances/m-0001")
        await page.evaluate("window.kept = true")
        await expect(page.get_by_role("status").get_by_text("live", exact=True)).to_be_visible()
        await expect(page.get_by_role("region", name="Blockers and cautions")).to_contain_text("VM 107 uses usb0")
        here.m = replace(here.m, seq=2, blockers=(), paused=True)
        await expect(page.get_by_role("region", name="Blockers and cautions")).to_contain_text("None.")
        await expect(page.get_by_role("button", name="Resume")).to_be_visible()
        assert await page.evaluate("window.kept") is True
        assert against == []
    # ``serving`` has waited for the server: a stream that did not end would have kept it for ever


async def test_a_page_that_no_stream_reaches_asks_by_itself(browser: Browser) -> None:
    here = place()
    async with serving(here) as base:
        context = await browser.new_context()
        page = await signed_in(context, base)
        await context.route("**/stream", lambda route: asyncio.sleep(0))  # a proxy that holds everything back
        await page.clock.install()
        await page.goto(f"{base}/maintenances/m-0001")
        async with page.expect_response("**/now"):
            await page.clock.run_for(PATIENCE_MS + 2_000)
        # It says "not live" until it has heard the answer, and asks again only then.
        await expect(page.locator("#live")).to_have_text("live")
        here.m = replace(here.m, seq=2, blockers=())
        async with page.expect_response("**/now"):
            await page.clock.run_for(PATIENCE_MS + 2_000)
        await expect(page.get_by_role("region", name="Blockers and cautions")).to_contain_text("None.")


@pytest.mark.parametrize("scripts", [True, False], ids=["with-javascript", "without-javascript"])
async def test_each_button_says_what_it_does_to_whom_before_it_does_it(browser: Browser, scripts: bool) -> None:
    here = place()
    async with serving(here) as base:
        page = await signed_in(await browser.new_context(java_script_enabled=scripts), base)
        await page.get_by_role("link", name="ams1/pve3: fans", exact=True).first.click()
        await expect(page.get_by_text("All guests keep running")).to_be_visible()
        await page.get_by_role("button", name="Pause").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("pve3: fans")
        await page.get_by_role("link", name="Abort…").click()
        await expect(page.get_by_text("What could not be undone is said at the end")).to_be_visible()
        await page.get_by_label("Why").fill("the customer called")
        await page.get_by_role("button", name="Abort now").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("pve3: fans")
    assert [message.kind for message in here.messages_] == ["pause", "abort"]
    assert here.messages_[1].data == {"from": "127.0.0.1", "reason": "the customer called"}


async def test_keys_walk_the_page_find_on_it_and_say_what_they_are(browser: Browser) -> None:
    async with serving(place()) as base:
        page = await signed_in(await browser.new_context(), base)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("k")
        await expect(page.get_by_role("link", name="ams1/pve3: fans", exact=True).first).to_be_focused()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("/")
        await page.get_by_label("Find on this page").fill("pve3")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("pve3")


async def test_what_was_left_behind_is_given_back_by_an_admin_who_reads_what_that_does(browser: Browser) -> None:
    here = place()
    async with serving(here) as base:
        page = await signed_in(await browser.new_context(), base)
        await expect(page.get_by_role("alert")).to_contain_text("is set, with no live maintenance")
        await page.get_by_role("link", name="Give it back…").click()
        await expect(page.get_by_text("refused while data is not all there")).to_be_visible()
        await page.get_by_role("button", name="Give back noout of pve3").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("What noout owns")
    assert here.desk.released == [("ams1", "noout", "pve3", "operator:anna", "127.0.0.1")]


async def test_a_proposal_is_put_aside_with_a_reason_and_everything_is_stopped_with_one(browser: Browser) -> None:
    here = place()
    async with serving(here) as base:
        page = await signed_in(await browser.new_context(), base)
        await page.get_by_role("link", name="Not now…").click()
        await page.get_by_label("Remind me in a week").check()
        await page.get_by_label("Why").fill("the part comes on Monday")
        await page.get_by_role("button", name="Put aside").click()
        await page.get_by_role("link", name="Stop everything…").click()
        await expect(page.get_by_text("Guests keep running")).to_be_visible()
        await page.get_by_label("Why; whoever looks reads it").fill("smoke")
        await page.get_by_role("button", name="Stop everything now").click()
        await expect(page.get_by_role("alert").first).to_contain_text("No new effect is started anywhere")
    assert here.desk.put_aside == [
        (here.m.node, START + timedelta(days=7), "the part comes on Monday", "operator:anna")
    ]
