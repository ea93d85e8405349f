"""What must never be is looked for in each step of a live run: it begins nothing, wakes somebody, and is paused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from noout.app.carrying import context_of
from noout.app.maintain import Maintenances
from noout.app.planning import plan_now
from noout.domain.cluster import ClusterState, Near, NodeId
from noout.domain.errors import StoreBroken
from noout.domain.journal import Event, Kind, MessageKind
from noout.domain.maintenance import Maintenance, Mode
from noout.ports import Hypervisor
from noout.run.advance import advance
from noout.run.alarm import mind_invariants
from noout.run.context import Context
from noout.run.record import Record
from tests.sim.play import WatchedStore, installation, settings_of
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual
from tests.unit.run.test_alarm import Book
from tests.unit.steps.scene import cluster, guest, owning, seen

NODE = NodeId("ams1", "pve3")
TWICE = "guests on two nodes at once: ams1/101"


class Doubled:
    """A cluster in which a guest can be seen on two nodes."""

    def __init__(self, real: Hypervisor) -> None:
        self.real, self.doubled = real, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def observe(self, *, keep_s: float | None = None, near: Near | None = None) -> ClusterState:
        state = await self.real.observe()
        if not self.doubled:
            return state
        one = next(each for each in state.guests if each.id.vmid == 101)
        return replace(state, guests=(*state.guests, replace(one, node=NodeId("ams1", "pve1"))))


class Live:
    """A run on the lab, one step after the other, and what people were told of it."""

    def __init__(self) -> None:
        lab = lab_site()
        self.found, self.store = installation(lab, settings_of(lab))
        self.pve = Doubled(self.found.hypervisors["ams1"])
        self.found.hypervisors = {"ams1": cast(Hypervisor, self.pve)}
        self.told: list[str] = []
        self.context: Context = replace(context_of(self.found, {}), page=self.page)
        self.mid = ""

    async def page(self, m: Maintenance, why: str) -> None:
        self.told.append(why)

    async def open(self) -> None:
        plan = await plan_now(self.found, NODE)
        self.mid = await Maintenances(self.found).open(
            NODE, reason="fans", mode=Mode.AUTO, actor="operator:anna", plan=plan
        )

    async def steps(self, times: int) -> Maintenance:
        for _ in range(times):
            wait = await advance(self.context, self.mid)
            assert wait is not None
            await asyncio.sleep(20)
        return await self.found.known.get(self.mid)

    async def events(self, *kinds: Kind) -> list[Event]:
        return [event for event in await self.store.read(self.mid) if event.kind in kinds]


def played(story: Callable[[Live], Any]) -> None:
    async def main() -> None:
        live = Live()
        await live.open()
        await story(live)

    run_virtual(main())


def test_a_violation_stops_a_live_run_wakes_somebody_and_pauses_it() -> None:
    async def story(live: Live) -> None:
        await live.steps(2)
        begun = len(await live.events(Kind.INTENT))
        live.pve.doubled = True
        m = await live.steps(1)
        assert [each.message for each in m.blockers] == [TWICE] and not m.paused
        m = await live.steps(5)
        assert m.paused and live.told == [TWICE]
        live.pve.doubled = False
        m = await live.steps(5)
        assert m.paused and m.waiting_for == "somebody to resume it", "a person looks before it goes on"
        assert len(await live.events(Kind.INTENT)) == begun
        await Maintenances(live.found).tell(live.mid, MessageKind.RESUME, "operator:anna", {})
        await live.steps(10)
        assert len(await live.events(Kind.INTENT)) > begun

    played(story)


def test_one_that_is_resumed_before_it_is_mended_is_told_and_paused_again() -> None:
    async def story(live: Live) -> None:
        live.pve.doubled = True
        await live.steps(3)
        await Maintenances(live.found).tell(live.mid, MessageKind.RESUME, "operator:anna", {})
        m = await live.steps(3)
        assert m.paused and live.told == [TWICE, TWICE]
        assert not await live.events(Kind.INTENT)

    played(story)


async def test_one_that_has_given_up_redundancy_goes_on_when_it_is_mended() -> None:
    twice = cluster(guest(101), guest(101, "pve1"))
    book = Book(owned=owning(("osd-stopped", "osd.4")), step="repair")
    for _ in range(3):
        found = await mind_invariants(cast(Record, book), seen(twice))
        assert [each.message for each in found] == [TWICE] and "goes on when it is mended" in found[0].remedy
        book.m = replace(book.m, blockers=found)
    assert not book.m.paused
    assert await mind_invariants(cast(Record, book), seen(cluster(guest(101)))) == ()


class Full(WatchedStore):
    """A store without room for events from the ``room``-th on, or for those of one kind."""

    room: int | None = None
    kind: Kind | None = None

    async def append(self, stream: str, expected_seq: int, *rest: Any, **more: Any) -> Event:
        if (self.room is not None and self.room <= 0) or self.kind == rest[0]:
            raise StoreBroken("the database cannot be used: database or disk is full", remedy="make room")
        if self.room is not None:
            self.room -= 1
        return await super().append(stream, expected_seq, *rest, **more)


def test_what_cannot_be_written_down_is_not_done_and_is_told_once() -> None:
    """However far one step comes before the disk is full: an effect is asked for only after its intent was written."""

    async def story(live: Live) -> None:
        full = Full(live.found.clock)
        full._events, full._messages = live.store._events, live.store._messages
        live.found.journal = full
        live.found.known.journal = full
        live.context = replace(context_of(live.found, {}), page=live.page)
        asked: list[str] = []
        real = live.pve.real

        def counted(name: str) -> Any:
            if name in ("migrate", "ha_migrate", "add_node_rule", "set_failback", "set_crs", "set_onboot"):
                asked.append(name)
            return getattr(real, name)

        live.pve.__class__ = type("Counted", (Doubled,), {"__getattr__": lambda self, name: counted(name)})
        full.kind = Kind.INTENT
        await live.steps(6)
        assert not asked and not await live.events(Kind.INTENT), "it came as far as its first effect"
        full.kind = None
        for room in (0, 2, 3):
            before, told = len(asked), len(live.told)
            full.room = room
            await live.steps(6)
            written = await live.events(Kind.INTENT)
            assert len(asked) - before <= room, "each effect has its intent, and that is one event at least"
            assert len(asked) <= len(written)
            assert len(live.told) <= told + 1, "not at every look"
            full.room = None
            await live.steps(2)
        m = await live.steps(30)
        assert m.moved, "it goes on"
        assert live.told and all("nothing new is done for ams1-pve3-1: the database" in each for each in live.told)

    played(story)
