"""What the watch proposes, once for each fault, and what people answered: a fold over the nodes' watch streams."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from noout.codec import decode, encode
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError, Refused, Superseded, UsageError
from noout.domain.hardware import Fault
from noout.domain.journal import Event
from noout.domain.maintenance import Json, Maintenance
from noout.domain.proposals import Proposal, ReadyPlan, Standing
from noout.ports import Clock, Journal
from noout.run.record import Known
from noout.watch.policy import ACTIONS, RANK, Actions, due

log = logging.getLogger(__name__)

PROPOSED = "fault.proposed"  # {"fault", "why", "plan", "reopens"}
SHARED = "proposal.shared"  # {"node", "template"}: it shows on another node of the chassis as well
SNOOZED = "proposal.snoozed"  # {"template", "until", "reason"}
DECLINED = "proposal.declined"  # {"template", "reason"}
PREFIX = "watch-"

MakeReady = Callable[[NodeId], Awaitable[ReadyPlan]]


def stream_of(node: NodeId) -> str:
    """The journal stream that holds what the watch proposed for a node, and the answers."""
    return f"{PREFIX}{node.cluster}-{node.name}"


@dataclass(frozen=True, slots=True)
class Past:
    """A node's maintenances: the one that runs, and the last one that mended a suspected fault."""

    running: Maintenance | None = None
    repaired: Maintenance | None = None

    @property
    def since(self) -> datetime | None:
        """What was seen before this time says nothing about the node any more."""
        return self.repaired.node_on_at if self.repaired is not None else None


@dataclass(slots=True)
class Proposals:
    """``chassis``: node -> the chassis whose fans it shares with others; ``ready``: makes the plan of a new proposal.

    ``refresh`` reads the maintenances; ``consider`` and ``past`` answer from what was read then.
    """

    journal: Journal
    clock: Clock
    actions: Actions = ACTIONS
    chassis: Mapping[NodeId, str] = field(default_factory=dict)
    ready: MakeReady | None = None
    known: Known = field(init=False)
    _past: dict[NodeId, Past] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = Known(self.journal)

    # --- looking -------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read what the maintenances have come to."""
        found: dict[NodeId, Past] = {}
        for stream in await self.journal.streams():
            m = None if stream.startswith(PREFIX) else await self.known.find(stream)
            if m is None:
                continue
            past = found.get(m.node, Past())
            if m.open:
                past = replace(past, running=m)
            elif _mended(m) and (past.repaired is None or _on(past.repaired) < _on(m)):
                past = replace(past, repaired=m)
            found[m.node] = past
        self._past = found

    def past(self, node: NodeId) -> Past:
        return self._past.get(node, Past())

    async def of(self, node: NodeId) -> list[Proposal]:
        """The proposals of one node that a repair has not settled, the first proposed first."""
        past, live = self.past(node), dict[str, Proposal]()
        for event in await self.journal.read(stream_of(node)):
            if past.since is None or event.at > past.since:
                _fold(live, node, event)
        now = self.clock.now()
        return [_as_of(each, past.running, now) for each in live.values()]

    async def all(self) -> list[Proposal]:
        """Those of every node, the most urgent first; as fresh as the last ``refresh``."""
        found: list[Proposal] = []
        for stream in await self.journal.streams():
            if stream.startswith(PREFIX) and (events := await self.journal.read(stream)):
                node = next((decode(Fault, e.data["fault"]).node for e in events if e.kind == PROPOSED), None)
                found += await self.of(node) if node is not None else []
        return sorted(found, key=lambda each: (-RANK[each.urgency], each.proposed_at))

    async def ill(self, cluster: str) -> dict[NodeId, str]:
        """A cluster's nodes that are to be repaired, unless somebody declined it, and what of them: guests that leave
        another node are not to come there. As fresh as the last ``refresh``."""
        found: dict[NodeId, str] = {}
        for each in await self.all():
            for node in (each.node, *each.shared) if each.standing is not Standing.DECLINED else ():
                if node.cluster == cluster:
                    found.setdefault(node, f"{each.fault.template}: {', '.join(each.sensors)}")
        return found

    # --- proposing -----------------------------------------------------------------------------------------

    async def consider(self, fault: Fault, reopens: str = "") -> Proposal | None:
        """Journal a proposal where one is due; None where it was made before, or while the node is in maintenance.

        A fan that nodes of one chassis share is proposed for the first of them that showed it.
        """
        if self.past(fault.node).running is not None:
            return None
        node, known = await self._first_of(fault)
        now = self.clock.now()
        why = due(fault, known, now)
        try:
            if known is not None and node != fault.node and fault.node not in known.shared:
                await self._write(node, SHARED, {"node": str(fault.node), "template": fault.template})
            if not why:
                return None
            plan = await self._plan(node)
            data = {"fault": encode(fault), "why": why, "plan": encode(plan) if plan else None, "reopens": reopens}
            await self._write(node, PROPOSED, data)
        except Superseded:
            return None  # another process of this installation was faster; the next look sees what it wrote
        return next((each for each in await self.of(node) if each.fault.template == fault.template), None)

    async def _first_of(self, fault: Fault) -> tuple[NodeId, Proposal | None]:
        """The node whose stream holds this fault's proposal: its own, or that of a mate with the same fan."""
        own = [each for each in await self.of(fault.node) if each.fault.template == fault.template]
        if own or fault.template != "fans" or fault.node not in self.chassis:
            return fault.node, own[0] if own else None
        place = (fault.node.cluster, self.chassis[fault.node])
        for mate in (each for each, chassis in self.chassis.items() if (each.cluster, chassis) == place):
            for known in await self.of(mate) if mate != fault.node else ():
                if known.fault.template == fault.template and set(known.sensors) & set(fault.sensors):
                    return mate, known
        return fault.node, None

    async def _plan(self, node: NodeId) -> ReadyPlan | None:
        """A proposal waits for no cluster: what cannot be planned now is planned when somebody asks."""
        if self.ready is None:
            return None
        try:
            return await self.ready(node)
        except NooutError as error:
            log.warning("%s: no plan for the proposal: %s", node, error)
            return ReadyPlan("", self.clock.now(), False, f"none yet: {error.message}")

    # --- answering -----------------------------------------------------------------------------------------

    async def snooze(self, node: NodeId, until: datetime, reason: str, actor: str) -> list[Proposal]:
        """Do not speak of the node's proposals until then, unless they become more urgent. Refused without any."""
        return await self._answer(node, SNOOZED, {"until": until.isoformat(), "reason": reason}, actor)

    async def decline(self, node: NodeId, reason: str, actor: str) -> list[Proposal]:
        """No maintenance for these, unless they become more urgent or another part joins. Refused without any."""
        return await self._answer(node, DECLINED, {"reason": reason}, actor)

    async def _answer(self, node: NodeId, kind: str, data: dict[str, Json], actor: str) -> list[Proposal]:
        if not str(data["reason"]).strip():
            raise UsageError("a proposal is put aside for a reason only", remedy="say it with --reason TEXT")
        await self.refresh()
        live = await self.of(node)
        if taken := [each for each in live if each.standing is Standing.TAKEN]:
            raise Refused(
                f"{node} is in maintenance ({taken[0].maintenance})", remedy=f"noout abort {taken[0].maintenance}"
            )
        if not live:
            raise Refused(f"nothing is proposed for {node}", remedy="see `noout proposals`")
        for each in live:
            await self._write(node, kind, {"template": each.fault.template, **data}, actor)
        return await self.of(node)

    async def _write(self, node: NodeId, kind: str, data: Mapping[str, Json], actor: str = "noout") -> None:
        stream = stream_of(node)
        events = await self.journal.read(stream)
        await self.journal.append(stream, len(events), kind, data, actor)


