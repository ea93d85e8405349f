"""The work at the rack by somebody who knows nothing of the page but what they read on it, from the link in their hand
to YOU MAY LEAVE; and who sees badly, or reads it by ear."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.resources import files

import pytest
from playwright.async_api import Browser, Page, expect

from noout.domain.maintenance import Phase
from tests.browser.conftest import serving
from tests.browser.test_offline import photo
from tests.browser.test_phone import complaints
from tests.web.world import SERIAL, World, link

pytestmark = pytest.mark.real

PHONE = {"width": 390, "height": 844}


async def reads(page: Page, words: str) -> None:
    """The largest words on the screen."""
    await expect(page.get_by_role("heading", level=1)).to_have_text(words, timeout=20_000)


async def test_the_field_work_is_done_by_visible_words_alone(browser: Browser) -> None:
    world = World()
    token = await link(world)
    async with serving(world) as base:
        context = await browser.new_context(viewport=PHONE, locale="en-GB")  # type: ignore[arg-type]
        page = await context.new_page()
        against = complaints(page)
        await page.goto(f"{base}/w/{token}")
        await reads(page, "DO NOT TOUCH")
        await page.get_by_label("Serial, read from the label").fill("CZ2D5009X99")  # the server beside it
        await page.get_by_role("button", name="I am hands-on: make it ready").click()
        await expect(page.get_by_role("alert").get_by_text("DO NOT TOUCH: this is not pve3")).to_be_visible()
        await page.get_by_label("Serial, read from the label").fill(SERIAL)
        await page.get_by_role("button", name="I am hands-on: make it ready").click()
        await expect(page.get_by_text("Sent: you stand at pve3")).to_be_visible()
        world.make_safe()  # the run holds the data and switches the node off
        await reads(page, "NODE OFFDATA HELD")
        await expect(page.get_by_text("pve3, and only pve3: PULL ALL POWER CORDS")).to_be_visible()
        boxes = page.get_by_role("button", name="Done: ")
        for name in await boxes.evaluate_all("(found) => found.map((each) => each.ariaLabel)"):
            if name in ("Done: Inspect FAN3B", "Done: Replace FAN3B"):
                continue
            await page.get_by_role("button", name=name, exact=True).click()
            await expect(page.get_by_role("button", name=name, exact=True, pressed=True)).to_be_visible()
        inspect = page.get_by_role("listitem").filter(has=page.get_by_text("Inspect FAN3B", exact=True))
        await inspect.get_by_label("Answer, note or photo").click()
        await inspect.get_by_label("Add a photo").set_input_files(photo())
        await expect(page.get_by_alt_text("Photo 1 of: Inspect FAN3B")).to_be_visible(timeout=20_000)
        await inspect.get_by_label("Answer, note or photo").click()
        await inspect.get_by_label("Problem").check()
        await inspect.get_by_label("What did you see?").fill("bearing worn")
        await inspect.get_by_role("button", name="Save this answer").click()
        await expect(inspect.get_by_text("Problem. bearing worn")).to_be_visible()
        spare = page.get_by_role("listitem").filter(has=page.get_by_text("Replace FAN3B", exact=True))
        await spare.get_by_label("Answer, note or photo").click()
        await spare.get_by_role("radio", name="Done").check()
        await spare.get_by_label("Part put in: the number on its label").fill("FAN-0126L4")
        await spare.get_by_role("button", name="Save this answer").click()
        await page.get_by_role("button", name="Hands clear: sign off").click()
        await expect(
            page.get_by_text("You signed off. Stay near until this screen says YOU MAY LEAVE.")
        ).to_be_visible()
        await reads(page, "DO NOT TOUCH")
        world.m = replace(world.m, phase=Phase.RETURNING)
        await reads(page, "YOU MAY LEAVE")
        assert [each for each in against if "409" not in each] == []  # the refused serial is said by the browser, too
    said = {str(each.data["check"]): each.data for each in world.said("finding")}
    assert world.m.work_order is not None
    assert set(said) == {check.key for check in world.m.work_order.checks}
    assert (said["fans.inspect"]["answer"], said["fans.replace"]["part"]) == ("problem", "FAN-0126L4")
    assert len(world.said("photo")) == len(world.said("sign-off")) == 1


STATES = ("arrive", "green", "wrong", "close", "grey", "leave", "closed")


def become(world: World, state: str) -> None:
    if state != "arrive":
        world.make_safe()
    match state:
        case "wrong":
            world.gone = ("ams1/pve4",)
        case "close":
            world.m = replace(world.m, closing_up="osd.12 on another host is down", urgent=True)
        case "grey":
            world.reachable = False
        case "leave":
            world.m = replace(world.m, phase=Phase.RETURNING)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_read_every_state_and_the_policy_is_kept(browser: Browser, scheme: str) -> None:
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    found: list[str] = []
    for state in STATES:
        world = World()
        become(world, state)
        token = "m-0001.none" if state == "closed" else await link(world)
        async with serving(world) as base:
            context = await browser.new_context(viewport=PHONE, color_scheme=scheme, locale="es-ES")  # type: ignore[arg-type]
            page = await context.new_page()
            against = complaints(page)
            await page.goto(f"{base}/w/{token}")
            await expect(page.get_by_role("heading", level=1)).to_have_count(1)
            if state == "green":
                await page.get_by_label("Respuesta, nota o foto: Inspeccione FAN3B").click()
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            await page.evaluate(axe)
            result = await page.evaluate("axe.run()")
            found += [
                f"{state}: {each['impact']} {each['id']}: {each['nodes'][0]['html'][:160]}"
                for each in result["violations"]
                if each["impact"] in ("serious", "critical")
            ]
            found += [f"{state}: {each}" for each in against if "404" not in each]
            if where := os.environ.get("NOOUT_SCREENSHOTS"):
                await page.screenshot(path=f"{where}/phone-{state}-{scheme}.png")
            await context.close()
    assert found == []
