"""noout runs in a guest of the node: it moves last, misses minutes of the world, and goes on."""

from __future__ import annotations

import asyncio

from noout.domain.cluster import GuestId
from noout.plan.policy import Policy
from tests.sim.story import NODE, simulation
from tests.support.virtual import run_virtual

OWN = GuestId("ams1", 104)  # the largest, which by its length alone would be among the first


def test_noout_moves_last_and_goes_on_after_it_was_cut_off() -> None:
    async def play() -> None:
        sim = simulation(guests=8, nodes=4)
        sim.policy = Policy(noout_guests=frozenset({OWN}))
        await sim.open()
        run = asyncio.create_task(sim.carry())
        lab = sim.lab
        await sim.until(lambda m: any(each.upid and each.action.subject == str(OWN) for each in m.pending))
        m = await sim.state()
        assert m.plan is not None
        others = {move.guest for move in m.plan.moves if move.target is not None} - {OWN}
        assert {moved.guest for moved in m.moved} == others, "all others have left before"
        cut = {(f"{name}.ams1", 8006) for name in lab.cluster.nodes}
        lab.network.unplugged |= cut
        await asyncio.sleep(600)  # its own move: the world went on, and it saw nothing of it
        lab.laws.advance()
        assert lab.cluster.guests[OWN.vmid].node != NODE.name
        assert (await sim.state()).waiting_for.startswith("the world to answer again")
        lab.network.unplugged -= cut
        m = await sim.until(lambda m: m.needs == "technician")
        assert OWN in {moved.guest for moved in m.moved} and not m.failed
        assert [task.id for task in lab.cluster.tasks.values() if task.id == str(OWN.vmid)] == [str(OWN.vmid)]
        run.cancel()

    run_virtual(play())
