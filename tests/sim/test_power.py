"""A node that goes down and keeps its power: noout waits for a person, and does what that person decides."""

from __future__ import annotations

import asyncio

import pytest

from noout.domain.hardware import Power
from noout.domain.journal import Kind, MessageKind
from tests.sim.promises import honest_journal
from tests.sim.story import simulation
from tests.support.virtual import run_virtual


@pytest.mark.slow
def test_a_node_that_hangs_is_cut_by_an_operators_decision_alone() -> None:
    async def play() -> None:
        sim = simulation(guests=8, nodes=5)
        await sim.open()
        sim.lab.laws.fault(sim.lab.cluster, "node-hangs", node="pve3")
        run = asyncio.create_task(sim.carry())
        m = await sim.until(lambda m: m.needs == "technician")
        assert m.work_order is not None
        await sim.say(MessageKind.FORCE_OFF, reason="too early")
        await sim.say(MessageKind.HANDS_ON, "technician:ruben", serial=m.work_order.location.serial)
        m = await sim.blocked("power.still-on")
        assert "noout force-off ams1-pve3-1" in m.blockers[0].remedy
        posts = [url for method, url in sim.lab.network.requests if method == "POST" and "Reset" in url]
        assert not posts, "nobody decided anything: no power was touched"
        await asyncio.sleep(600)
        assert sim.lab.cluster.nodes["pve3"].power
        await sim.say(MessageKind.FORCE_OFF, reason="its console says: reached target power-off")
        m = await sim.until(lambda m: m.node_off_at is not None)
        assert (await sim.lab.bmcs[m.node].observe()).power is Power.OFF
        told = [event for event in await sim.events() if event.data.get("kind") == "force-off"]
        assert ["refused" in event.data for event in told] == [True, False]
        assert told[1].actor == "operator:anna", "who decided is in the journal"
        intents = [event.data["key"] for event in await sim.events() if event.kind == Kind.INTENT]
        assert intents.count("repair/force-off/ams1/pve3") == 1
        sim.lab.laws.clear_fault(sim.lab.cluster, "node-hangs", node="pve3")
        for check in m.work_order.checks if m.work_order else ():
            await sim.say(MessageKind.FINDING, "technician:ruben", check=check.key, answer="done")
        await sim.say(MessageKind.SIGN_OFF, "technician:ruben")
        m = await asyncio.wait_for(run, 6 * 3600)
        assert m.outcome == "done"
        assert not m.owned
        honest_journal(await sim.events())

    run_virtual(play())
