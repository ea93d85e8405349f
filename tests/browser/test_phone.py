"""The technician's visit on a phone, by visible words only, with and without JavaScript."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from playwright.async_api import Browser, Page, expect

from noout.domain.maintenance import Phase
from tests.browser.conftest import serving
from tests.web.world import SERIAL, World, link

pytestmark = pytest.mark.real

PHONE = {"width": 390, "height": 844}


def complaints(page: Page) -> list[str]:
    """What the browser's console says against the page: content security violations among it."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


async def sees(page: Page, *lines: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text("".join(lines))


@pytest.mark.parametrize("scripts", [True, False], ids=["with-javascript", "without-javascript"])
async def test_the_whole_visit(browser: Browser, scripts: bool) -> None:
    world = World()
    token = await link(world)
    async with serving(world) as base:
        context = await browser.new_context(viewport=PHONE, java_script_enabled=scripts)  # type: ignore[arg-type]
        page = await context.new_page()
        against = complaints(page)
        await page.goto(f"{base}/w/{token}")
        await expect(page.get_by_role("alert")).to_contain_text("DO NOT TOUCH")
        await page.get_by_label("Serial, read from the label").fill(SERIAL)
        await page.get_by_role("button", name="I am hands-on").click()
        await expect(page.get_by_text("Sent: you stand at pve3")).to_be_visible()
        world.make_safe()
        await page.reload()
        await sees(page, "NODE OFF", "DATA HELD")
        assert world.m.work_order is not None
        for check in world.m.work_order.checks:
            if check.key == "fans.replace":
                more = page.get_by_role("listitem").filter(has=page.get_by_text(check.text, exact=True))
                await more.get_by_label(f"Answer, note or photo: {check.text}").click()
                await more.get_by_label("Not needed").check()
                await more.get_by_label("What did you see?").fill("bearing turns freely")
                await more.get_by_role("button", name="Save this answer").click()
            else:
                await page.get_by_role("button", name=f"Done: {check.text}", exact=True).click()
            await expect(page.locator(f"[id='{check.key}']:not(.todo)")).to_be_visible()
        await page.get_by_role("button", name="Hands clear: sign off").click()
        await expect(page.get_by_text("You signed off. Stay near until")).to_be_visible()
        await expect(page.get_by_role("alert")).to_contain_text("DO NOT")
        world.m = replace(world.m, phase=Phase.RETURNING)
        await page.reload()
        await sees(page, "YOU MAY LEAVE")
        assert against == []
    assert [message.data["answer"] for message in world.said("finding")].count("not-needed") == 1
    assert len(world.said("finding")) == len(world.m.work_order.checks)


async def test_the_page_turns_grey_by_itself_when_noout_answers_no_more(browser: Browser) -> None:
    world = World()
    world.make_safe()
    token = await link(world)
    context = await browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    page = await context.new_page()
    await page.clock.install()
    async with serving(world) as base:
        await page.goto(f"{base}/w/{token}")
        await sees(page, "NODE OFF", "DATA HELD")
        await context.set_offline(True)
        await page.clock.run_for(16_000)
        await expect(page.get_by_role("heading", name="NODE OFF")).to_be_hidden()
        await expect(page.get_by_text("this phone has no answer from noout")).to_be_visible()
        await context.set_offline(False)
        await page.clock.run_for(5_000)
        await sees(page, "NODE OFF", "DATA HELD")


async def test_the_page_follows_the_node_without_a_reload(browser: Browser) -> None:
    world = World()
    world.make_safe()
    token = await link(world)
    page = await (await browser.new_context(viewport=PHONE)).new_page()  # type: ignore[arg-type]
    await page.clock.install()
    async with serving(world) as base:
        await page.goto(f"{base}/w/{token}")
        await sees(page, "NODE OFF", "DATA HELD")
        world.noout = False  # a stranger takes the flag away
        await page.clock.run_for(5_000)
        await expect(page.get_by_role("alert")).to_contain_text("The data of pve3 is not held")


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_sticks_out_and_every_target_is_large_enough(browser: Browser, width: int, scheme: str) -> None:
    world = World()
    world.make_safe()
    token = await link(world)
    size = {"width": width, "height": 844}
    page = await (await browser.new_context(viewport=size, color_scheme=scheme)).new_page()  # type: ignore[arg-type]
    async with serving(world) as base:
        await page.goto(f"{base}/w/{token}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        for target in await page.locator("button, summary, input[type=text], .langs a").all():
            box = await target.bounding_box()
            if box is not None:
                assert min(box["width"], box["height"]) >= 44, await target.get_attribute("aria-label")


async def test_close_up_now_says_why_and_asks_for_nothing_but_the_sign_off(browser: Browser) -> None:
    world = World()
    token = await link(world)
    world.make_safe()
    stake = ["one more mon lost: all storage stops", "one more host with data lost: writes to pool rbd stop"]
    world.m = replace(world.m, facts={"exposure": stake})
    async with serving(world) as base:
        page = await (await browser.new_context(viewport=PHONE)).new_page()  # type: ignore[arg-type]
        await page.goto(f"{base}/w/{token}")
        await sees(page, "NODE OFF", "DATA HELD")
        await expect(page.get_by_text("one more mon lost: all storage stops")).to_be_visible()
        world.m = replace(world.m, closing_up="osd.12 on another host is down", urgent=True)
        await page.reload()
        await sees(page, "CLOSE UP NOW")
        await expect(page.get_by_text("Something else failed: osd.12 on another host is down")).to_be_visible()
        if where := os.environ.get("NOOUT_SCREENSHOTS"):
            await page.screenshot(path=f"{where}/close-up.png")
        await page.get_by_role("button", name="Hands clear: sign off").click()
        await expect(page.get_by_text("You signed off. Stay near until")).to_be_visible()
