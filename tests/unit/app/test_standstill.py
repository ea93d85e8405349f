"""One switch for everything: while it is off nothing new is done, by nobody; and nothing that is held is let go."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from noout.adapters.store.memory import MemoryStore
from noout.app.carrying import context_of
from noout.app.maintain import Maintenances
from noout.app.planning import plan_now
from noout.app.standstill import STREAM, allow_all, standstill, stop_all
from noout.domain.cluster import NodeId
from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance, Mode
from noout.lab.world.build import build_world
from noout.run.advance import advance
from noout.run.context import Context
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual

NODE = NodeId("ams1", "pve3")


def test_no_run_starts_an_effect_while_everything_is_stopped() -> None:
    async def main() -> None:
        lab = lab_site()
        found, store = installation(lab, settings_of(lab))
        mid = await Maintenances(found).open(
            NODE, reason="fans", mode=Mode.AUTO, actor="operator:anna", plan=await plan_now(found, NODE)
        )
        await stop_all(store, "operator:piet", "a customer calls")
        context = context_of(found, {})
        for _ in range(20):
            await advance(context, mid)
            await asyncio.sleep(30)
        m: Maintenance = await found.known.get(mid)
        assert not [event for event in await store.read(mid) if event.kind == Kind.INTENT]
        assert m.waiting_for == "effects to be allowed again (stopped by operator:piet: a customer calls)"
        await allow_all(store, "operator:piet")
        for _ in range(20):
            await advance(context, mid)
        assert [event for event in await store.read(mid) if event.kind == Kind.INTENT]

    run_virtual(main())


def test_it_stops_runs_of_two_clusters_in_two_processes_in_the_middle_of_their_work() -> None:
    async def main() -> None:
        lab, world = lab_site(build_world(guests=12)), build_world(guests=12, clusters=2)
        world.clusters.pop("ams1")
        other = lab_site(world)
        first, store = installation(lab, settings_of(lab))
        second = replace(installation(other, settings_of(other))[0], journal=store, measurements=store)
        runs: list[tuple[Context, str]] = []
        for found, cluster in ((first, "ams1"), (second, "rtm1")):
            node = NodeId(cluster, "pve3")
            plan = await plan_now(found, node)
            mid = await Maintenances(found).open(
                node, reason="fans", mode=Mode.AUTO, actor="operator:anna", plan=plan
            )  # fmt: skip
            runs.append((context_of(found, {}), mid))

        async def intents(looks: int) -> list[int]:
            """How many effects each has started, after so many more looks."""
            for _ in range(looks):
                for context, mid in runs:
                    await advance(context, mid)
                await asyncio.sleep(30)
            return [
                len([event for event in await store.read(mid) if event.kind == Kind.INTENT])
                for _, mid in runs
            ]  # fmt: skip

        before = await intents(4)
        assert min(before) > 0, "both are at work"
        await stop_all(store, "operator:piet", "a customer calls")
        assert await intents(10) == before, "what is under way ends by itself, and nothing new is begun anywhere"
        await allow_all(store, "operator:piet")
        assert all(now > then for now, then in zip(await intents(4), before, strict=True))

    run_virtual(main())


async def test_it_stops_those_that_hurry_as_well() -> None:
    """Not even a run on its way back after a second fault: whoever stops everything means it."""
    lab = lab_site(wall=lambda: 0.0)
    found, store = installation(lab, settings_of(lab))
    await stop_all(store, "operator:piet", "")
    hurried = Maintenance("ams1-pve3-1", NODE, "", Mode.AUTO, lab.clock.now(), "a", 1, urgent=True)
    assert "stopped by operator:piet" in await context_of(found, {}).frozen(hurried)


async def test_the_first_who_stops_is_the_one_who_did_and_each_turn_is_written_down() -> None:
    store = MemoryStore(lab_site(wall=lambda: 0.0).clock)
    assert await standstill(store) is None
    assert not await allow_all(store, "operator:anna")
    assert await stop_all(store, "operator:piet", "fire")
    assert not await stop_all(store, "operator:anna", "smoke")
    stopped = await standstill(store)
    assert stopped is not None and (stopped.by, stopped.reason) == ("operator:piet", "fire")
    assert await allow_all(store, "operator:anna")
    assert await standstill(store) is None
    assert [event.actor for event in await store.read(STREAM)] == ["operator:piet", "operator:anna"]


async def test_two_who_stop_at_once_stop_it_once() -> None:
    store = MemoryStore(lab_site(wall=lambda: 0.0).clock)
    told = await asyncio.gather(*(stop_all(store, f"operator:{who}", "") for who in ("anna", "piet", "kim")))
    assert sum(told) == 1 and len(await store.read(STREAM)) == 1
