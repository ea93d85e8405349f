"""HA would move guests by itself, for its rules and for balance: nothing moves but what was ordered."""

from __future__ import annotations

import asyncio

import pytest

from noout.adapters.pve import PveHypervisor
from noout.domain.journal import MessageKind
from noout.domain.maintenance import Phase
from noout.lab.world.model import HaRule
from tests.sim.promises import Before, Safety, nothing_left_behind, only_ordered_migrations, settings
from tests.sim.story import MID, NODE, Sim, simulation
from tests.support.virtual import run_virtual

BALANCED = "ha=dynamic,ha-auto-rebalance=1"
LIKES_HOME = HaRule("web", "node-affinity", ["vm:101"], nodes={"pve3": 2, "pve1": 1})


def restless() -> Sim:
    """A cluster without a shell, whose HA rebalances and has a rule that fetches guest 101 back."""
    sim = simulation(guests=8, nodes=4)
    sim.lab.hypervisor = PveHypervisor(sim.lab.client)
    sim.lab.laws.advance()
    sim.lab.laws.rule_set(sim.lab.cluster, LIKES_HOME)
    sim.lab.cluster.options["crs"] = BALANCED
    return sim


def test_this_ha_moves_guests_when_nobody_stops_it() -> None:
    """Else the story below would prove nothing."""

    async def play() -> None:
        sim = restless()
        laws, cluster = sim.lab.laws, sim.lab.cluster
        laws.ha_request(cluster, "vm:101", "pve1")
        homes = {sid: service.node for sid, service in cluster.ha.services.items()}
        await asyncio.sleep(600)
        laws.advance()
        moved = {task.id for task in cluster.tasks.values() if task.type == "qmigrate"}
        assert "101" in moved and cluster.guests[101].node == "pve3", "fetched back"
        assert {sid: service.node for sid, service in cluster.ha.services.items()} != homes, "balanced"

    run_virtual(play())


@pytest.mark.slow
def test_without_a_shell_nothing_moves_that_was_not_ordered_and_every_setting_is_put_back() -> None:
    async def play() -> None:
        sim = restless()
        cluster = sim.lab.cluster
        await sim.open()
        before, safety = Before.of(sim), Safety(sim)
        watching = asyncio.create_task(safety.watch())

        async def onlooker() -> None:
            await sim.until(lambda m: m.node_off_at is not None)
            rule = cluster.ha.rules[f"noout-{MID}"]
            assert rule.strict and NODE.name not in rule.nodes and "vm:101" not in rule.resources
            assert not cluster.ha.resources["vm:101"].failback
            assert cluster.options["crs"] == "ha=dynamic,ha-auto-rebalance=0"
            assert not cluster.guests[106].onboot

        m = await sim.to_the_end(onlooker())
        watching.cancel()
        assert m.phase is Phase.DONE and safety.broken == []
        only_ordered_migrations(sim, await sim.events())
        nothing_left_behind(sim, before, m)

    run_virtual(play())


@pytest.mark.slow
def test_an_abort_puts_every_setting_back_too() -> None:
    async def play() -> None:
        sim = restless()
        await sim.open()
        before = Before.of(sim)
        run = asyncio.create_task(sim.carry())
        await sim.until(lambda m: m.needs == "technician")
        await sim.say(MessageKind.ABORT, reason="another day")
        m = await run
        assert m.phase is Phase.ABORTED and m.owned == ()
        assert settings(sim) == before.settings

    run_virtual(play())
