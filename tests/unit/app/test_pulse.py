"""While noout does what it is there for, a beat goes out; when it does not, none does, and somebody is woken once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import noout.app.pulse as pulse_room
from noout.adapters.http import Channel, Server
from noout.adapters.store.memory import MemoryStore
from noout.app.carrying import Carrier
from noout.app.metrics import metrics
from noout.app.notice import watcher_of
from noout.app.pulse import Heartbeat, Pulse
from noout.app.standstill import stop_all
from noout.cli.webapp import web_services
from noout.domain.cluster import NodeId
from noout.domain.errors import StoreBroken
from noout.domain.journal import Kind
from noout.ports import Wait
from noout.web.app import create_app
from tests.sim.engine import MemoryEngine
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site

SECRET = "7d3c0a9e-ping"


class Stage:
    """A noout that serves, at a time that the test sets, and whoever listens for its heartbeat."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = 0.0
        self.lab = lab_site(wall=lambda: self.wall, speed=1.0)
        url = f"http://beats.lab/{SECRET}?status=up"
        self.found, self.store = installation(self.lab, settings_of(self.lab, heartbeat={"url": url, "every_s": 30}))
        self.status = 200
        self.heard: list[str] = []
        self.lab.network.apps["beats.lab", 80] = Starlette(routes=[Route("/{path:path}", self.listen)])
        self.carrier = Carrier(self.found)
        self.carrier.minded_at = self.found.clock.now()
        self.watcher = watcher_of(self.found)
        self.pulse = Pulse(self.found, self.carrier, self.watcher)
        self.heartbeat = Heartbeat(self.pulse, Channel(Server("http://beats.lab", transport=self.lab.network)))
        self.woken: list[str] = []
        monkeypatch.setattr(pulse_room, "wake", self.wake)

    async def wake(self, found: Any, why: str, **of: str) -> None:
        self.woken.append(why)

    async def listen(self, request: Request) -> Response:
        self.heard.append(str(request.url.replace(scheme="", netloc="")).lstrip("/"))
        return PlainTextResponse("OK", self.status)

    def later(self, wall_s: float) -> datetime:
        self.wall += wall_s
        return self.found.clock.now()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


async def test_a_beat_reaches_its_listener_with_all_of_its_address(stage: Stage) -> None:
    assert await stage.heartbeat.once()
    assert stage.heard == [f"{SECRET}?status=up"] and not stage.woken


