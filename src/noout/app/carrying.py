"""Carrying maintenances out in this process: the engine, and a witness for each run.

One process for a SQLite store; of several on PostgreSQL, one for each run, which is whoever holds its lease. The
engine's own tables are this process's scratch memory then: whoever takes a run over starts it from the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO

from noout.adapters.durable import DurableEngine
from noout.app.acknowledging import unacknowledged
from noout.app.comeback import Comeback
from noout.app.compose import Installation
from noout.app.hours import shut_now
from noout.app.inboxes import Inboxes
from noout.app.neighbours import Neighbours
from noout.app.older import look_back
from noout.app.own_addresses import with_own_addresses
from noout.app.pace import Paces
from noout.app.paging import page
from noout.app.planning import ill_nodes
from noout.app.standstill import doubt, standstill
from noout.app.witnessing import Witness, services_of
from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, Guest, GuestId, NodeId
from noout.domain.errors import NooutError, StoreBroken
from noout.domain.hardware import HardwareState
from noout.domain.impact import Service
from noout.domain.maintenance import Json, Maintenance, Observation, Plan
from noout.domain.workorder import WorkOrder
from noout.plan.plan import make_plan
from noout.plan.returns import as_before
from noout.plan.wary import rather, wary
from noout.ports import Engine
from noout.run.alarm import unkept
from noout.run.context import Answer, Context
from noout.run.story import run
from noout.run.touched import guests_of
from noout.steps.avoid import Avoid
from noout.steps.exposure import given_up
from noout.steps.rules import Rules
from noout.steps.site import Site
from noout.tell.checklist import make_work_order
from noout.watch.acceptance import acceptance
from noout.watch.chance import says
from noout.watch.chance import soak_s as soak_length_s
from noout.watch.comeback import Comparison

log = logging.getLogger(__name__)

OPENING_LOOKS = 5  # so many looks an opening that is still being written is given before its run begins


def context_of(found: Installation, witnesses: dict[str, Witness]) -> Context:
    """What the runs of this installation need of it."""

    def site(node: NodeId) -> Site:
        return Site(
            found.hypervisor(node), found.cephs.get(node.cluster), found.bmc(node), found.clock, found.crush_host
        )

    async def plan(
        cluster: ClusterState, ceph: CephState | None, node: NodeId, now: datetime, parent: Plan | None, avoid: Avoid
    ) -> Plan:
        ill = await ill_nodes(found, cluster.name)
        made = make_plan(
            cluster, ceph, node, now=now, policy=found.policy_for(cluster.name), parent=parent, avoid=avoid,
            crush_host=found.crush_host, prefer=rather(frozenset(), (each.id for each in cluster.nodes), ill),
            staying=as_before(parent),
        )  # fmt: skip
        return wary(made, ill)

    def order(m: Maintenance) -> WorkOrder:
        return make_work_order(m, found.location(m.node), f"WO-{m.id}", found.checklists)

    comeback = Comeback(found.inspectors, found.clock)

    async def accept(m: Maintenance, seen: Observation) -> Answer:
        return await accepted(found, m, seen, comeback)

    async def silent(m: Maintenance) -> frozenset[GuestId]:
        witness = witnesses.get(m.id)
        return await witness.silent(m) if witness is not None else frozenset()

    async def answered(m: Maintenance) -> Mapping[GuestId, datetime | None]:
        witness = witnesses.get(m.id)
        return await witness.answered() if witness is not None else {}

    chosen = found.settings.policy
    return Context(
        journal=found.journal,
        clock=found.clock,
        site=site,
        make_plan=plan,
        make_work_order=order,
        accept=accept,
        silent=silent,
        answered=answered,
        addressed=partial(_addressed, found),
        neighbours=Neighbours(found).around,
        rules=_rules(found),
        frozen=partial(frozen, found),
        doubt=lambda m, note, why: doubt(found.journal, note, why),
        shut=partial(shut_now, found),
        unacknowledged=partial(unacknowledged, found),
        page=partial(page, found),
        link=lambda m: found.settings.serve.base_url,
        inventory=comeback.before,
        soak_s=partial(soak_of, found),
        probation_s=chosen.probation_days * 86400,
    )


async def _addressed(found: Installation, state: ClusterState, guests: Sequence[Guest]) -> tuple[Sequence[Guest], Json]:
    told = await with_own_addresses(found, state, guests)
    return told.guests, told.fact


async def frozen(found: Installation, m: Maintenance) -> str:
    """Nothing at all while everything is stopped. While another maintenance closes up after a second fault, nothing
    else is set in motion anywhere; only a run that has given up redundancy itself goes on, for its way back must not
    take longer."""
    if (stopped := await standstill(found.journal)) is not None:
        return str(stopped)
    if m.urgent or given_up(m):
        return ""
    for stream in await found.journal.streams():
        other = await found.known.find(stream) if stream != m.id else None
        if other is not None and other.open and other.urgent:
            return f"{other.id} to be safe again: {other.closing_up}"
    return ""


def soak_of(found: Installation, m: Maintenance) -> float:
    """How long this node is to prove itself (s): as configured, or longer for a fault that shows itself seldom."""
    chosen = found.settings.policy
    return soak_length_s(m.fault, chosen.soak_s, chosen.soak_share, chosen.soak_max_h * 3600)


def _rules(found: Installation) -> Rules:
    chosen = found.settings.policy
    return Rules(
        found.policy.lock_wait_s, chosen.canary, chosen.hold_limit_h * 3600, chosen.cluster_noout, chosen.slow_wait_s
    )


async def accepted(found: Installation, m: Maintenance, seen: Observation, comeback: Comeback) -> Answer:
    """The watch's judgement of the repaired node, from what its BMC has said since it has power again, and of what
    the node says of itself: it must be the one that went."""
    on_at = m.node_on_at or m.opened_at
    kept = await found.measurements.hardware(m.node, m.opened_at)
    off_at = m.node_off_at or on_at
    before: HardwareState | None = next((each for each in reversed(kept) if each.reachable and each.at < off_at), None)
    await found.measurements.add_hardware(await found.bmc(m.node).observe())
    after = await found.measurements.hardware(m.node, on_at)
    known = frozenset(m.facts.get("accepted_differences") or ())
    soak_s = soak_of(found, m)
    answer = acceptance(before, after, m.fault, found.clock.now(), soak_s=soak_s, known=known)
    soaked = answer.until is not None and found.clock.now() >= answer.until
    back = await comeback.after(m, seen, last=soaked)
    inside = back or Comparison()
    evidence = {
        "chance_old_fault_would_show": answer.chance.best,
        "chance_between": [answer.chance.low, answer.chance.high],
        "chance": says(answer.chance, soak_s),
        "notes": [*answer.notes, *inside.notes],
        "differences": [*answer.differences, *inside.findings],
    }
    old = tuple(each for each in answer.findings if not (m.closing_up and _of_the_old_fault(each, m)))
    if findings := (*old, *inside.findings):
        return Answer(False, findings, evidence=evidence)
    if back is None:
        return Answer(None, until=answer.until)
    if m.closing_up and answer.findings:  # it returns as it was: what was known to be ill is not held against it
        return Answer(True, evidence=evidence) if soaked else Answer(None, until=answer.until)
    if not answer.ok:
        return Answer(None, until=answer.until)
    return Answer(True, evidence=evidence)


def _of_the_old_fault(finding: str, m: Maintenance) -> bool:
    plain = finding.replace(" ", "").casefold()
    return any(sensor.replace(" ", "").casefold() in plain for sensor in (m.fault.sensors if m.fault else ()))


@dataclass
class Carrier:
    """The runs of this process. ``begin`` starts one and its witness; ``end`` stops them, and loses nothing."""

    found: Installation
    witnesses: dict[str, Witness] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    minded_at: datetime | None = None  # when the maintenances were last looked after
    paces: Paces = field(init=False)
    inboxes: Inboxes = field(init=False)
    unkept: set[str] = field(default_factory=set)  # whose journal cannot be written: somebody was told
    _seen: dict[str, int] = field(default_factory=dict)  # how often each was seen before it was approved

    def __post_init__(self) -> None:
        self.paces = Paces(self.found.clock)
        self.inboxes = Inboxes(self.found.news, self.found.journal, self._leads, self._say_unkept)

    def _leads(self, maintenance: str) -> bool:
        return self.found.leases.holds(lease_of(maintenance))

    async def carry(self, engine: Engine, maintenance: str) -> None:
        """The loop, as the engine runs it."""
        lease, leases = lease_of(maintenance), self.found.leases
        context = context_of(self.found, self.witnesses)
        fenced = leases.fenced(self.found.journal, lease)
        leads = partial(leases.holds, lease)
        context = replace(context, journal=fenced, leads=leads, unkept=self.unkept)
        await run(self.paces.of(engine), context, maintenance)

    async def mind(self, states: Iterable[Maintenance]) -> None:
        """Carry of these maintenances those that nobody else does; let go of what another process has taken over."""
        ready = [each for each in states if each.open and self._is_ready(each)]
        held = await self.found.leases.take([lease_of(each.id) for each in ready])
        for maintenance in [each for each in self.tasks if not self.found.leases.holds(lease_of(each))]:
            await self._let_go(maintenance)
        for each in ready:
            if lease_of(each.id) in held:
                await self.begin(each.id)
        self.minded_at = self.found.clock.now()

    def _is_ready(self, state: Maintenance) -> bool:
        """Whoever opens it writes several events; the run must not write between them. One whose opener died begins
        all the same, so that it can be aborted."""
        if state.approved_by is not None:
            return True
        self._seen[state.id] = self._seen.get(state.id, 0) + 1
        return self._seen[state.id] >= OPENING_LOOKS

    async def _let_go(self, maintenance: str) -> None:
        """The run itself sees at its next step that it is not led here, and ends: it need not wait for that step."""
        task = self.tasks.pop(maintenance)
        self.paces.forget(maintenance)
        if not task.done():
            log.warning("%s: another process may carry it now: let go here", maintenance)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.witnesses.pop(maintenance, None)
        if self.inboxes.engine is not None:
            await self.inboxes.engine.wake(maintenance)

    async def begin(self, maintenance: str) -> None:
        """Start (or take up again) one run; its witness asks before the run's first effect."""
        if maintenance not in self.tasks or self.tasks[maintenance].done():  # done: it was taken up again
            state = await self.found.known.get(maintenance)
            self.witnesses[maintenance] = self._witness(state)
            self.tasks[maintenance] = asyncio.create_task(self._beside(maintenance))
            kept = timedelta(days=self.found.settings.probes.keep_days)
            with contextlib.suppress(NooutError):  # then it is done when the next one begins
                await self.found.measurements.forget_samples(self.found.clock.now() - kept)
                photos = timedelta(days=self.found.settings.workorders.photos_days)
                await self.found.photos.forget(self.found.clock.now() - photos)

    def _witness(self, state: Maintenance) -> Witness:
        found, mid = self.found, state.id

        async def current() -> Maintenance:
            return await found.news.state(mid)

        probes = found.settings.probes

        def services(m: Maintenance) -> tuple[Service, ...]:
            return services_of(guests_of(m), probes)

        return Witness(
            mid, services, found.prober, found.measurements, found.clock, probes, current, alarm=partial(page, found)
        )

    async def _beside(self, maintenance: str) -> None:
        """The witness, and a look for messages left by other processes, until the run is over."""
        witnessing = asyncio.create_task(self.witnesses[maintenance].run())
        try:
            await self.inboxes.until_over(maintenance)
            await witnessing
        finally:
            witnessing.cancel()
            with contextlib.suppress(asyncio.CancelledError, NooutError):
                await witnessing

    async def _say_unkept(self, maintenance: str, error: StoreBroken) -> None:
        """Wake somebody, where the run itself has not: it may not have come so far."""
        log.warning("%s: %s", maintenance, error)
        known = self.found.known.states.get(maintenance)
        if known is not None and maintenance not in self.unkept:
            self.unkept.add(maintenance)
            await page(self.found, known, unkept(maintenance, error))

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        await self.inboxes.end()


@asynccontextmanager
async def carrying(found: Installation, *, serves: bool = False) -> AsyncIterator[Carrier | None]:
    """What carries runs out in this process; None when another process does so for the same SQLite store.

    ``serves``: for as long as it runs, not for one command.
    """
    with contextlib.ExitStack() as stack:
        if found.store_path is not None:
            lock = _lock(found.store_path.with_suffix(".lock"))
            if lock is None:
                yield None
                return
            stack.enter_context(lock)
            engine_file = found.store_path.with_suffix(".engine.db")
        else:
            engine_file = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="noout-"))) / "engine.db"
        carrier = Carrier(found)
        await look_back(found)
        async with (
            found.leases.joined(serves=serves),
            DurableEngine(f"sqlite:///{engine_file}", found.clock, carrier.carry) as engine,
        ):
            carrier.inboxes.engine = engine
            try:
                yield carrier
            finally:
                await carrier.end()


def lease_of(maintenance: str) -> str:
    """Whoever holds it leads the run, and its witness."""
    return f"run/{maintenance}"


def _lock(path: Path) -> IO[str] | None:
    """Hold ``path`` exclusively; None when another process does. The kernel lets go of it when we die."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
