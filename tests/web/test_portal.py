"""The portal and the status page: in by a link alone, one customer's own, three languages, and off where it is off."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import feedparser
import httpx2
import icalendar
import pytest

from noout.app.drafting import Drafting
from noout.app.outbox import Outbox
from noout.app.portal import Portals
from noout.app.public.portals import FarPortals
from noout.domain.errors import Refused, UsageError
from noout.domain.journal import Kind, chain_error
from noout.domain.notices import Purpose
from noout.web.base import bare_app
from noout.web.portal.export import export_status
from noout.web.portal.mount import add_portal
from tests.support.telling import House
from tests.unit.tell.cast import at

ANNA = "operator:anna"
ON = {"tell": {"channels": ["portal", "public", "calendar", "feed"]}}


def visitor(portals: Any) -> httpx2.AsyncClient:
    app = bare_app(schema=False)
    add_portal(app, portals, "")
    transport = httpx2.ASGITransport(app)
    return httpx2.AsyncClient(transport=transport, base_url="http://noout.test", follow_redirects=True)


async def told(house: House, **more: Any) -> None:
    """One maintenance from beginning to end, all of it released."""
    drafting, outbox = Drafting(house.found), Outbox(house.found)
    await house.open()
    made = await drafting.look()
    await house.carry_through(**more)
    made += await drafting.look()
    for each in made:
        if (await outbox.get(each.id)).standing.state.value == "draft":
            await outbox.release(each.id, ANNA)


async def test_a_link_opens_its_own_portal_in_three_languages_and_nothing_else_does() -> None:
    house = House.make(**ON)
    await told(house)
    portals = Portals(house.found)
    token = await portals.make_link("libreria", Purpose.PORTAL, ANNA)
    async with visitor(portals) as browser:
        assert (await browser.get("/portal")).status_code == 404
        page = await browser.get(f"/p/{token}")
        assert page.status_code == 200 and page.url.path == "/portal"
        assert token not in page.text and 'lang="es"' in page.text and "Librería Sol" in page.text
        for language, word in (("en", "Work behind the scenes"), ("nl", "Werk achter de schermen")):
            assert word in (await browser.get(f"/portal?lang={language}")).text
        assert "wiki" in page.text and "tienda" in page.text
        assert not re.search(r"shop-|boekhuis|kade|render-gpu|pve\d", page.text, re.IGNORECASE)
        assert (await browser.post("/portal/leave")).status_code == 404  # out, and so at the door
        assert (await browser.get("/p/nothing")).status_code == 404


async def test_a_link_expires_is_revoked_and_a_feeds_opens_no_page() -> None:
    house = House.make(**ON)
    await told(house)
    portals = Portals(house.found)
    token = await portals.make_link("libreria", Purpose.PORTAL, ANNA, days=1)
    feed = await portals.make_link("libreria", Purpose.FEED, ANNA)
    async with visitor(portals) as browser:
        assert (await browser.get(f"/p/{feed}")).status_code == 404
        calendar = await browser.get(f"/p/{feed}/calendar.ics?lang=en")
        (event,) = icalendar.Calendar.from_ical(calendar.content).walk("VEVENT")
        assert event["UID"].endswith(".libreria@noout.test")
        read = feedparser.parse((await browser.get(f"/p/{feed}/feed.atom")).content)
        assert not read.bozo and read.entries
        assert (await browser.get(f"/p/{token}")).status_code == 200
        house.clock.at += timedelta(days=2)
        assert (await browser.get("/portal")).status_code == 404
        await portals.revoke("libreria", ANNA)
        assert (await browser.get(f"/p/{feed}/feed.atom")).status_code == 404


async def test_only_what_was_released_is_there_and_a_report_comes_with_what_proves_it() -> None:
    house = House.make(**ON)
    drafting, outbox = Drafting(house.found), Outbox(house.found)
    await house.open()
    await house.carry_through()
    made = next(each for each in await drafting.look() if each.customer == "libreria")
    portals = Portals(house.found)
    token = await portals.make_link("libreria", Purpose.PORTAL, ANNA)
    async with visitor(portals) as browser:
        page = (await browser.get(f"/p/{token}?lang=en")).text
        assert made.texts[0].subject not in page
        assert (await browser.get(f"/portal/report/{made.id}.html")).status_code == 404
        await outbox.release(made.id, ANNA)
        assert made.id in (await browser.get("/portal?lang=en")).text
        report = await browser.get(f"/portal/report/{made.id}.html?lang=en")
        assert (
            "What happened behind the scenes" in report.text
            and "default-src 'none'" in report.headers["content-security-policy"]
        )
        assert (await browser.get(f"/portal/report/{made.id}.pdf")).content.startswith(b"%PDF")
        proof = json.loads((await browser.get(f"/portal/report/{made.id}.proof")).content)
        assert proof["format"] == "noout.bundle" and set(proof["reports"]) == {"en", "nl", "es"}
        assert "pve" not in json.dumps(proof) and "shop" not in json.dumps(proof)
        assert (await browser.get("/portal/report/boekhuis-1.html")).status_code == 404
        assert "What is proved" in (await browser.get("/portal/verify?lang=en")).text
        assert "wiki" in (await browser.get(f"/portal/message/{made.id}?lang=en")).text


async def test_the_days_say_measured_restarted_interrupted_and_otherwise_nothing() -> None:
    house = House.make(**ON)
    await told(house, silent_s=20)
    portals = Portals(house.found)
    days = {}
    for customer in ("libreria", "boekhuis", "kade"):
        document = await portals.document(f"portal/{customer}")
        assert document is not None
        days |= {each["service"]: each["days"] for each in document["services"]}
    assert {name: each[-1] for name, each in days.items()} == {
        "wiki": "r", "tienda": "m", "shop-db": "m", "shop-web-1": "x", "shop-web-2": "m", "shop-search": "m",
        "render-gpu": "u", "files": "u",
    }  # fmt: skip
    assert all(len(each) == 90 and set(each[:-1]) == {"u"} for each in days.values())


async def test_the_status_page_names_no_customer_guest_node_rack_or_redundancy() -> None:
    house = House.make(**ON)
    await told(house)
    async with visitor(Portals(house.found)) as browser:
        for language in ("en", "nl", "es"):
            page = (await browser.get(f"/status?lang={language}")).text
            assert not re.search(
                r"pve|B07|U14|CZ2D|libr|boekhuis|kade|wiki|shop|tienda|render|files|one copy|kopie minder|copia menos",
                page, re.IGNORECASE,
            )  # fmt: skip
        page = (await browser.get("/status?lang=en")).text
        assert "A fan that did not run as it should" in page and "cleaned the fans" in page and "Live migration" in page
        assert "done, on probation" in page and ">repaired<" not in page
        await house.write(at(9, 51) + timedelta(days=7), Kind.PROBATION_PASSED, {})
        for each in await Drafting(house.found).look():
            await Outbox(house.found).release(each.id, ANNA)
        assert "repaired" in (await browser.get("/status?lang=en")).text
        assert not feedparser.parse((await browser.get("/status/feed.atom")).content).bozo
        assert icalendar.Calendar.from_ical((await browser.get("/status/calendar.ics")).content).walk("VEVENT")


async def test_nothing_is_served_where_it_is_off(tmp_path: Path) -> None:
    house = House.make(tell={"channels": []})
    await told(house)
    portals = Portals(house.found)
    token = await portals.make_link("libreria", Purpose.PORTAL, ANNA)
    async with visitor(portals) as browser:
        for path in (f"/p/{token}", "/portal", f"/p/{token}/calendar.ics", "/status", "/status/feed.atom"):
            assert (await browser.get(path)).status_code == 404, path
    assert await portals.documents(frozenset()) == {}
    with pytest.raises(Refused, match="status page is off"):
        await export_status(portals, tmp_path)


async def test_the_status_page_can_be_hosted_elsewhere_as_files(tmp_path: Path) -> None:
    house = House.make(**ON)
    await told(house)
    written = {path.name: path for path in await export_status(Portals(house.found), tmp_path / "out")}
    page = written["status.nl.html"].read_text()
    assert 'href="portal.css"' in page and "/static/" not in page and 'href="status.en.html"' in page
    for link in re.findall(r'(?:href)="([^"#?]+)"', page):
        assert link in written, link


async def test_a_process_that_holds_no_credential_shows_the_same_from_documents() -> None:
    house = House.make(**ON)
    await told(house)
    portals = Portals(house.found)
    token = await portals.make_link("kade", Purpose.PORTAL, ANNA)
    documents = json.loads(json.dumps(await portals.documents(frozenset())))

    class Shelf:
        silent = True

        def now(self) -> Any:
            return house.clock.at

        def document(self, name: str) -> Any:
            return documents.get(name)

    async with visitor(portals) as near, visitor(FarPortals(Shelf())) as far:  # type: ignore[arg-type]
        here, there = (await near.get(f"/p/{token}")).text, (await far.get(f"/p/{token}")).text
    alarm = '<p class="alarm">'
    assert alarm not in here and alarm in there  # it has not heard from control
    without = re.sub(r'<p class="alarm">.*?</p>', "", there, flags=re.DOTALL)
    assert without.split() == here.split()


async def test_documents_are_made_anew_only_when_something_they_show_went_on() -> None:
    house = House.make(**ON)
    await told(house)
    portals = Portals(house.found)
    first = await portals.documents(frozenset())
    again = await portals.documents(frozenset())
    assert all(again[name] is first[name] for name in first)
    await portals.make_link("kade", Purpose.PORTAL, ANNA)
    third = await portals.documents(frozenset())
    assert third["doors"] != first["doors"] and third["portal/libreria"] is first["portal/libreria"]


async def test_erasing_a_customer_leaves_the_chain_whole_and_nothing_of_theirs() -> None:
    house = House.make(**ON)
    await told(house)
    portals = Portals(house.found)
    token = await portals.make_link("libreria", Purpose.PORTAL, ANNA)
    await portals.revoke("libreria", ANNA)
    assert await house.found.papers.forget("libreria") > 0
    assert await portals.door(token) is None
    assert chain_error(await house.found.journal.read("told-libreria")) is None
    assert "Librer" not in json.dumps(await portals.documents(frozenset()) | {"portal/libreria": None})
    with pytest.raises(UsageError):
        await portals.bundle(token, "libreria-1")
    await asyncio.sleep(0)