def _mended(m: Maintenance) -> bool:
    """A repair was finished and accepted: not called off, nor closed up as it was."""
    return m.fault is not None and m.node_on_at is not None and m.outcome.startswith("done")


def _on(m: Maintenance) -> datetime:
    assert m.node_on_at is not None
    return m.node_on_at


def _fold(live: dict[str, Proposal], node: NodeId, event: Event) -> None:
    """One event of a watch stream, into the proposals by template."""
    data = event.data
    if event.kind == PROPOSED:
        fault = decode(Fault, data["fault"])
        plan = decode(ReadyPlan, data["plan"]) if data.get("plan") else None
        live[fault.template] = _proposed(live.get(fault.template), node, event, fault, plan)
        return
    known = live.get(str(data.get("template", "")))
    if known is None:
        return
    match event.kind:
        case "proposal.shared":
            known = replace(known, shared=(*known.shared, NodeId.parse(data["node"])))
        case "proposal.snoozed":
            until = datetime.fromisoformat(data["until"])
            known = replace(known, standing=Standing.SNOOZED, until=until, reason=data["reason"], by=event.actor)
        case "proposal.declined":
            known = replace(known, standing=Standing.DECLINED, until=None, reason=data["reason"], by=event.actor)
    live[known.fault.template] = known


def _proposed(before: Proposal | None, node: NodeId, event: Event, fault: Fault, plan: ReadyPlan | None) -> Proposal:
    reopens = str(event.data.get("reopens", ""))
    if before is None:
        return Proposal(
            node, fault, event.at, 1, fault.sensors, fault.urgency, Standing.OPEN, plan=plan, reopens=reopens
        )
    return replace(
        before,
        fault=fault,
        proposed_at=event.at,
        times=before.times + 1,
        sensors=tuple(sorted({*before.sensors, *fault.sensors})),
        urgency=max(before.urgency, fault.urgency, key=RANK.__getitem__),
        standing=Standing.OPEN,
        plan=plan,
        until=None,
        reason="",
        by="",
        reopens=reopens or before.reopens,
    )


def _as_of(each: Proposal, running: Maintenance | None, now: datetime) -> Proposal:
    """What time and the node's maintenance make of it. A snooze that is over keeps its ``until``."""
    if running is not None:
        return replace(each, standing=Standing.TAKEN, maintenance=running.id)
    if each.standing is Standing.SNOOZED and each.until is not None and each.until <= now:
        return replace(each, standing=Standing.OPEN)
    return each
