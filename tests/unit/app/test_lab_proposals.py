"""The lab's own fans: one that stops now and then, and one that wears out, each end in one proposal with a picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.app.proposals import stream_of
from noout.app.showing import picture_of
from noout.app.watcher import Watcher
from noout.domain.cluster import NodeId
from noout.domain.hardware import (
    Condition,
    Fault,
    HardwareState,
    LogEntry,
    Power,
    Reading,
    SensorKind,
    Unit,
    Urgency,
)
from tests.unit.lab.play import Play
from tests.unit.watch.test_picture import drawn

NODE = NodeId("ams1", "pve3")


class Board:
    """The lab's board without its wire: thousands of looks in a second. It is the clock, too."""

    node = NODE

    def __init__(self) -> None:
        self.play = Play(nodes=3, guests=0)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.play.laws.now, UTC)

    async def observe(self, *, log: bool = True) -> HardwareState:
        laws, cluster = self.play.laws, self.play.c
        fans = cluster.bmcs[NODE.name].fans
        readings = tuple(
            Reading(name, SensorKind.FAN, value, Unit.RPM, lower_critical=fans[name].lower_critical, health="OK")
            for name, value in laws.fan_readings(cluster, NODE.name).items()
        )
        entries = tuple(
            LogEntry(str(each.id), datetime.fromtimestamp(each.at, UTC), each.severity, each.message, each.sensor)
            for each in laws.bmc_log(cluster, NODE.name)
        )
        return HardwareState(NODE, self.now(), True, Power.ON, readings=readings, log=entries)


@pytest.mark.parametrize(
    ("kind", "how", "healthy_h", "step_s", "at_most", "condition"),
    [
        ("fan-flapping", {"per_hour": 0.5, "seconds": 4.0}, 6, 300, timedelta(hours=24), Condition.FLAPPING),
        ("fan-wear", {"per_day": 0.06}, 90, 600, timedelta(days=4), Condition.DEGRADED),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_it_is_proposed_once_with_its_evidence_and_a_picture(
    kind: str, how: dict[str, float], healthy_h: float, step_s: float, at_most: timedelta, condition: Condition
) -> None:
    board = Board()
    store = MemoryStore(board)  # type: ignore[arg-type]
    told: list[Fault] = []

    async def tell(fault: Fault) -> None:
        told.append(fault)

    watcher = Watcher({NODE: board}, store, store, board, step_s, tell)  # type: ignore[dict-item, arg-type]

    async def watch(span: timedelta) -> None:
        end = board.now() + span
        while board.now() < end and not told:
            board.play.forward(step_s)
            await watcher.poll()

    await watch(timedelta(hours=healthy_h))
    assert told == [], "healthy"
    board.play.laws.fault(board.play.c, kind, node=NODE.name, fan="FAN3B", **how)
    await watch(at_most)
    assert [(each.sensors, each.urgency) for each in told] == [(("FAN3B",), Urgency.SCHEDULE)]
    for _ in range(10):
        board.play.forward(step_s)
        await watcher.poll()
    assert len(told) == 1 and len(await store.read(stream_of(NODE))) == 1
    health = await watcher.health(NODE)
    (found,) = [verdict for verdict in health.verdicts if verdict.sensor == "FAN3B"]
    assert found.condition is condition
    svg = await picture_of(store, NODE, health.verdicts, board.now())
    assert f"FAN3B of pve3: {condition.value}" in svg and found.why.split(",")[0] in svg
    assert drawn(svg, "ln") and drawn(svg, "band")
    assert len(drawn(svg, "ep")) == (1 + len(found.episodes) if found.episodes else 0)
