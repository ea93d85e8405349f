"""Through a dead spot: what is said there waits on the phone, survives a page that is opened anew, and counts once."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from PIL import Image
from playwright.async_api import Browser, BrowserContext, FilePayload, Page, Route, expect

from noout.domain.maintenance import Phase
from tests.browser.conftest import serving
from tests.web.world import World, link

pytestmark = pytest.mark.real

PHONE = {"width": 390, "height": 844}


def photo(name: str = "IMG_0001.jpg") -> FilePayload:
    exif = Image.Exif()
    exif[0x010F] = "PhoneMaker"
    out = io.BytesIO()
    Image.new("RGB", (2400, 1800), (150, 110, 60)).save(out, "JPEG", exif=exif)
    return {"name": name, "mimeType": "image/jpeg", "buffer": out.getvalue()}


async def pages_kept(page: Page, count: int) -> None:
    """Returns once the worker keeps ``count`` pages. (wait_for_function would take the promise itself for a yes.)"""
    await page.evaluate(
        """async (count) => {
            const pages = await caches.open("noout-pages-2");
            while ((await pages.keys()).length !== count) await new Promise((again) => setTimeout(again, 50));
        }""",
        count,
    )


@asynccontextmanager
async def at_work(browser: Browser) -> AsyncIterator[tuple[World, BrowserContext, Page, str]]:
    """The technician stands before an open server, and the phone has kept what it needs."""
    world = World()
    world.make_safe()
    token = await link(world)
    async with serving(world) as base:
        context = await browser.new_context(viewport=PHONE, locale="en-GB")  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(f"{base}/w/{token}")
        await expect(page.get_by_role("heading", name="NODE OFF DATA HELD")).to_be_visible()
        await pages_kept(page, 1)
        yield world, context, page, f"{base}/w/{token}"
        await context.close()


async def tick(page: Page, name: str) -> None:
    await page.get_by_role("button", name=f"Done: {name}", exact=True).click()


async def take(page: Page, check: str) -> None:
    row = page.get_by_role("listitem").filter(has=page.get_by_text(check, exact=True))
    await row.get_by_label(f"Answer, note or photo: {check}").click()
    await row.get_by_label("Add a photo").set_input_files(photo())


async def test_what_is_said_in_a_dead_spot_arrives_once_and_in_order(browser: Browser) -> None:
    async with at_work(browser) as (world, context, page, address):
        await context.set_offline(True)
        await tick(page, "Clean all fan modules")
        await take(page, "Inspect FAN3B")
        row = page.get_by_role("listitem").filter(has=page.get_by_text("Inspect FAN3B", exact=True))
        await row.get_by_label("Answer, note or photo").click()
        await row.get_by_label("Problem").check()
        await row.get_by_label("What did you see?").fill("bearing worn")
        await row.get_by_label("Part put in").fill("FAN-0126L4")
        await row.get_by_role("button", name="Save this answer").click()
        await expect(page.get_by_text("3 waiting to be sent")).to_be_visible()
        await expect(row.get_by_text("waiting to be sent")).to_be_visible()
        # The phone is put away and taken out again: the page opens without signal, and shows no verdict but this.
        await page.close()
        page = await context.new_page()
        await page.goto(address)
        await expect(page.get_by_role("heading", level=1)).to_have_text("DO NOT TOUCH")
        await expect(page.get_by_text("Cords out and cover open: go on")).to_be_visible()
        await expect(page.get_by_text("NODE OFF")).to_have_count(0)
        await expect(page.get_by_text("3 waiting to be sent")).to_be_visible()
        assert [each.kind for each in world.messages_ if not each.kind.startswith("link")] == []
        await context.set_offline(False)
        await expect(page.get_by_role("heading", name="NODE OFF DATA HELD")).to_be_visible(timeout=15_000)
        await expect(page.get_by_text("waiting to be sent").first).to_be_hidden(timeout=15_000)
        await expect(page.get_by_alt_text("Photo 1 of: Inspect FAN3B")).to_be_visible(timeout=15_000)
    said = [(each.kind, each.data.get("check")) for each in world.messages_ if not each.kind.startswith("link")]
    assert said == [("finding", "fans.clean"), ("photo", "fans.inspect"), ("finding", "fans.inspect")]
    last = world.said("finding")[-1].data
    assert (last["answer"], last["note"], last["part"]) == ("problem", "bearing worn", "FAN-0126L4")
    ((_, kept),) = world.photos.kept.values()
    found = Image.open(io.BytesIO(kept))
    assert max(found.size) == 1600 and dict(found.getexif()) == {} and b"PhoneMaker" not in kept


async def test_an_answer_that_is_lost_on_its_way_back_counts_once(browser: Browser) -> None:
    async with at_work(browser) as (world, _, page, _address):
        lost = []

        async def lose_the_answer(route: Route) -> None:
            if len(lost) < 3:
                await route.fetch()  # it reaches the server
                lost.append(route.request.url)
                await route.abort()
            else:
                await route.continue_()

        await page.route("**/api/v1/technician/*/*", lose_the_answer)
        await tick(page, "Clean all fan modules")
        await take(page, "Inspect FAN3B")
        await expect(page.get_by_alt_text("Photo 1 of: Inspect FAN3B")).to_be_visible(timeout=30_000)
        assert len(lost) == 3
    assert len(world.said("finding")) == 1 and len(world.said("photo")) == 1


async def test_hands_off_is_said_now_or_not_at_all(browser: Browser) -> None:
    async with at_work(browser) as (world, context, page, _):
        world.answer_all()
        await page.reload()
        await context.set_offline(True)
        await page.get_by_role("button", name="Hands clear: sign off").click()
        await expect(page.get_by_text("No answer came: press again when there is signal")).to_be_visible()
        await context.set_offline(False)
        await expect(page.get_by_role("button", name="Hands clear: sign off")).to_be_enabled()
        assert world.said("sign-off") == []  # nothing was kept that would start the node behind somebody's back
        await page.get_by_role("button", name="Hands clear: sign off").click()
        await expect(page.get_by_text("You signed off. Stay near until")).to_be_visible()
        assert len(world.said("sign-off")) == 1


async def test_the_phone_keeps_nothing_of_a_link_that_is_no_good_any_more(browser: Browser) -> None:
    async with at_work(browser) as (world, _, page, _address):
        field = world.services().field
        (issued,) = await field.links("m-0001")
        assert await field.revoke_link("m-0001", issued.id, "operator:anna")
        await expect(page.get_by_text("There is no work order at this link")).to_be_visible(timeout=15_000)
        await pages_kept(page, 0)


async def test_a_green_page_turns_grey_without_any_script(browser: Browser) -> None:
    world = World()
    world.make_safe()
    world.look_age_s = 13.2
    token = await link(world)
    async with serving(world) as base:
        context = await browser.new_context(viewport=PHONE, java_script_enabled=False)  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(f"{base}/w/{token}")
        await context.set_offline(True)
        await expect(page.get_by_role("heading", level=1)).to_have_text("DO NOT TOUCH")
        await expect(page.get_by_role("heading", name="NODE OFF")).to_be_hidden()


async def test_another_server_that_goes_away_stops_the_work_until_the_serial_is_read_again(browser: Browser) -> None:
    async with at_work(browser) as (world, _, page, _address):
        world.gone = ("ams1/pve4",)
        await expect(page.get_by_role("heading", level=1)).to_have_text("DO NOT TOUCHWRONG SERVER?", timeout=15_000)
        await expect(page.get_by_text("pve4 went away while you work on pve3")).to_be_visible()
        await page.get_by_label("Serial, read from the label").fill("CZ2D5009X99")
        await page.get_by_role("button", name="This is its serial").click()
        await expect(page.get_by_text("DO NOT TOUCH: this is not pve3. You read CZ2D5009X99")).to_be_visible()
        await page.get_by_label("Serial, read from the label").fill("CZ2D5007K41")
        async with page.expect_response(lambda answer: answer.url.endswith("serial-again") and answer.ok):
            await page.get_by_role("button", name="This is its serial").click()
        world.gone = ()  # the run has taken it in
        await expect(page.get_by_role("heading", level=1)).to_have_text("NODE OFFDATA HELD", timeout=15_000)
    (message,) = world.said("serial-again")
    assert message.data["away"] == ["ams1/pve4"]


async def test_a_serial_is_scanned_where_the_browser_can_and_the_wrong_one_is_told(browser: Browser) -> None:
    world = World()
    token = await link(world)
    async with serving(world) as base:
        page = await (await browser.new_context(viewport=PHONE)).new_page()  # type: ignore[arg-type]
        codes = "(window.codes || []).map((rawValue) => ({ rawValue }))"
        await page.add_init_script(f"window.BarcodeDetector = class {{ async detect() {{ return {codes}; }} }};")
        await page.goto(f"{base}/w/{token}")
        await expect(page.get_by_text("Scan the label")).to_be_visible()
        for found, said in (([], "No code was found"), (["X1"], "None of the codes on that picture ends in …7K41")):
            await page.evaluate("(found) => { window.codes = found; }", found)
            await page.get_by_label("Scan the label").set_input_files(photo())
            await expect(page.get_by_text(said)).to_be_visible()
        await page.evaluate("() => { window.codes = ['PN 0126L4', 'CZ2D5007K41']; }")
        await page.get_by_label("Scan the label").set_input_files(photo())
        await expect(page.get_by_label("Serial, read from the label")).to_have_value("CZ2D5007K41")
        await page.get_by_role("button", name="I am hands-on").click()
        await expect(page.get_by_text("Sent: you stand at pve3")).to_be_visible()
    assert len(world.said("hands-on")) == 1


async def test_not_repairable_today_ends_the_work(browser: Browser) -> None:
    async with at_work(browser) as (world, _, page, _address):
        await page.get_by_text("Not repairable today?").click()
        await page.get_by_label("What is missing, or why not?").fill("no spare fan in the bin")
        await page.get_by_role("button", name="Not repairable today: close up").click()
        await expect(page.get_by_role("button", name="Not repairable today: close up")).to_be_hidden()
        (message,) = world.said("close-up")
        assert message.data["reason"] == "not repairable today: no spare fan in the bin"
        world.m = replace(world.m, closing_up=str(message.data["reason"]), messages_seen=frozenset({message.key}))
        await expect(page.get_by_role("heading", level=1)).to_have_text("CLOSE UP", timeout=15_000)
        await page.get_by_role("button", name="Hands clear: sign off").click()
        await expect(page.get_by_text("You signed off. Stay near until")).to_be_visible()
        world.m = replace(world.m, phase=Phase.RETURNING)
        await expect(page.get_by_role("heading", level=1)).to_have_text("YOU MAY LEAVE", timeout=15_000)


@pytest.mark.parametrize("locale, said", [("nl-NL", "NODE UIT"), ("es-ES", "NODO APAGADO"), ("de-DE", "NODE OFF")])
async def test_the_page_speaks_the_phones_language_and_another_when_asked(
    browser: Browser, locale: str, said: str
) -> None:
    world = World()
    world.make_safe()
    token = await link(world)
    async with serving(world) as base:
        page = await (await browser.new_context(viewport=PHONE, locale=locale)).new_page()  # type: ignore[arg-type]
        await page.goto(f"{base}/w/{token}")
        await expect(page.get_by_role("heading", level=1, name=said)).to_be_visible()
        await page.get_by_role("link", name="Nederlands").click()
        await expect(page.get_by_role("heading", level=1, name="NODE UIT")).to_be_visible()
        await expect(page.get_by_role("heading", level=1), "what a page says until it knows its age").to_have_count(1)
        await expect(page.get_by_role("button", name="Gedaan: Maak alle ventilatoren schoon")).to_be_visible()
