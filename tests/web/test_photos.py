"""Photos by form and by API: drawn anew, counted, limited, shown to whoever may see the work, and in no folder."""

from __future__ import annotations

import hashlib
import io
import re

import httpx2
import pytest
from PIL import Image

from noout.app.technician import PHOTOS_MAX, PICTURE_BYTES_MAX
from noout.domain.access import Role
from noout.domain.maintenance import Phase
from tests.unit.adapters.test_pictures import SVG, bomb, with_exif
from tests.web.test_console import Place, come_in
from tests.web.world import World, link

API = "/api/v1/technician"


@pytest.fixture
def world() -> World:
    world = World()
    world.make_safe()
    return world


async def send(phone: httpx2.AsyncClient, token: str, picture: bytes, key: str = "p1", **more: str) -> httpx2.Response:
    headers = {"Idempotency-Key": key, "Content-Type": "application/octet-stream", **more}
    return await phone.post(f"{API}/{token}/photo?check=fans.inspect", content=picture, headers=headers)


async def test_a_photo_is_kept_drawn_anew_and_the_journal_has_its_digest_only(world: World) -> None:
    token = await link(world)
    async with world.client() as phone:
        assert (await send(phone, token, with_exif())).json() == {"accepted": True, "repeated": False}
        assert (await send(phone, token, with_exif())).json() == {"accepted": True, "repeated": True}
        (message,) = world.said("photo")
        ((_, kept),) = world.photos.kept.values()
        digest = hashlib.sha256(kept).hexdigest()
        assert dict(message.data) == {"check": "fans.inspect", "photo": digest}
        assert b"PhoneMaker" not in kept and dict(Image.open(io.BytesIO(kept)).getexif()) == {}
        state = (await phone.get(f"{API}/{token}")).json()
        assert next(each for each in state["checks"] if each["key"] == "fans.inspect")["photos"] == [digest]
        shown = await phone.get(f"/w/{token}/photo/{digest}")
        assert (shown.headers["content-type"], shown.content) == ("image/jpeg", kept)
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert (await phone.get(f"/w/{token}/photo/{'0' * 64}")).status_code == 404
    async with world.client() as stranger:
        assert (await stranger.get(f"/w/{token}/photo/{digest}")).status_code == 404
        assert (await stranger.get(f"{API}/{token}/photo/{digest}")).status_code == 403


@pytest.mark.parametrize(
    "picture, says",
    [
        (SVG, "no JPEG, PNG or WebP"), (b"<html><script>alert(1)</script></html>", "no JPEG, PNG or WebP"),
        (bomb(20_000, 20_000), "more than 50 million pixels"), (with_exif()[:300], "no picture that can be read"),
        (b"", "no JPEG, PNG or WebP"),
    ],
    ids=["svg", "html", "bomb", "cut short", "nothing"],
)  # fmt: skip
async def test_what_is_no_picture_is_refused_in_words_and_not_kept(world: World, picture: bytes, says: str) -> None:
    token = await link(world)
    async with world.client() as phone:
        for _ in range(2):  # the same answer again
            answer = await send(phone, token, picture)
            assert answer.status_code == 409 and says in answer.json()["error"]
            assert answer.json()["remedy"] == "take another photo with the phone's camera"
    assert world.photos.kept == {} and world.said("photo") == []


async def test_one_that_is_too_large_is_not_even_read(world: World) -> None:
    token = await link(world)
    async with world.client() as phone:
        answer = await send(phone, token, b"x" * (PICTURE_BYTES_MAX + 1))
        assert answer.status_code == 413

        async def endless() -> object:
            raise AssertionError("it was read")
            yield b""

        answer = await phone.post(f"{API}/{token}/photo?check=fans.inspect", content=endless())
        assert answer.status_code == 411  # it does not say how large it is
        files = {"photo": ("a.jpg", b"x" * (PICTURE_BYTES_MAX + 100_000), "image/jpeg")}
        answer = await phone.post(f"/w/{token}/photo", data={"key": "k", "check": "fans.inspect"}, files=files)
        assert answer.status_code == 413
    assert world.photos.kept == {}


