"""A process that may not lead a run any more starts nothing, not even what it has written an intent for."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from noout.domain.journal import Event, Kind
from noout.run.advance import advance
from tests.sim.story import MID, simulation
from tests.support.virtual import run_virtual


def started(events: list[Event]) -> list[str]:
    return [event.data["key"] for event in events if event.kind == Kind.STARTED]


def test_who_slept_after_the_intent_asks_for_nothing_and_another_one_does_it_once() -> None:
    async def main() -> None:
        sim = simulation(guests=8, nodes=4)
        await sim.open()
        awake = True
        append = sim.store.append

        async def slept(*args: object) -> Event:
            nonlocal awake
            event = await append(*args)  # type: ignore[arg-type]
            awake = awake and event.kind != Kind.INTENT
            return event

        sleepy = replace(sim.context(), leads=lambda: awake)
        sim.store.append = slept  # type: ignore[method-assign, assignment]
        while awake:
            wait = await advance(sleepy, MID)
            assert wait is not None
        sim.store.append = append  # type: ignore[method-assign]
        events = await sim.events()
        assert events[-1].kind == Kind.INTENT
        assert not (await sim.lab.hypervisor.observe()).running_tasks, "nothing was asked of the cluster"
        assert await advance(sleepy, MID) is None, "and the run ends here"
        assert len(await sim.events()) == len(events)

        heir, key = sim.context(), events[-1].data["key"]
        async with asyncio.timeout(3600):
            while key not in started(await sim.events()):
                await advance(heir, MID)
                await asyncio.sleep(15)
        assert started(await sim.events()).count(key) == 1, "another one has asked for it, once"

    run_virtual(main())
