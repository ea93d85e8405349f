"""What an effect leaves behind is ours even when it shows after it was taken for failed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from noout.adapters.store.memory import MemoryStore
from noout.codec import encode
from noout.domain.cluster import GuestStatus
from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance, MoveKind, Observation
from noout.run.advance import story
from noout.run.record import Known, Record
from noout.run.settle import MAY_COME_S, settle, still_doubted
from noout.steps import actions
from tests.unit.steps.scene import NODE, T0, ceph, cluster, guest, move, plan, seen

MID = "ams1-pve3-1"
STAYS = move(106, kind=MoveKind.SHUTDOWN, target="pve1")
UP = guest(106)
DOWN = replace(UP, status=GuestStatus.STOPPED)


class Hand:
    """A clock for the store, moved with what is seen."""

    def __init__(self) -> None:
        self.at = T0

    def now(self) -> datetime:
        return self.at


class Run:
    """A journal and a settling run over it: ``sees`` settles once, that many seconds after the beginning."""

    def __init__(self, *told: tuple[Kind, dict[str, Any]]) -> None:
        self.clock = Hand()
        self.store = MemoryStore(self.clock)  # type: ignore[arg-type]
        self.told = told

    async def begin(self) -> None:
        opened = (Kind.OPENED, {"node": str(NODE), "mode": "auto"})
        for seq, (kind, data) in enumerate((opened, (Kind.PLANNED, {"plan": encode(plan(STAYS))}), *self.told)):
            await self.store.append(MID, seq, kind, data)

    async def sees(self, found: Observation, after_s: float) -> Maintenance:
        self.clock.at = T0 + timedelta(seconds=after_s)
        record = await Record.read(Known(self.store), MID)
        steps = {step.name: step for step in story(60.0)}
        await settle(record, replace(found, at=self.clock.at), steps.__getitem__)
        return record.m


def asked(action: Any) -> tuple[tuple[Kind, dict[str, Any]], ...]:
    return (
        (Kind.INTENT, {"key": action.key, "action": encode(action), "attempt": 1}),
        (Kind.STARTED, {"key": action.key, "upid": None}),
    )


async def a_shutdown_taken_for_failed() -> Run:
    run = Run(*asked(actions.shutdown_guest("hold-data", STAYS, UP)))
    await run.begin()
    m = await run.sees(seen(cluster(UP)), 400)
    assert not m.pending and m.failed and not m.owned
    return run


async def test_a_guest_that_goes_down_late_is_ours_to_start_again() -> None:
    run = await a_shutdown_taken_for_failed()
    m = await run.sees(seen(cluster(DOWN)), 500)
    assert [(own.kind, own.subject) for own in m.owned] == [("guest-down", "ams1/106")]
    assert [moved.guest for moved in m.moved] == [UP.id]
    assert not m.doubted and not m.failed


async def test_an_abort_does_not_make_it_forgotten() -> None:
    run = await a_shutdown_taken_for_failed()
    for kind in ("resume", "abort"):
        m = (await Record.read(Known(run.store), MID)).m
        await run.store.append(MID, m.seq, Kind.MESSAGE, {"key": kind, "kind": kind, "data": {}})
    m = await run.sees(seen(cluster(DOWN)), 500)
    assert [own.kind for own in m.owned] == ["guest-down"]


async def test_what_shows_much_later_is_somebody_elses() -> None:
    run = await a_shutdown_taken_for_failed()
    m = await run.sees(seen(cluster(DOWN)), 400 + MAY_COME_S)
    assert not m.owned and not m.moved


async def test_a_move_that_ha_begins_late_is_ours_to_bring_home() -> None:
    there = guest(104, ha=True)
    action = actions.move("evacuate", move(104, ha=True), there)
    run = Run(*asked(action))
    await run.begin()
    assert (await run.sees(seen(cluster(there)), 300)).failed
    m = await run.sees(seen(cluster(guest(104, "pve1", ha=True))), 420)
    assert [(moved.guest.vmid, moved.target) for moved in m.moved] == [(104, move(104).target)]


async def test_a_flag_that_shows_late_is_ours_to_release() -> None:
    run = Run(*asked(actions.set_flag("hold-data", "noout", "pve3")))
    await run.begin()
    assert (await run.sees(seen(cluster()), 60)).failed
    with_flag = seen(cluster(), ceph(host_flags={"pve3": frozenset({"noout"})}))
    assert [(own.kind, own.subject) for own in (await run.sees(with_flag, 90)).owned] == [("noout", "pve3")]


async def test_a_refused_effect_is_not_doubted() -> None:
    """Proxmox VE said no: nothing was done, so what shows afterwards is not ours."""
    action = actions.set_flag("hold-data", "noout", "pve3")
    run = Run(asked(action)[0], (Kind.FAILED, {"key": action.key, "why": "no", "counts": 1}))
    await run.begin()
    m = await run.sees(seen(cluster(), ceph(host_flags={"pve3": frozenset({"noout"})})), 10)
    assert not m.owned and not still_doubted(m, seen(cluster()))
