"""What one process of several does begins when its lease is taken, ends when it is lost, and begins again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from noout.app.carrying import OPENING_LOOKS, Carrier, lease_of
from noout.app.duty import LOOK_EVERY_S, WATCH, on_duty
from noout.app.maintain import Maintenances
from noout.app.planning import plan_now
from noout.domain.cluster import NodeId
from noout.domain.errors import StoreBroken
from noout.domain.maintenance import Mode
from noout.lab.world.build import build_world
from noout.ports import Journal
from tests.sim.engine import MemoryEngine
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual


@dataclass
class Given:
    """Leases that a test gives and takes away. ``away``: the store does not answer."""

    mine: set[str] = field(default_factory=set)
    away: bool = False

    @asynccontextmanager
    async def joined(self, *, serves: bool) -> AsyncIterator[None]:
        yield

    async def take(self, names: Sequence[str]) -> frozenset[str]:
        if self.away:
            raise StoreBroken("the database is away")
        return frozenset(names) & self.mine

    def holds(self, name: str) -> bool:
        return name in self.mine and not self.away

    def fenced(self, journal: Journal, name: str) -> Journal:
        return journal

    async def served(self) -> bool:
        return False


@dataclass
class Work:
    begun: int = 0
    under_way: bool = False

    async def __call__(self) -> None:
        self.begun += 1
        self.under_way = True
        try:
            await asyncio.sleep(1e9)
        finally:
            self.under_way = False


def test_it_is_done_while_the_lease_is_held_and_only_then() -> None:
    async def main() -> None:
        leases, work = Given(), Work()
        duty = asyncio.create_task(on_duty(leases, WATCH, work))
        seen = []
        for mine, away in ((False, False), (True, False), (True, True), (True, False), (False, False)):
            leases.mine, leases.away = {WATCH} if mine else set(), away
            await asyncio.sleep(3 * LOOK_EVERY_S)
            seen.append((work.begun, work.under_way))
        assert seen == [(0, False), (1, True), (1, False), (2, True), (2, False)]
        duty.cancel()

    run_virtual(main())


def test_what_fails_in_it_is_heard() -> None:
    async def fails() -> None:
        raise ValueError("nobody thought of this")

    async def main() -> None:
        with pytest.raises(ValueError, match="nobody thought"):
            await on_duty(Given({WATCH}), WATCH, fails)

    run_virtual(main())


def test_a_run_is_carried_while_its_lease_is_held_and_let_go_when_it_is_lost() -> None:
    async def main() -> None:
        lab = lab_site(build_world(nodes=4, guests=4))
        found, _ = installation(lab, settings_of(lab))
        leases = Given()
        found.leases = leases
        node = NodeId("ams1", "pve3")
        maintenances = Maintenances(found)
        plan = await plan_now(found, node)
        mid = await maintenances.open(node, reason="", mode=Mode.AUTO, actor="operator:a", plan=plan)
        carrier = Carrier(found)
        engine = carrier.inboxes.engine = MemoryEngine(lab.clock, carrier.carry)

        async def minded(*mine: str) -> None:
            leases.mine = set(mine)
            await carrier.mind(await maintenances.all())
            await asyncio.sleep(20)

        await minded()
        assert not carrier.tasks and not engine.tasks, "another process has it"
        await minded(lease_of(mid))
        assert mid in carrier.witnesses and not engine.tasks[mid].done()
        taken = (await maintenances.get(mid)).seq
        await minded()
        assert not carrier.tasks and not carrier.witnesses and engine.tasks[mid].done(), "it was let go"
        left = (await maintenances.get(mid)).seq
        assert left >= taken
        await minded()
        assert (await maintenances.get(mid)).seq == left, "and nothing is written any more"
        await minded(lease_of(mid))
        assert not engine.tasks[mid].done(), "and taken up again"
        await carrier.end()
        for task in engine.tasks.values():
            task.cancel()

    run_virtual(main())


def test_a_run_does_not_begin_while_its_opening_is_being_written() -> None:
    async def main() -> None:
        lab = lab_site(build_world(nodes=4, guests=4))
        found, store = installation(lab, settings_of(lab))
        carrier = Carrier(found)
        carrier.inboxes.engine = MemoryEngine(lab.clock, carrier.carry)
        await store.append("ams1-pve3-1", 0, "maintenance.opened", {"node": "ams1/pve3", "mode": "auto"})
        for _ in range(OPENING_LOOKS - 1):
            await carrier.mind(await Maintenances(found).all())
            assert not carrier.tasks
        await carrier.mind(await Maintenances(found).all())
        assert carrier.tasks, "its opener died: it can be aborted"
        await carrier.end()

    run_virtual(main())
