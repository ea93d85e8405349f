"""One proposal for a fault, whoever asks and however often; snoozed, declined, taken, and settled by a repair."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.app.proposals import Proposals, stream_of
from noout.app.watching.keeping import states_since
from noout.codec import encode
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, Retryable, UsageError
from noout.domain.hardware import Condition, Fault, SensorKind, Urgency, Verdict
from noout.domain.journal import Kind, chain_error
from noout.domain.proposals import ReadyPlan, Standing
from noout.watch.policy import propose
from tests.unit.watch.traces import PVE3, START, poll, stop_entries

PVE4 = NodeId("ams1", "pve4")


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def later(self, **span: float) -> None:
        self.at += timedelta(**span)


def fault(*sensors: str, node: NodeId = PVE3, kind: SensorKind = SensorKind.FAN, dead: bool = False) -> Fault:
    condition = Condition.FAILED if dead else Condition.FLAPPING
    made = propose(node, [Verdict(node, each, condition, START, f"{each} is ill.", kind=kind) for each in sensors])
    assert made is not None
    return made


def world(**more: object) -> tuple[Proposals, MemoryStore, Hands]:
    clock = Hands()
    store = MemoryStore(clock)  # type: ignore[arg-type]
    return Proposals(store, clock, **more), store, clock  # type: ignore[arg-type]


async def test_however_often_it_flaps_it_is_proposed_once_also_after_a_restart() -> None:
    proposals, store, clock = world()
    made = await proposals.consider(fault("FAN3B"))
    assert made is not None and made.standing is Standing.OPEN and made.urgency is Urgency.SCHEDULE
    for _ in range(5):
        clock.later(hours=3)
        assert await proposals.consider(fault("FAN3B")) is None
    again = Proposals(store, clock)  # type: ignore[arg-type]
    assert await again.consider(fault("FAN3B")) is None
    assert len(await store.read(stream_of(PVE3))) == 1 and (await again.all())[0].times == 1


async def test_another_part_or_more_urgency_proposes_again_and_two_parts_are_two_proposals() -> None:
    proposals, _, _ = world()
    await proposals.consider(fault("FAN3B"))
    assert await proposals.consider(fault("PSU1", kind=SensorKind.POWER_SUPPLY)) is not None
    both = await proposals.consider(fault("FAN3B", "FAN1A"))
    assert both is not None and both.times == 2
    assert await proposals.consider(fault("FAN1A")) is None, "it is part of what was proposed"
    urgent = await proposals.consider(fault("FAN3B", "FAN1A", dead=True))
    assert urgent is not None and urgent.urgency is Urgency.EVACUATE_NOW
    assert [each.fault.template for each in await proposals.all()] == ["fans", "power"], "the most urgent first"


async def test_snoozed_it_is_quiet_until_then_unless_it_gets_worse() -> None:
    proposals, store, clock = world()
    await proposals.consider(fault("FAN3B"))
    await proposals.snooze(PVE3, clock.now() + timedelta(days=7), "the fan is ordered", "operator:anna")
    clock.later(days=6)
    assert await proposals.consider(fault("FAN3B")) is None
    assert (await proposals.of(PVE3))[0].standing is Standing.SNOOZED
    assert await proposals.consider(fault("FAN3B", "FAN1A", dead=True)) is not None, "two dead fans break a snooze"
    await proposals.snooze(PVE3, clock.now() + timedelta(days=1), "tonight", "operator:anna")
    clock.later(days=1)
    assert (await proposals.of(PVE3))[0].standing is Standing.OPEN
    back = await proposals.consider(fault("FAN3B"))
    assert back is not None and back.until is None
    assert await proposals.consider(fault("FAN3B")) is None
    events = await store.read(stream_of(PVE3))
    assert chain_error(events) is None
    assert next((e.actor, e.data["reason"]) for e in events if e.kind == "proposal.snoozed") == (
        "operator:anna",
        "the fan is ordered",
    )


async def test_declined_it_stays_so_and_the_reason_is_kept() -> None:
    proposals, _, clock = world()
    await proposals.consider(fault("FAN3B"))
    declined = await proposals.decline(PVE3, "a healthy slow fan; limits corrected", "operator:anna")
    assert [(each.standing, each.by) for each in declined] == [(Standing.DECLINED, "operator:anna")]
    clock.later(days=90)
    assert await proposals.consider(fault("FAN3B")) is None
    assert await proposals.consider(fault("FAN3B", "FAN2A")) is not None


async def test_nothing_is_put_aside_that_was_not_proposed_or_without_a_reason() -> None:
    proposals, _, clock = world()
    with pytest.raises(Refused, match="nothing is proposed"):
        await proposals.decline(PVE3, "no", "operator:anna")
    await proposals.consider(fault("FAN3B"))
    with pytest.raises(UsageError, match="for a reason only"):
        await proposals.snooze(PVE3, clock.now() + timedelta(days=1), " ", "operator:anna")


async def test_mates_that_share_a_fan_get_one_proposal_and_others_their_own() -> None:
    chassis = {PVE3: "C1", PVE4: "C1", NodeId("ams2", "pve4"): "C1", NodeId("ams1", "pve5"): "C2"}
    proposals, _, _ = world(chassis=chassis)
    await proposals.consider(fault("FAN3"))
    assert await proposals.consider(fault("FAN3", node=PVE4)) is None
    assert await proposals.consider(fault("FAN3", node=PVE4)) is None
    (shared,) = await proposals.all()
    assert (shared.node, shared.shared) == (PVE3, (PVE4,))
    for node, sensor in ((PVE4, "FAN7"), (NodeId("ams2", "pve4"), "FAN3"), (NodeId("ams1", "pve5"), "FAN3")):
        assert await proposals.consider(fault(sensor, node=node)) is not None, node
    worse = await proposals.consider(fault("FAN3", "FAN4", node=PVE3, dead=True))
    assert worse is not None and worse.shared == (PVE4,)


async def opened(store: MemoryStore, about: Fault | None, seq: int = 0) -> None:
    data = {"node": str(PVE3), "reason": "fans", "fault": encode(about) if about else None}
    await store.append("ams1-pve3-1", seq, Kind.OPENED, data)


async def test_a_maintenance_takes_it_and_a_repair_settles_it() -> None:
    proposals, store, clock = world()
    await proposals.consider(fault("FAN3B"))
    await opened(store, fault("FAN3B"))
    await proposals.refresh()
    assert [(p.standing, p.maintenance) for p in await proposals.all()] == [(Standing.TAKEN, "ams1-pve3-1")]
    assert await proposals.consider(fault("FAN3B", "FAN1A", dead=True)) is None, "it is in hand"
    with pytest.raises(Refused, match="in maintenance"):
        await proposals.decline(PVE3, "no", "operator:anna")
    clock.later(hours=2)
    on_at = clock.now()
    await store.append("ams1-pve3-1", 1, Kind.FACT, {"name": "node-on", "value": None})
    await store.append("ams1-pve3-1", 2, Kind.CLOSED, {"outcome": "done"})
    clock.later(hours=2)
    await proposals.refresh()
    assert await proposals.all() == [] and proposals.past(PVE3).since == on_at
    assert await proposals.consider(fault("FAN3B")) is not None, "after a repair the same fault is a new one"


async def test_a_maintenance_that_was_called_off_leaves_the_proposal_open() -> None:
    proposals, store, _ = world()
    await proposals.consider(fault("FAN3B"))
    await opened(store, fault("FAN3B"))
    await store.append("ams1-pve3-1", 1, Kind.CLOSED, {"outcome": "aborted", "phase": "aborted"})
    await proposals.refresh()
    assert [each.standing for each in await proposals.all()] == [Standing.OPEN]
    assert await proposals.consider(fault("FAN3B")) is None


async def test_it_brings_its_plan_and_does_not_wait_for_a_cluster_that_does_not_answer() -> None:
    async def ready(node: NodeId) -> ReadyPlan:
        if node == PVE4:
            raise Retryable("no answer from ams1")
        return ReadyPlan("P1", START, True, "8 of 8 guests leave live; 6 to 12 min estimated")

    proposals, _, _ = world(ready=ready)
    made = await proposals.consider(fault("FAN3B"))
    assert made is not None and made.plan is not None and made.plan.id == "P1"
    other = await proposals.consider(fault("FAN3B", node=PVE4))
    assert other is not None and other.plan is not None
    assert not other.plan.feasible and "no answer from ams1" in other.plan.says


def test_what_was_seen_before_the_repair_says_nothing_any_more() -> None:
    states = [poll(60 * i) for i in range(10)]
    states[-1] = replace(states[-1], log=stop_entries([100, 400]))
    repaired = START + timedelta(seconds=300)
    kept = states_since(states, repaired)
    assert [each.at >= repaired for each in kept] == [True] * 5
    assert {entry.at for entry in kept[-1].log} == {START + timedelta(seconds=s) for s in (400, 404)}
    assert states_since(states, None) == states
