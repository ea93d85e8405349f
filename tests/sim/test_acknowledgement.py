"""The run over the lab's wire while a customer has not acknowledged: nothing is moved, people are told in time, and it
goes on by itself once they have."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance, Phase
from noout.run.context import Context
from noout.run.opening import Unread
from tests.sim.story import Sim, simulation
from tests.support.virtual import run_virtual


def test_it_waits_is_told_and_goes_on() -> None:
    async def play() -> None:
        sim = simulation(guests=8, nodes=4)
        read = asyncio.Event()
        limit = sim.lab.clock.now() + timedelta(hours=2)

        async def unacknowledged(m: Maintenance) -> Unread | None:
            return None if read.is_set() else Unread("boekhuis to acknowledge boekhuis-1", limit)

        class Waiting(Sim):
            def context(self) -> Context:
                return replace(super().context(), unacknowledged=unacknowledged)

        waiting = Waiting(sim.lab, sim.store, sim.journal)
        await waiting.open()
        run = asyncio.create_task(waiting.to_the_end())
        m = await waiting.until(lambda m: m.waiting_code == "acknowledgement")
        assert m.waiting_for == "boekhuis to acknowledge boekhuis-1" and not m.blockers
        late = await waiting.blocked("wait.acknowledgement")
        assert sim.lab.clock.now() >= limit and "noout tell acknowledge" in late.blockers[0].remedy
        assert not any(event.kind == Kind.INTENT for event in await waiting.events())
        read.set()
        m = await run
        assert m.phase is Phase.DONE, m.outcome

    run_virtual(play())
