"""The doors for machines: whoever cannot prove who he is is told nothing, and what is acknowledged is kept."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from noout.adapters.alerts import BODY_BYTES_MAX, Naming
from noout.adapters.store.memory import MemoryStore
from noout.app.watcher import Watcher
from noout.app.watching.reception import AlertSource, Reception, authorization
from noout.app.watching.upkeep import Upkeep
from noout.domain.hardware import SensorKind
from noout.ports import Clock
from noout.web.app import WebServices, create_app
from tests.contract.alerts.test_webhook import alert, body
from tests.support.board import NODE, OTHER, Board, during, virtually
from tests.web.world import World

TOKEN = "the-alertmanagers-own"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
EVENT = {"Name": "FAN1 stopped", "Events": [{"EventId": "7", "EventTimestamp": "1970-01-01T00:00:09Z",
         "Message": "FAN1 stopped", "MessageSeverity": "Critical", "MessageArgs": ["FAN1"]}]}  # fmt: skip


class Sources:
    """In a BMC's place: takes subscriptions."""

    async def subscribed(self, destination: str, context: str, known: str) -> str:
        self.context = context
        return "/1"

    async def unsubscribe(self, known: str) -> None: ...


class Stand:
    def __init__(self, clock: Clock, store: MemoryStore, user: str = "") -> None:
        self.clock, self.store, self.bmc = clock, store, Sources()
        self.board = Board(clock)
        upkeep = Upkeep({NODE: self.bmc}, "https://noout.example/api/v1/redfish-events", clock)
        boards = {NODE: self.board, OTHER: Board(clock, OTHER)}
        self.watcher = Watcher(boards, store, store, clock, 60.0, upkeep=upkeep)
        naming = Naming("ams1", frozenset({NODE.name, OTHER.name}))
        reception = Reception(self.watcher, {"ams1": AlertSource(naming, authorization(user, TOKEN))})
        plain = World().services()
        services = WebServices(plain.field, plain.maintenances, plain.person_of, reception)
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(create_app(services)), base_url="http://noout.test"
        )

    async def post(self, path: str, content: Any, headers: dict[str, str] | None = None) -> httpx2.Response:
        return await self.client.post(f"/api/v1/{path}", content=content, headers=headers or {})

    async def kept(self) -> list[Any]:
        return [state for state in await self.store.hardware(NODE, self.clock.now() - timedelta(days=1))]


def with_stand(check: Callable[[Stand], Coroutine[None, None, None]], user: str = "") -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        stand = Stand(clock, store, user)

        async def checked() -> None:
            await check(stand)

        await during(stand.watcher, 20.0, checked())

    virtually(main)


def test_what_the_alertmanager_says_is_kept_before_it_is_acknowledged() -> None:
    async def check(stand: Stand) -> None:
        answer = await stand.post("alerts/ams1", body(alert(), alert(labels={"instance": "nobody"})), BEARER)
        assert (answer.status_code, answer.json()) == (200, {"taken": 1, "about_no_node": 1, "left_out": 0})
        [told] = (await stand.kept())[-1].alerts
        assert (told.name, told.kind, told.sensor) == ("IpmiFanSpeedZero", SensorKind.FAN, "FAN3B")

    with_stand(check)


def test_with_a_user_and_a_password_as_well() -> None:
    async def check(stand: Stand) -> None:
        pair = base64.b64encode(f"am:{TOKEN}".encode()).decode()
        assert (await stand.post("alerts/ams1", body(alert()), {"Authorization": f"basic {pair}"})).status_code == 200
        assert (await stand.post("alerts/ams1", body(alert()), BEARER)).status_code == 401

    with_stand(check, user="am")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"},
     {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN} x"}],
)  # fmt: skip
def test_a_stranger_is_told_nothing_and_not_even_read(headers: dict[str, str]) -> None:
    async def check(stand: Stand) -> None:
        async def never() -> AsyncIterator[bytes]:
            raise AssertionError("it was read")
            yield b""

        for cluster in ("ams1", "no-such-cluster"):
            assert (await stand.post(f"alerts/{cluster}", never(), headers)).status_code == 401
        assert not any(state.alerts for state in await stand.kept())

    with_stand(check)


def test_what_is_no_notification_or_too_long_is_refused_for_good() -> None:
    async def check(stand: Stand) -> None:
        assert (await stand.post("alerts/ams1", b"{}", BEARER)).status_code == 422
        assert (await stand.post("alerts/ams1", b" " * (BODY_BYTES_MAX + 1), BEARER)).status_code == 413

    with_stand(check)


def test_what_cannot_be_kept_now_is_to_be_sent_again() -> None:
    async def check(stand: Stand) -> None:
        stand.board.takes_s = 60.0
        await asyncio.sleep(60.0)
        assert (await stand.post("alerts/ams1", body(alert()), BEARER)).status_code == 503

    with_stand(check)


def test_after_alerts_that_were_left_out_every_node_is_looked_at() -> None:
    async def check(stand: Stand) -> None:
        before = len(stand.board.began)
        about_other = alert(labels={"instance": OTHER.name})
        answer = await stand.post("alerts/ams1", body(about_other, truncatedAlerts=3), BEARER)
        await asyncio.sleep(1.0)
        assert answer.json()["left_out"] == 3
        assert len(stand.board.began) == before + 1

    with_stand(check)


def test_an_event_counts_with_the_context_of_its_subscription_only() -> None:
    async def check(stand: Stand) -> None:
        for context in ("", "guessed", None):
            wrong = json.dumps({**EVENT, "Context": context}).encode()
            assert (await stand.post("redfish-events", wrong)).status_code == 403
        for garbage in (b"", b"null", b"[" * 50_000, b'{"Context": {"a": 1}}'):
            assert (await stand.post("redfish-events", garbage)).status_code == 403
        assert not any(state.log for state in await stand.kept())
        right = json.dumps({**EVENT, "Context": stand.bmc.context}).encode()
        assert (await stand.post("redfish-events", right)).status_code == 204
        state = (await stand.kept())[-1]
        [entry] = state.log
        assert (entry.id, entry.at, entry.sensor, entry.severity) == ("event 7", state.at, "FAN1", "Critical")

    with_stand(check)