async def test_no_beat_while_nothing_can_be_written_down_and_again_when_it_can(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(self: MemoryStore) -> None:
        raise StoreBroken("the database cannot be used: database or disk is full", remedy="make room")

    with monkeypatch.context() as broken:
        broken.setattr(MemoryStore, "writable", full)
        for _ in range(3):
            assert not await stage.heartbeat.once()
        assert "noout_store_writable 0" in await metrics(stage.pulse)
    assert not stage.heard
    assert [each.startswith("nothing can be written down, so nothing new is done") for each in stage.woken] == [True]
    assert await stage.heartbeat.once() and stage.heard


async def test_no_beat_when_nobody_looks_after_the_maintenances(stage: Stage) -> None:
    stage.later(59)
    assert await stage.heartbeat.once()
    stage.later(30)
    assert not await stage.heartbeat.once() and "looked after" in stage.woken[0]
    stage.carrier.minded_at = stage.found.clock.now()
    assert await stage.heartbeat.once()


async def test_no_beat_when_the_watch_keeps_nothing(stage: Stage) -> None:
    """Not before a sick BMC, or all of them, may take; never where another process watches."""
    stage.carrier.minded_at = stage.later(10_000)
    assert await stage.heartbeat.once(), "it does not watch"
    stage.watcher.watching_since = stage.found.clock.now()
    stage.carrier.minded_at = stage.later(600)
    assert await stage.heartbeat.once()
    stage.carrier.minded_at = stage.later(600)
    assert not await stage.heartbeat.once() and "no reading" in stage.woken[0]
    await stage.watcher.poll()
    assert await stage.heartbeat.once()


async def test_a_look_at_the_boards_is_one(stage: Stage) -> None:
    assert stage.watcher.kept_at is None
    await stage.watcher.poll()
    assert stage.watcher.kept_at == stage.found.clock.now()


async def test_no_beat_when_a_run_does_not_go_on(stage: Stage) -> None:
    """Its next step is overdue: whatever carries it has died, though the process lives."""
    clock = stage.found.clock

    async def advance(maintenance: str) -> Wait | None:
        if maintenance == "over":
            return None
        if maintenance == "broken":
            raise StoreBroken("full")
        return Wait("the technician", clock.now() + timedelta(seconds=300))

    engine = stage.carrier.paces.of(MemoryEngine(clock, stage.carrier.carry))
    await engine.step(advance, "ams1-pve3-1")
    await engine.step(advance, "over")
    with pytest.raises(StoreBroken):
        await engine.step(advance, "broken")
    stage.carrier.minded_at = stage.later(125)
    assert stage.pulse.late() == ["broken"]
    stage.carrier.paces.forget("broken")
    stage.carrier.minded_at = stage.later(290)
    assert await stage.heartbeat.once(), "it waits until then, and a little more"
    stage.carrier.minded_at = stage.later(10)
    assert not await stage.heartbeat.once()
    assert stage.woken == ["ams1-pve3-1 does not go on: noout status ams1-pve3-1"]


async def test_a_listener_that_does_not_answer_is_told_of_once_and_its_secret_is_not(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.status = 404
    for _ in range(3):
        assert not await stage.heartbeat.once()
    assert caplog.text.count("the heartbeat did not reach beats.lab: it answered 404") == 1
    assert SECRET not in caplog.text and SECRET not in repr(stage.found.settings)
    stage.status = 200
    assert await stage.heartbeat.once()


async def test_figures_tell_how_it_stands_and_name_nobody(stage: Stage) -> None:
    found, store = stage.found, stage.store
    node = NodeId("ams1", "pve3")
    await store.append("ams1-pve3-1", 0, Kind.OPENED, {"node": str(node), "mode": "auto", "reason": "boekhuis calls"})
    await store.append("ams1-pve3-1", 1, Kind.OWNED, {"kind": "noout", "subject": "pve3"})
    told = {"why": "somebody to approve the plan", "needs": "approval", "until": None}
    await store.append("ams1-pve3-1", 2, Kind.WAITING, told)
    await stop_all(store, "operator:piet", "fire")
    stage.later(42)
    services = web_services(found, "an-operator's-token", None, lambda: metrics(stage.pulse))
    stage.lab.network.apps["noout.lab", 80] = create_app(services)
    async with httpx2.AsyncClient(base_url="http://noout.lab", transport=stage.lab.network) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    figures = dict(line.split(" ") for line in answer.text.splitlines() if not line.startswith("#"))
    assert {name: float(value) for name, value in figures.items()} == {
        "noout_up": 1, "noout_alive": 1, "noout_store_writable": 1, "noout_runs_age_seconds": 42, "noout_runs_late": 0,
        "noout_watching": 0, "noout_watch_age_seconds": 0, "noout_standing_still": 1, "noout_maintenances_open": 1,
        "noout_maintenances_blocked": 0, "noout_maintenances_paused": 0, "noout_maintenances_waiting": 1,
        "noout_maintenances_holding": 1, "noout_longest_wait_seconds": 42, "noout_webhooks_failing": 0,
    }  # fmt: skip
    assert all(each not in answer.text for each in ("pve3", "ams1", "boekhuis", "piet", SECRET))


async def test_there_are_no_figures_where_nothing_is_served_all_the_time(stage: Stage) -> None:
    stage.lab.network.apps["noout.lab", 80] = create_app(web_services(stage.found, "token"))
    async with httpx2.AsyncClient(base_url="http://noout.lab", transport=stage.lab.network) as client:
        assert (await client.get("/metrics")).status_code == 404
