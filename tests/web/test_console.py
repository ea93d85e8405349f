"""The console's doors and pages: who gets in, who sees what, and that only our own forms do anything."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest

from noout.domain.access import Role
from noout.web.app import create_app
from noout.web.console.doors import local
from tests.unit.access.test_sign_in import PASSWORD
from tests.web.place import HERE, Place, come_in

PAGES = (
    "/", "/maintenances", "/maintenances/m-0001", "/maintenances/m-0001/now", "/maintenances/m-0001/abort",
    "/nodes/ams1/pve3", "/nodes/ams1/pve3/plan", "/nodes/ams1/pve3/not-now",
)  # fmt: skip


async def test_nobody_is_sent_to_the_door_and_comes_back_to_where_they_wanted() -> None:
    place = Place()
    async with place.browser() as browser:
        for path in PAGES:
            answer = await browser.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?to={path}")
            part = await browser.get(path, headers={"hx-request": "true"})
            assert part.status_code == 204 and part.headers["hx-redirect"] == f"/sign-in?to={path}"
        answer = await browser.post("/sign-in", data={"name": "anna", "password": PASSWORD, "to": PAGES[-1]})
        assert answer.headers["location"] == PAGES[-1]
    assert place.overview.looked == 0


@pytest.mark.parametrize("role", list(Role))
async def test_whoever_may_see_a_cluster_sees_its_pages(role: Role) -> None:
    async with Place(role, ["ams1"]).browser() as browser:
        await come_in(browser)
        for path in PAGES:
            answer = await browser.get(path)
            assert answer.status_code == 200 and "pve3" in answer.text and "<starts>" not in answer.text, path
            assert "style=" not in answer.text and "<script>" not in answer.text and "rtm1" not in answer.text, path


async def test_whoever_may_not_finds_nothing_of_it() -> None:
    place = Place(Role.ADMIN, ["rtm1"])
    async with place.browser() as browser:
        csrf = await come_in(browser)
        for page in PAGES[:2]:
            shown = (await browser.get(page)).text
            assert not any(word in shown for word in ("ams1", "m-0001", "FAN3B"))
        for path in PAGES[2:]:
            here, nowhere = (
                await browser.get(path),
                await browser.get(path.replace("0001", "2").replace("pve3", "pve9")),
            )
            assert here.status_code == nowhere.status_code == 404 and here.text == nowhere.text, path
        told = await browser.post("/maintenances/m-0001/pause", data={"csrf": csrf, "key": "k"})
        assert told.status_code == 404
    assert place.messages_ == []


async def test_a_button_is_pressed_once_and_says_from_where() -> None:
    place = Place()
    async with place.browser() as browser:
        csrf = await come_in(browser)
        for _ in range(2):
            answer = await browser.post("/maintenances/m-0001/pause", data={"csrf": csrf, "key": "k1"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/maintenances/m-0001")
    (message,) = place.messages_
    assert (message.kind, message.actor, message.data) == ("pause", "operator:anna", {"from": "127.0.0.1"})


async def test_the_record_says_who_decided_what_and_from_where() -> None:
    async with Place().browser() as browser:
        await come_in(browser)
        page = (await browser.get("/record")).text
    for said in ("piet", "declined what is proposed", "its spare is ordered", "ams1/pve3", "192.0.2.8"):
        assert said in page


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (Role.VIEWER, set()),
        (Role.OPERATOR, {"pause", "abort"}),
        (Role.APPROVER, {"pause", "abort", "approve"}),
        (Role.ADMIN, {"pause", "abort", "approve"}),
    ],
)
async def test_a_locked_button_says_what_opens_it_and_does_nothing(role: Role, may: set[str]) -> None:
    place = Place(role, ["ams1"])
    async with place.browser() as browser:
        csrf = await come_in(browser)
        page = (await browser.get("/maintenances/m-0001")).text
        assert ("Locked: needs the role approver in ams1" in page) is ("approve" not in may)
        for kind in ("pause", "abort", "approve"):
            answer = await browser.post(f"/maintenances/m-0001/{kind}", data={"csrf": csrf, "key": kind, "reason": "x"})
            assert answer.status_code == (303 if kind in may else 409)
    assert {message.kind for message in place.messages_} == may


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({}, HERE),
        ({"csrf": "guessed"}, HERE),
        ({"csrf": "right"}, {"sec-fetch-site": "cross-site"}),
        ({"csrf": "right"}, {"sec-fetch-site": "same-site"}),
    ],
)
async def test_a_form_of_somebody_elses_page_does_nothing(form: dict[str, str], headers: dict[str, str]) -> None:
    place = Place()
    async with place.browser() as browser:
        csrf = await come_in(browser)
        data = {key: csrf if value == "right" else value for key, value in form.items()}
        answer = await browser.post("/maintenances/m-0001/pause", data={"key": "k", **data}, headers=headers)
        assert answer.status_code == 403 and "Nothing was done" in answer.text
        away = await browser.post(
            "/sign-in", data={"name": "anna", "password": PASSWORD}, headers={"sec-fetch-site": "cross-site"}
        )
        assert away.status_code == 403
    assert place.messages_ == []


async def test_an_origin_that_is_not_ours_is_refused_where_the_browser_is_old() -> None:
    transport = httpx2.ASGITransport(create_app(Place().services()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://noout.test") as browser:
        for origin, status in (("http://evil.test", 403), ("null", 403), ("http://noout.test", 303)):
            answer = await browser.post(
                "/sign-in", data={"name": "anna", "password": PASSWORD}, headers={"origin": origin}
            )
            assert answer.status_code == status, origin


async def test_what_cannot_be_said_now_is_said_to_be_so() -> None:
    place = Place()
    place.m = replace(place.m, needs="")
    async with place.browser() as browser:
        csrf = await come_in(browser)
        answer = await browser.post("/maintenances/m-0001/approve", data={"csrf": csrf, "key": "k"})
        assert answer.status_code == 409 and "Approve is not asked for any more" in answer.text
        assert (await browser.post("/maintenances/m-0001/sign-off", data={"csrf": csrf, "key": "k"})).status_code == 404
        assert (await browser.post("/maintenances/m-0001/hurry", data={"csrf": csrf, "key": "k"})).status_code == 422


async def test_the_cookie_is_for_the_browser_alone_and_signing_out_ends_it() -> None:
    place = Place()
    async with place.browser() as browser:
        answer = await browser.post("/sign-in", data={"name": "anna", "password": PASSWORD})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("noout_session=") and "HttpOnly" in cookie and "SameSite=lax" in cookie
        csrf = await come_in(browser)
        kept = dict(browser.cookies)
        assert (await browser.post("/sign-out", data={"csrf": csrf})).headers["location"] == "/sign-in"
        browser.cookies.update(kept)
        assert (await browser.get("/")).status_code == 303
    secure = httpx2.ASGITransport(create_app(place.services()))
    async with httpx2.AsyncClient(transport=secure, base_url="https://noout.test", headers=HERE) as browser:
        cookie = (await browser.post("/sign-in", data={"name": "anna", "password": PASSWORD})).headers["set-cookie"]
        assert cookie.startswith("__Host-noout_session=") and "Secure" in cookie and "Path=/" in cookie


async def test_a_wrong_password_is_told_on_the_page_and_not_repeated() -> None:
    async with Place().browser() as browser:
        answer = await browser.post("/sign-in", data={"name": "anna", "password": "wrong horse"})
        assert answer.status_code == 403 and "not known here" in answer.text and "wrong horse" not in answer.text
        for _ in range(4):
            await browser.post("/sign-in", data={"name": "anna", "password": "wrong horse"})
        answer = await browser.post("/sign-in", data={"name": "anna", "password": PASSWORD})
        assert answer.status_code == 403 and "oo many wrong tries from here" in answer.text


@pytest.mark.parametrize("to", ["//evil.test/", "https://evil.test/", "/\\evil.test", "", "/a\r\nSet-Cookie: x=y"])
async def test_nobody_is_sent_elsewhere_after_signing_in(to: str) -> None:
    assert local(to) == "/"
    async with Place().browser() as browser:
        answer = await browser.post("/sign-in", data={"name": "anna", "password": PASSWORD, "to": to})
        assert answer.headers["location"] == "/"
