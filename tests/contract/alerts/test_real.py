"""A real Prometheus sees a fan stop, a real Alertmanager says so and noout keeps it; later it hears that it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn

from noout.adapters.alerts import Naming, PrometheusExporters
from noout.adapters.clock import SystemClock
from noout.adapters.http import Server
from noout.adapters.store.memory import MemoryStore
from noout.app.watcher import Watcher
from noout.app.watching.reception import AlertSource, Reception, authorization
from noout.domain.cluster import NodeId
from noout.domain.hardware import Alert, Power, SensorKind, Unit
from noout.web.app import WebServices, create_app
from tests.support.alerting import monitoring
from tests.web.world import World

pytestmark = pytest.mark.real
NODE = NodeId("ams1", "pve3")
NAMING = Naming("ams1", frozenset({"pve3"}))
TOKEN = "of-the-alertmanager"
WITHIN_S = 60.0


def metrics(rpm: int) -> str:
    return (
        f'ipmi_fan_speed_rpm{{name="FAN3B",id="1"}} {rpm}\nipmi_fan_speed_rpm{{name="FAN4",id="2"}} 6000\n'
        f'ipmi_chassis_power_state 1\nnode_edac_correctable_errors_total{{controller="0"}} 7\n'
        'node_bonding_active{master="bond0"} 1\nnode_bonding_slaves{master="bond0"} 2\n'
    )


async def test_a_fan_that_stops_reaches_noout_by_both_ways(tmp_path: Path) -> None:
    clock = SystemClock()
    store = MemoryStore(clock)
    watcher = Watcher({}, store, store, clock, 1.0, boardless=frozenset({NODE}))
    reception = Reception(watcher, {"ams1": AlertSource(NAMING, authorization("", TOKEN))})
    plain = World().services()
    services = WebServices(plain.field, plain.maintenances, plain.person_of, reception)
    server = uvicorn.Server(uvicorn.Config(create_app(services), host="127.0.0.1", port=0, log_config=None))
    serving, watching = asyncio.create_task(server.serve()), asyncio.create_task(watcher.run())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event for it
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        await _whole(tmp_path, f"http://127.0.0.1:{port}/api/v1/alerts/ams1", store, clock)
    finally:
        server.should_exit = True
        watching.cancel()
        await asyncio.gather(serving, watching, return_exceptions=True)


async def _whole(home: Path, webhook: str, store: MemoryStore, clock: SystemClock) -> None:
    entered = await asyncio.to_thread((running := monitoring(home, webhook, TOKEN)).__enter__)
    prometheus, exporter = entered
    exporters = PrometheusExporters(Server(prometheus), NAMING)
    try:
        exporter.text = metrics(0)
        fires = await _heard(store, clock, lambda alert: alert.until is None)
        assert (fires.name, fires.kind, fires.sensor) == ("IpmiFanSpeedZero", SensorKind.FAN, "FAN3B")
        assert (fires.severity, fires.message) == ("critical", "FAN3B stands still")
        report = (await exporters.observe())[NODE]
        assert [(each.sensor, each.value) for each in report.bmc] == [("FAN3B", 0.0), ("FAN4", 6000.0)]
        assert {(each.sensor, each.value, each.unit) for each in report.host} == {
            ("mc0 correctable", 7.0, Unit.COUNT),
            ("bond0", 1.0, Unit.LINKS),
        }
        assert report.power is Power.ON
        exporter.text = metrics(6000)
        over = await _heard(store, clock, lambda alert: alert.until is not None)
        assert (over.id, over.at) == (fires.id, fires.at)
    finally:
        await exporters.close()
        await asyncio.to_thread(running.__exit__, None, None, None)


async def _heard(store: MemoryStore, clock: SystemClock, wanted: Callable[[Alert], bool]) -> Alert:
    async with asyncio.timeout(WITHIN_S):
        while True:
            states = await store.hardware(NODE, clock.now() - timedelta(hours=1))
            if found := next((each for state in states for each in state.alerts if wanted(each)), None):
                return found
            await asyncio.sleep(0.1)
