"""While the node is away: something else fails, it takes too long, it cannot be repaired today, Ceph is let heal."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from noout.domain.journal import Kind, MessageKind
from noout.domain.maintenance import Maintenance, Phase
from noout.steps.rules import Rules
from tests.sim.promises import Before, Safety, honest_journal, nothing_left_behind
from tests.sim.story import WORK, Sim, simulation
from tests.support.virtual import run_virtual


async def at_the_open_lid(sim: Sim) -> tuple[asyncio.Task[Maintenance], Before, Safety]:
    """The run, at the moment in which the node is off and the technician begins."""
    await sim.open()
    before, safety = Before.of(sim), Safety(sim)
    run = asyncio.create_task(sim.carry())
    m = await sim.until(lambda m: m.needs == "technician")
    assert m.work_order is not None
    await sim.say(MessageKind.HANDS_ON, "technician:ruben", serial=m.work_order.location.serial)
    await sim.until(lambda m: m.node_off_at is not None)
    for action in ("pull_cords", "open_lid"):
        sim.lab.laws.hands(sim.lab.cluster, "pve3", action)
    return run, before, safety


async def close_up(sim: Sim) -> None:
    for action in ("close_lid", "plug_cords"):
        sim.lab.laws.advance()
        sim.lab.laws.hands(sim.lab.cluster, "pve3", action)
    await sim.say(MessageKind.SIGN_OFF, "technician:ruben")


@pytest.mark.slow
def test_a_second_fault_ends_the_work_and_brings_the_data_back_before_the_acceptance() -> None:
    async def play() -> None:
        sim = simulation(guests=8, nodes=5)
        paged: list[str] = []

        async def page(m: Maintenance, why: str) -> None:
            paged.append(why)

        context = sim.context
        sim.context = lambda: replace(context(), page=page)  # type: ignore[method-assign]
        run, _, _ = await at_the_open_lid(sim)
        m = await sim.state()
        assert m.facts["exposure"] == [
            "1 more node may be lost before the cluster loses its quorum",
            "one more mon lost: all storage stops",
            "one more host with data lost: writes to pool rbd stop",
        ]
        ceph = sim.lab.cluster.ceph
        assert ceph is not None
        lost = next(osd for osd in ceph.osds.values() if osd.host == "pve4")
        sim.lab.laws.advance()
        sim.lab.laws.daemon_stop(sim.lab.cluster, f"osd.{lost.id}")
        m = await sim.until(lambda m: m.urgent)
        assert [each.split(";")[0] for each in paged] == [
            f"ams1/pve3 is away and osd.{lost.id} on another host is down"
        ]
        assert "close up NOW" in m.waiting_for and m.needs == "technician"
        await close_up(sim)
        m = await sim.until(lambda m: not any(own.kind == "osd-stopped" for own in m.owned))
        assert "acceptance" not in m.facts, "redundancy first: the acceptance comes after the data"
        sim.lab.laws.daemon_start(sim.lab.cluster, f"osd.{lost.id}")
        m = await asyncio.wait_for(run, 6 * 3600)
        assert m.outcome.startswith("closed up, not repaired: osd.")
        assert not m.owned
        honest_journal(await sim.events())

    run_virtual(play())


@pytest.mark.slow
def test_past_the_hold_limit_people_decide_and_a_node_closed_up_is_not_called_repaired() -> None:
    async def play() -> None:
        sim = simulation(guests=8, nodes=4)
        context = sim.context
        sim.context = lambda: replace(context(), rules=Rules(hold_limit_s=1200))  # type: ignore[method-assign]
        run, before, safety = await at_the_open_lid(sim)
        m = await sim.blocked("hold.limit")
        assert m.node_off_at is not None
        late_s = (sim.lab.clock.now() - m.node_off_at).total_seconds()
        assert 1200 <= late_s < 1300
        await sim.say(MessageKind.EXTEND, hours=0.25)
        m = await sim.until(lambda m: not m.blockers)
        m = await sim.blocked("hold.limit")
        assert (sim.lab.clock.now() - m.node_off_at).total_seconds() >= 2100  # type: ignore[operator]
        await sim.say(MessageKind.CLOSE_UP, reason="the spare fan does not fit")
        m = await sim.until(lambda m: bool(m.closing_up) and m.needs == "technician")
        assert m.waiting_for == "the technician to close up and sign off: the spare fan does not fit"
        await close_up(sim)
        m = await asyncio.wait_for(run, 6 * 3600)
        assert (m.phase, m.outcome) == (Phase.DONE, "closed up, not repaired: the spare fan does not fit")
        assert safety.broken == []
        nothing_left_behind(sim, before, m)

    run_virtual(play())


@pytest.mark.slow
def test_ceph_heals_elsewhere_only_when_an_operator_lets_it() -> None:
    async def play() -> None:
        sim = simulation(guests=8, nodes=5)
        run, before, _ = await at_the_open_lid(sim)
        await asyncio.sleep(1800)
        ceph = sim.lab.cluster.ceph
        assert ceph is not None
        mine = [osd for osd in ceph.osds.values() if osd.host == "pve3"]
        assert all(osd.in_ for osd in mine), "held: nothing moves"
        await sim.say(MessageKind.LET_HEAL)
        m = await sim.until(lambda m: not any(own.kind == "noout" for own in m.owned))
        assert m.healing
        await asyncio.sleep(3600)
        sim.lab.laws.advance()
        assert not any(osd.in_ for osd in mine), "Ceph took them out and copied what they held"
        m = await sim.state()
        assert not m.blockers, "a healed node may be away as long as it takes"
        for check in m.work_order.checks if m.work_order else ():
            for action in () if check.key.startswith("before.") else WORK.get(check.key, ()):
                sim.lab.laws.hands(sim.lab.cluster, "pve3", action)
            await sim.say(MessageKind.FINDING, "technician:ruben", check=check.key, answer="done")
        await sim.say(MessageKind.SIGN_OFF, "technician:ruben")
        m = await asyncio.wait_for(run, 12 * 3600)
        assert m.outcome == "done"
        nothing_left_behind(sim, before, m)
        refused = [e for e in await sim.events() if e.kind == Kind.MESSAGE and e.data.get("refused")]
        assert refused == []

    run_virtual(play())