async def test_nothing_is_read_for_a_link_that_is_not_good(world: World) -> None:
    async with world.client() as phone:
        for path in (f"{API}/m-0001.wrong/photo?check=fans.inspect", "/w/m-0001.wrong/photo"):
            assert (await phone.post(path, content=b"x" * 1000)).status_code == 404


async def test_there_are_so_many_and_no_more(world: World) -> None:
    token = await link(world)
    async with world.client() as phone:
        assert (await send(phone, token, with_exif())).status_code == 202
        first = world.said("photo")[0]
        world.messages_ += [type(first)(f"x{n}", *(getattr(first, each) for each in ("kind", "actor", "at", "data"))) for n in range(PHOTOS_MAX)]  # fmt: skip  # noqa: E501
        answer = await send(phone, token, with_exif(6), key="p2")
    assert answer.status_code == 409 and "photos already" in answer.json()["error"]
    assert len(world.photos.kept) == 1


async def test_a_photo_by_the_plain_form(world: World) -> None:
    token = await link(world)
    async with world.client() as phone:
        files = {"photo": ("../../etc/x.jpg", with_exif(), "text/html")}
        data = {"key": "k", "check": "fans.inspect"}
        answer = await phone.post(f"/w/{token}/photo", data=data, files=files)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/w/{token}#fans.inspect")
        page = await phone.get(f"/w/{token}")
        assert "Photo 1 of: Inspect FAN3B" in page.text
        wrong = await phone.post(f"/w/{token}/photo", data=data | {"key": "k2"}, files={"photo": ("a.jpg", SVG)})
        assert wrong.status_code == 409 and "no JPEG, PNG or WebP" in wrong.text
    assert len(world.said("photo")) == 1


async def test_no_photo_before_the_work_and_none_for_a_check_that_is_not_there(world: World) -> None:
    token = await link(world)
    async with world.client() as phone:
        answer = await phone.post(f"{API}/{token}/photo?check=rm", content=with_exif())
        assert answer.status_code == 409 and "not on this checklist" in answer.json()["error"]
        other = World()
        token = await link(other)
    async with other.client() as phone:
        answer = await send(phone, token, with_exif())
        assert answer.status_code == 409 and "the checklist opens when" in answer.json()["error"]


async def test_the_operators_page_has_findings_photos_links_and_a_sheet_with_a_qr_code() -> None:
    place = Place(Role.OPERATOR)
    place.m = World().m
    async with place.browser() as browser, place.browser() as phone:
        csrf = await come_in(browser)
        address = "/maintenances/m-0001/workorder"
        form = {"csrf": csrf, "technician": "ruben", "hours": "4", "language": "nl"}
        sheet = await browser.post(address, data=form)
        assert sheet.status_code == 200 and 'lang="nl"' in sheet.text and "<path" in sheet.text
        assert "NIET AANRAKEN. Papier weet niets" in sheet.text and "CZ2D5007K41" not in sheet.text
        page = await browser.get(address)
        (issued,) = await place.services().field.links("m-0001")
        assert "Revoke the link of ruben" in page.text and issued.id in page.text
        token, _ = await place.services().field.make_link("m-0001", "els")
        place.make_safe()
        assert (await phone.get(f"/w/{token}")).status_code == 200
        assert (await send(phone, token, with_exif())).status_code == 202
        ((_, digest),) = place.photos.kept
        shown = await browser.get(f"/maintenances/m-0001/photos/{digest}")
        assert shown.headers["content-type"] == "image/jpeg"
        (_, mine) = await place.services().field.links("m-0001")
        answer = await browser.post(f"{address}/revoke", data={"csrf": csrf, "link": mine.id})
        assert answer.status_code == 303
        assert (await phone.get(f"/w/{token}")).status_code == 404
        assert re.search(rf"{mine.id}.*?revoked", (await browser.get(address)).text, re.S)
    assert place.m.phase is Phase.REPAIR
