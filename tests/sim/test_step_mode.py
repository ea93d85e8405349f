"""Step mode: what was confirmed is seen to happen also while the next effect waits for its yes."""

from __future__ import annotations

import asyncio

from noout.domain.journal import MessageKind
from noout.domain.maintenance import Mode
from tests.sim.story import simulation
from tests.support.virtual import run_virtual


def test_confirmed_moves_are_seen_to_end_while_another_waits() -> None:
    async def play() -> None:
        sim = simulation(guests=8, nodes=4)
        await sim.open(Mode.STEP)
        run = asyncio.create_task(sim.to_the_end())
        for _ in range(2):
            m = await sim.until(lambda m: m.needs == "confirmation" and m.facts["to_confirm"] not in m.confirmed)
            asked = m.facts["to_confirm"]
            await sim.say(MessageKind.CONFIRM, action=asked)
            await sim.until(lambda m, asked=asked: any(each.action.key == asked for each in m.pending))
        started = {each.action.subject for each in (await sim.state()).pending}
        assert len(started) == 2
        async with asyncio.timeout(600):
            m = await sim.until(lambda m: not m.pending)
        assert {str(each.guest) for each in m.moved} >= started
        assert m.needs == "confirmation", "and the third still waits"
        run.cancel()

    run_virtual(play())
