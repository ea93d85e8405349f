"""A whole maintenance in one process: the lab's world over its real wire, the run, and the people, in virtual time.

What belongs to noout's process (context, engine, adapters) can be thrown away and made again at any moment; the
journal and the world stay, as they would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from noout.adapters.store.memory import MemoryStore
from noout.codec import encode
from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, GuestId, NodeId
from noout.domain.hardware import Fault, Urgency
from noout.domain.journal import Event, Kind, Message, MessageKind
from noout.domain.maintenance import Json, Maintenance, Mode, Observation, Plan
from noout.domain.workorder import Location, WorkOrder
from noout.lab.scenarios import build
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from noout.ports import Engine, Journal
from noout.run.context import Answer, Context
from noout.run.record import Known
from noout.run.story import run
from noout.steps.avoid import Avoid
from noout.steps.site import Site
from noout.tell.checklist import make_work_order
from noout.watch.acceptance import acceptance
from tests.sim.engine import MemoryEngine
from tests.support.labsite import LabSite, lab_site

MID = "ams1-pve3-1"
NODE = NodeId("ams1", "pve3")
SOAK_S = 120.0
FAULT = Fault(NODE, "fans", ("FAN3B",), Urgency.SCHEDULE, "FAN3B stands still now and then", ())
# What the technician of these stories does with their hands, by the check it answers.
WORK = {
    "before.cords-out": ("pull_cords", "open_lid"),
    "fans.clean": ("clean_fans",),
    "after.lid": ("close_lid",),
    "after.cords-in": ("plug_cords",),
}


@dataclass
class Sim:
    """One world and one journal."""

    lab: LabSite
    store: MemoryStore
    journal: Journal
    wrap: Callable[[Site], Site] = lambda site: site
    silent: set[GuestId] = field(default_factory=set)
    policy: Policy = field(default_factory=Policy)
    engine: MemoryEngine | None = None

    def __post_init__(self) -> None:
        self.onlooker = Known(self.store)

    async def state(self) -> Maintenance:
        """As an onlooker sees it: never through what the run knows."""
        return await self.onlooker.get(MID)

    async def events(self) -> list[Event]:
        return list(await self.store.read(MID))

    async def open(self, mode: Mode = Mode.AUTO) -> None:
        """As the application opens one: planned and approved by the operator who asks for it."""
        cluster, ceph = await self.lab.hypervisor.observe(), await self.lab.ceph.observe()
        plan = make_plan(cluster, ceph, NODE, now=self.lab.clock.now(), policy=self.policy)
        assert plan.feasible, plan.blockers
        opening: list[tuple[Kind, Mapping[str, Json]]] = [
            (Kind.OPENED, {"node": str(NODE), "reason": FAULT.summary, "mode": mode.value, "fault": encode(FAULT)}),
            (Kind.PLANNED, {"plan": encode(plan)}),
            (Kind.APPROVED, {"by": "operator:anna"}),
        ]
        for seq, (kind, data) in enumerate(opening):
            await self.store.append(MID, seq, kind, data, "operator:anna")

    def begin(self) -> MemoryEngine:
        """A new process: nothing of an older one is known to it but the journal."""
        context = self.context()

        async def carry(engine: Engine, maintenance: str) -> None:
            await run(engine, context, maintenance)

        self.engine = MemoryEngine(self.lab.clock, carry)
        return self.engine

    def context(self) -> Context:
        lab, site = (
            self.lab,
            self.wrap(
                Site(self.lab.hypervisor, self.lab.ceph, self.lab.bmcs[NODE], self.lab.clock, lambda node: node.name)
            ),
        )

        async def plan(
            cluster: ClusterState, ceph: CephState | None, node: NodeId, now: datetime, old: Plan | None, avoid: Avoid
        ) -> Plan:
            return make_plan(cluster, ceph, node, now=now, policy=self.policy, parent=old, avoid=avoid)

        async def accept(m: Maintenance, seen: Observation) -> Answer:
            return await self._accept(m)

        async def silent(m: Maintenance) -> frozenset[GuestId]:
            return frozenset(self.silent)

        serial = lab.cluster.bmcs[NODE.name].serial
        return Context(
            self.journal, lab.clock, lambda node: site, plan,
            lambda m: self._order(m, serial), accept, silent, soak_s=lambda _: SOAK_S,
        )  # fmt: skip

    def _order(self, m: Maintenance, serial: str) -> WorkOrder:
        """The usual work order, of which only the checks are asked that do something to the lab's world."""
        order = make_work_order(m, Location(serial=serial), "WO-1")
        return replace(order, checks=tuple(check for check in order.checks if check.key in WORK))

    async def _accept(self, m: Maintenance) -> Answer:
        now = self.lab.clock.now()
        await self.store.add_hardware(await self.lab.bmcs[NODE].observe())
        after = await self.store.hardware(NODE, m.node_on_at or m.opened_at)
        found = acceptance(None, after, m.fault, now, soak_s=SOAK_S)
        if found.findings:
            return Answer(False, found.findings)
        return Answer(True) if found.ok else Answer(None, until=found.until)

    # --- people ------------------------------------------------------------------------------------------------

    async def say(self, kind: MessageKind, actor: str = "operator:anna", key: str = "", **data: Json) -> None:
        key = key or f"{actor}/{kind}/{len(await self.store.messages(MID))}"
        await self.store.post(MID, Message(key, kind, actor, self.lab.clock.now(), data))
        if self.engine is not None:
            await self.engine.wake(MID)

    async def technician(self, *, leave_out: Iterable[str] = ()) -> None:
        """Ten minutes' way, hands-on, the checklist when the node is off, sign-off."""
        await self.until(lambda m: m.work_order is not None and m.needs == "technician")
        await asyncio.sleep(600)
        m = await self.state()
        assert m.work_order is not None
        await self.say(MessageKind.HANDS_ON, "technician:ruben", serial=m.work_order.location.serial)
        m = await self.until(lambda m: m.node_off_at is not None or not m.open)
        assert m.work_order is not None
        for check in m.work_order.checks:
            for action in () if check.key in leave_out else WORK.get(check.key, ()):
                self.lab.laws.advance()
                self.lab.laws.hands(self.lab.cluster, NODE.name, action)
            await asyncio.sleep(30)
            await self.say(MessageKind.FINDING, "technician:ruben", check=check.key, answer="done")
        await self.say(MessageKind.SIGN_OFF, "technician:ruben")

    async def until(self, wanted: Callable[[Maintenance], bool], every_s: float = 2.0) -> Maintenance:
        while True:
            m = await self.state()
            if wanted(m):
                return m
            await asyncio.sleep(every_s)

    async def blocked(self, code: str = "") -> Maintenance:
        """Until the run is blocked (by ``code``); fails when it ends instead."""
        m = await self.until(lambda m: not m.open or any(code in (each.code, "") for each in m.blockers))
        assert m.open, f"it ended as {m.outcome!r} and was never blocked by {code}"
        return m

    async def carry(self) -> Maintenance:
        """One process from here to the end of the maintenance."""
        engine = self.begin()
        await engine.start(MID)
        await engine.tasks[MID]
        return await self.state()

    async def to_the_end(self, *beside: Coroutine[None, None, object]) -> Maintenance:
        """The whole story with its technician, and what others do beside (their failures are the test's)."""
        people = [asyncio.create_task(each) for each in (self.technician(), *beside)]
        run = asyncio.create_task(self.carry())
        try:
            await asyncio.wait([run, *people], return_when=asyncio.FIRST_EXCEPTION, timeout=6 * 3600)
            for each in people:
                if each.done() and not each.cancelled() and each.exception() is not None:
                    raise AssertionError("somebody beside the run failed") from each.exception()
            assert run.done(), f"not over after six hours: {(await self.state()).blockers}"
            return run.result()
        finally:
            for each in (run, *people):
                each.cancel()


def simulation(scenario: str = "default", *, seed: int = 1, guests: int = 24, nodes: int = 6) -> Sim:
    """Call it inside a running (virtual) loop."""
    world, switch_on = build(scenario, seed=seed, guests=guests, nodes=nodes)
    lab = lab_site(world)
    switch_on(lab.laws)
    store = MemoryStore(lab.clock)
    return Sim(lab, store, store)
