"""The technician's link, page and API, from arrival to sign-off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from noout.app.technician import same_serial
from noout.domain.errors import Refused
from noout.domain.maintenance import Phase
from tests.web.world import OPERATOR, SERIAL, World, link

API = "/api/v1/technician"


@pytest.fixture
def world() -> World:
    return World()


async def test_the_link_is_stored_as_a_hash_only(world: World) -> None:
    token = await link(world)
    secret = token.rpartition(".")[2]
    assert len(secret) >= 32
    assert secret not in repr(world.messages_)


async def test_the_whole_visit_by_the_api(world: World) -> None:
    token = await link(world)
    async with world.client() as phone:
        state = (await phone.get(f"{API}/{token}")).json()
        assert (state["touch"], state["location"]["rack"]) == ("do-not-touch", "B07")
        assert state["location"]["serial_ends_in"] == "7K41" and SERIAL not in repr(state)
        refused = await phone.post(f"{API}/{token}/sign-off")
        assert refused.status_code == 409
        said = await phone.post(
            f"{API}/{token}/hands-on", json={"serial": "cz2d-500 7k41"}, headers={"Idempotency-Key": "a"}
        )
        assert (said.status_code, said.json()) == (202, {"accepted": True, "repeated": False})
        again = await phone.post(
            f"{API}/{token}/hands-on", json={"serial": "cz2d-500 7k41"}, headers={"Idempotency-Key": "a"}
        )
        assert again.json() == {"accepted": True, "repeated": True}
        (message,) = world.said("hands-on")
        assert (message.data["serial"], message.actor) == (SERIAL, "technician:ruben")

        world.make_safe()
        state = (await phone.get(f"{API}/{token}")).json()
        assert state["touch"] == "node-off"
        for check in state["checks"]:
            body = {"check": check["key"], "answer": "done", "note": "dust" if check["key"] == "fans.clean" else ""}
            answer = await phone.post(f"{API}/{token}/finding", json=body, headers={"Idempotency-Key": check["key"]})
            assert answer.status_code == 202, answer.text
        assert (await phone.get(f"{API}/{token}")).json()["left"] == 0
        assert (await phone.post(f"{API}/{token}/sign-off")).status_code == 202
        state = (await phone.get(f"{API}/{token}")).json()
        assert (state["touch"], state["signed_off"]) == ("do-not-touch", True)
    assert len(world.said("finding")) == len(state["checks"])
    assert len(world.said("sign-off")) == 1


async def test_another_servers_serial_is_refused_and_nothing_is_sent(world: World) -> None:
    token = await link(world)
    async with world.client() as phone:
        answer = await phone.post(f"{API}/{token}/hands-on", json={"serial": "CZ2D5009X99"})
    assert answer.status_code == 409
    assert "DO NOT TOUCH: this is not pve3" in answer.json()["error"]
    assert world.said("hands-on") == []


@pytest.mark.parametrize("read", ["CZ2D5007K41", " cz2d 5007k41 ", "CZ2D-5007K41"])
def test_a_serial_is_read_in_full(read: str) -> None:
    assert same_serial(read, SERIAL, "pve3") == SERIAL


@pytest.mark.parametrize("read", ["", "41", "7K41", "CZ2D", "CZ2D5007K42", "XCZ2D5007K41"])
def test_any_other_serial_is_refused(read: str) -> None:
    with pytest.raises(Refused):
        same_serial(read, SERIAL, "pve3")


async def test_sign_off_waits_for_every_required_check(world: World) -> None:
    token = await link(world)
    world.make_safe()
    async with world.client() as phone:
        answer = await phone.post(f"{API}/{token}/sign-off")
        assert answer.status_code == 409 and "checks left" in answer.json()["error"]
        world.answer_all()
        assert (await phone.post(f"{API}/{token}/sign-off")).status_code == 202


async def test_the_first_device_keeps_the_link_and_a_second_is_refused(world: World) -> None:
    token = await link(world)
    async with world.client() as phone, world.client() as other:
        assert (await phone.get(f"/w/{token}")).status_code == 200
        assert (await phone.get(f"/w/{token}")).status_code == 200
        for path in (f"/w/{token}", f"/w/{token}/verdict", f"/w/{token}/offline", f"{API}/{token}"):
            answer = await other.get(path)
            assert answer.status_code == 403
            assert "pve3" not in answer.text and "B07" not in answer.text
        assert (await other.post(f"{API}/{token}/hands-on", json={"serial": SERIAL})).status_code == 403
    assert world.said("hands-on") == []


async def test_bad_expired_and_malformed_links_get_the_same_404(world: World) -> None:
    token = await link(world)
    async with world.client() as phone:
        bad = await phone.get("/w/m-0001.nonsense")
        malformed = await phone.get("/w/nonsense")
        unknown = await phone.get(f"/w/m-9999.{token.rpartition('.')[2]}")
        world.now_ += timedelta(hours=13)
        expired = await phone.get(f"/w/{token}")
        over_api = await phone.get(f"{API}/{token}")
    assert {bad.status_code, malformed.status_code, unknown.status_code, expired.status_code} == {404}
    assert bad.text == malformed.text == unknown.text == expired.text
    assert over_api.status_code == 404 and "pve3" not in over_api.text


async def test_the_page_works_by_plain_forms(world: World) -> None:
    token = await link(world)
    async with world.client() as phone:
        page = await phone.get(f"/w/{token}")
        assert "DO NOT TOUCH" in page.text and 'name="serial"' in page.text
        assert "http-equiv" not in page.text  # typing is not interrupted while the page is red
        wrong = await phone.post(f"/w/{token}/hands-on", data={"key": "1", "serial": "XXXX9999"})
        assert wrong.status_code == 409 and "this is not pve3" in wrong.text
        right = await phone.post(f"/w/{token}/hands-on", data={"key": "2", "serial": SERIAL})
        assert right.status_code == 303
        world.make_safe()
        page = await phone.get(f"/w/{token}")
        assert "NODE OFF<br>DATA HELD" in page.text and 'http-equiv="refresh"' in page.text
        assert "Answer, note or photo: Inspect FAN3B" in page.text and "textarea" in page.text
        form = {"key": "3", "check": "fans.inspect", "answer": "problem", "note": "<b>bearing</b> worn"}
        assert (await phone.post(f"/w/{token}/finding", data=form)).status_code == 303
        page = await phone.get(f"/w/{token}")
        assert "&lt;b&gt;bearing&lt;/b&gt; worn" in page.text
        world.answer_all()
        assert (await phone.post(f"/w/{token}/sign-off", data={"key": "4"})).status_code == 303
        page = await phone.get(f"/w/{token}")
        assert "Stay near until this screen says YOU MAY LEAVE" in page.text
        world.m = replace(world.m, phase=Phase.RETURNING)
        assert "You may leave." in (await phone.get(f"/w/{token}")).text


async def test_what_was_opened_can_be_given_back_while_the_work_is_called_off(world: World) -> None:
    token = await link(world)
    world.make_safe()
    world.answer_all()
    world.m = replace(world.m, phase=Phase.ABORTING, aborting=True)
    async with world.client() as phone:
        assert (await phone.get(f"{API}/{token}")).json()["touch"] == "do-not-touch"
        assert (await phone.post(f"{API}/{token}/sign-off")).status_code == 202


async def test_a_check_not_on_the_list_is_refused(world: World) -> None:
    token = await link(world)
    world.make_safe()
    async with world.client() as phone:
        answer = await phone.post(f"{API}/{token}/finding", json={"check": "rm", "answer": "done"})
    assert answer.status_code == 409


async def test_no_link_before_the_work_order_or_after_the_end(world: World) -> None:
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    order = world.m.work_order
    async with world.client() as operator:
        world.m = replace(world.m, work_order=None)
        assert (await operator.post("/api/v1/maintenances/m-0001/workorder/link", headers=headers)).status_code == 409
        world.m = replace(world.m, work_order=order, closed_at=world.now_)
        assert (await operator.post("/api/v1/maintenances/m-0001/workorder/link", headers=headers)).status_code == 409
