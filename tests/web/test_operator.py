"""The operator's API: nothing without the token, and orders that count once."""

from __future__ import annotations

import pytest

from noout.domain.access import Grant, Person, Role
from noout.web.app import HEADERS, make_server
from tests.web.world import OPERATOR, World

AUTH = {"Authorization": f"Bearer {OPERATOR}"}


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {OPERATOR}"}])
@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/api/v1/maintenances"),
        ("GET", "/api/v1/maintenances/m-0001"),
        ("GET", "/api/v1/maintenances/nothing"),
        ("POST", "/api/v1/maintenances/m-0001/approve"),
        ("POST", "/api/v1/maintenances/m-0001/pause"),
        ("POST", "/api/v1/maintenances/m-0001/resume"),
        ("POST", "/api/v1/maintenances/m-0001/abort"),
        ("POST", "/api/v1/maintenances/m-0001/workorder/link"),
    ],
)
async def test_without_the_token_nothing_is_told_or_done(
    world: World, method: str, path: str, header: dict[str, str]
) -> None:
    async with world.client() as client:
        answer = await client.request(method, path, headers=header)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert world.messages_ == []


async def test_list_and_one(world: World) -> None:
    async with world.client() as client:
        (line,) = (await client.get("/api/v1/maintenances", headers=AUTH)).json()["maintenances"]
        assert (line["id"], line["node"], line["phase"]) == ("m-0001", "ams1/pve3", "evacuated")
        one = (await client.get("/api/v1/maintenances/m-0001", headers=AUTH)).json()["maintenance"]
        assert one["work_order"]["number"] == "WO-ams1-0001"
        assert (await client.get("/api/v1/maintenances/m-0002", headers=AUTH)).status_code == 404


@pytest.mark.parametrize("order", ["approve", "pause", "resume", "abort"])
async def test_an_order_is_posted_once_per_key(world: World, order: str) -> None:
    async with world.client() as client:
        path = f"/api/v1/maintenances/m-0001/{order}"
        headers = {**AUTH, "Idempotency-Key": "k1"}
        first = await client.post(path, headers=headers, json={"reason": "because"})
        second = await client.post(path, headers=headers, json={"reason": "because"})
    assert (first.status_code, first.json()["repeated"], second.json()["repeated"]) == (202, False, True)
    (message,) = world.messages_
    assert (message.kind, message.actor, message.data) == (
        order, "operator:anna", {"reason": "because", "from": "127.0.0.1"},
    )  # fmt: skip


async def test_one_key_means_one_order_of_each_kind(world: World) -> None:
    async with world.client() as client:
        for order in ("pause", "resume"):
            await client.post(f"/api/v1/maintenances/m-0001/{order}", headers={**AUTH, "Idempotency-Key": "same"})
    assert [message.kind for message in world.messages_] == ["pause", "resume"]


async def test_bad_bodies_are_refused(world: World) -> None:
    async with world.client() as client:
        for body in ({"reason": 5}, {"surprise": 1}, ["x"]):
            answer = await client.post("/api/v1/maintenances/m-0001/abort", headers=AUTH, json=body)
            assert answer.status_code == 422
    assert world.messages_ == []


async def test_every_answer_carries_the_strict_headers(world: World) -> None:
    async with world.client() as client:
        for path in ("/healthz", "/api/v1/maintenances", "/w/nothing", "/static/tokens.css", "/nowhere"):
            answer = await client.get(path)
            assert "'unsafe-inline'" not in answer.headers["content-security-policy"]
            missing = [name for name in HEADERS if name not in answer.headers]
            assert missing == [], path
        assert (await client.get("/static/../app.py")).status_code == 404
        assert (await client.get("/docs")).status_code == 404


def test_the_server_listens_on_loopback_and_logs_no_paths(world: World) -> None:
    server = make_server(world.services())
    assert server.config.host == "127.0.0.1"
    assert server.config.access_log is False


# --- who may what ---------------------------------------------------------------------------------------------------

ACTING = {Role.OPERATOR, Role.APPROVER, Role.ADMIN}
ORDERS_OF = {
    "approve": {Role.APPROVER, Role.ADMIN},
    "pause": ACTING, "resume": ACTING, "abort": ACTING, "close-up": ACTING, "let-heal": ACTING, "force-off": ACTING,
}  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
async def test_what_each_role_may_tell_a_run(world: World, role: Role) -> None:
    world.people = {"t": Person("piet", (Grant(role, frozenset({"ams1"})),))}
    headers = {"Authorization": "Bearer t"}
    async with world.client() as client:
        for order, roles in ORDERS_OF.items():
            answer = await client.post(f"/api/v1/maintenances/m-0001/{order}", headers=headers)
            assert answer.status_code == (202 if role in roles else 403), order
        link = await client.post("/api/v1/maintenances/m-0001/workorder/link", headers=headers)
        more = await client.post("/api/v1/maintenances/m-0001/extend", headers=headers, json={"hours": 1})
        assert (link.status_code, more.status_code) == ((201, 202) if role is not Role.VIEWER else (403, 403))
        assert (await client.get("/api/v1/maintenances/m-0001", headers=headers)).status_code == 200


async def test_another_clusters_admin_hears_of_nothing(world: World) -> None:
    world.people = {"t": Person("piet", (Grant(Role.ADMIN, frozenset({"rtm1"})),))}
    headers = {"Authorization": "Bearer t"}
    async with world.client() as client:
        assert (await client.get("/api/v1/maintenances", headers=headers)).json()["maintenances"] == []
        here = await client.get("/api/v1/maintenances/m-0001", headers=headers)
        nowhere = await client.get("/api/v1/maintenances/m-0002", headers=headers)
        assert here.status_code == nowhere.status_code == 404
        assert here.json()["error"].replace("m-0001", "m-0002") == nowhere.json()["error"]
        for order in ORDERS_OF:
            assert (await client.post(f"/api/v1/maintenances/m-0001/{order}", headers=headers)).status_code == 404
    assert world.messages_ == []
