"""A customer's quiet hours over the lab's wire: their guests leave and return outside of them, the others meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from noout.domain.customers import Customer
from noout.domain.maintenance import Phase
from noout.plan.policy import Policy
from tests.sim.promises import honest_journal
from tests.sim.story import simulation
from tests.support.virtual import run_virtual

OVER = datetime(2026, 11, 30, 11, 0, tzinfo=UTC)  # the lab's time begins an hour before


def test_guests_leave_when_their_customers_quiet_hours_are_over() -> None:
    quiet = (("prod", ("Mon-Fri 09:00-11:00", "Mon-Fri 11:30-11:45")),)
    boekhuis = Customer("boekhuis", "Boekhuis", frozenset({"boekhuis"}), quiet_hours=quiet)

    async def play() -> None:
        sim = simulation(guests=8, nodes=4)
        sim.policy = Policy(customers=(boekhuis,))
        await sim.open()
        run = asyncio.create_task(sim.to_the_end())
        held = await sim.until(lambda m: m.waiting_code == "quiet-hours")
        assert held.waiting_until == OVER and not held.blockers
        assert {each.guest.vmid for each in held.moved}.isdisjoint({100, 101}) and held.moved
        m = await run
        assert m.phase is Phase.DONE, m.outcome
        theirs = [each for each in m.moved if each.guest.vmid in (100, 101)]
        assert {each.homeward for each in theirs} == {True, False}
        assert all(each.started >= OVER for each in theirs)
        late, early = OVER.replace(minute=30), OVER.replace(minute=45)
        assert all(each.finished <= late or each.started >= early for each in theirs)
        honest_journal(await sim.events())

    run_virtual(play())
