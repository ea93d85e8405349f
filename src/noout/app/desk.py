"""What operators decide from their pages and by the HTTP API, beside what they tell a run: plan and begin a
maintenance, answer a proposal, give back what was left, read the record of access.

Who may is asked by whoever calls; what the program refuses, it refuses here as it does on the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from noout.app.access import audit
from noout.app.compose import Installation
from noout.app.ledger import Books, Ledger, read_ledger, release
from noout.app.maintain import Maintenances
from noout.app.notice import proposals_of
from noout.app.planning import Planned, look_and_plan
from noout.app.privileges import LOOK, acts_of, require
from noout.app.sharing import shared_fault
from noout.app.watcher import Watcher
from noout.app.webhooks import Standing, standings
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, UsageError
from noout.domain.hardware import Fault
from noout.domain.journal import Event
from noout.domain.maintenance import Mode, Plan
from noout.domain.ownership import Holding
from noout.domain.proposals import Proposal

PLANS_KEPT = 64  # those that somebody may be looking at


@dataclass(frozen=True, slots=True)
class Way:
    """How the operator wants the plan. ``consents``: guests whose interruption is agreed to; ``stay``: they stay where
    they go; ``toward``: names of nodes to take before any other."""

    consents: tuple[str, ...] = ()
    stay: bool = False
    toward: tuple[str, ...] = ()


@dataclass(slots=True)
class Desk:
    """Over one installation; ``watcher``: this process's, or one that reads what another's has kept."""

    found: Installation
    watcher: Watcher
    _shown: dict[str, Plan] = field(default_factory=dict)

    # --- planning and beginning ---------------------------------------------------------------------------------

    async def fault(self, node: NodeId) -> Fault | None:
        """What the watch has seen of the node; it goes with a maintenance, to the work order and the acceptance."""
        return (await self.watcher.health(node)).fault if node in self.watcher.boards else None

    async def plan(self, node: NodeId, way: Way = Way()) -> Planned:
        """The plan as the cluster is now, with what the node's fault means for those that share a part with it."""
        return await self._plan(node, way, await self.fault(node))

    async def _plan(self, node: NodeId, way: Way, fault: Fault | None) -> Planned:
        await require(self.found.hypervisor(node), LOOK)
        planned = await look_and_plan(self.found, node, way.consents, stay=way.stay, toward=way.toward)
        if fault is not None and (shared := await shared_fault(self.found, fault, planned.cluster)) is not None:
            planned = replace(planned, plan=replace(planned.plan, blockers=(*planned.plan.blockers, shared)))
        self._shown[planned.plan.id] = planned.plan
        while len(self._shown) > PLANS_KEPT:
            self._shown.pop(next(iter(self._shown)))
        return planned

    async def begin(
        self,
        node: NodeId,
        *,
        reason: str,
        mode: Mode,
        actor: str,
        approves: bool,
        way: Way = Way(),
        plan_id: str = "",
        address: str = "",
    ) -> str:
        """Open a maintenance on a plan made now; its id. ``approves``: whoever opens it may say yes to plans, and does.

        ``plan_id``: the plan that the opener has seen; Refused where the cluster asks for another by now. Refused, too,
        for a plan with blockers and for mode advise, which begins nothing.
        """
        if mode is Mode.ADVISE:
            raise UsageError("mode advise begins nothing", remedy="ask for the plan; to begin, take step or auto")
        seen = self._shown.get(plan_id)
        if plan_id and (seen is None or seen.node != node):
            raise Refused(f"{plan_id} is not known any more", remedy="look at the plan again, and begin from there")
        fault = await self.fault(node)
        planned = await self._plan(node, way, fault)
        if seen is not None and deeds_of(seen) != deeds_of(planned.plan):
            raise Refused(
                f"{node.cluster} has changed since {plan_id} was made: other guests would move, or elsewhere",
                remedy="look at the plan again, and begin from there",
            )
        await require(self.found.hypervisor(node), LOOK, *acts_of(planned.plan))
        return await Maintenances(self.found).open(
            node,
            reason=reason,
            mode=mode,
            actor=actor,
            plan=planned.plan,
            fault=fault,
            approved=approves,
            address=address,
        )

    # --- what the watch proposes --------------------------------------------------------------------------------

    async def proposals(self) -> Sequence[Proposal]:
        known = proposals_of(self.found)
        await known.refresh()
        return await known.all()

    async def snooze(
        self, node: NodeId, until: datetime, reason: str, actor: str, address: str = ""
    ) -> Sequence[Proposal]:
        """Refused where nothing is proposed for the node."""
        left = await proposals_of(self.found).snooze(node, until, reason, actor)
        await audit.decided(self.found.journal, audit.SNOOZED, actor, address, str(node), reason)
        return left

    async def decline(self, node: NodeId, reason: str, actor: str, address: str = "") -> Sequence[Proposal]:
        """Refused where nothing is proposed for the node."""
        left = await proposals_of(self.found).decline(node, reason, actor)
        await audit.decided(self.found.journal, audit.DECLINED, actor, address, str(node), reason)
        return left

    # --- what is owned, and who was here ------------------------------------------------------------------------

    async def ledger(self, clusters: Sequence[str]) -> Ledger:
        """Of these clusters alone."""
        books = Books(self.found)
        read = [await read_ledger(self.found, books, name) for name in clusters]
        return Ledger(
            tuple(line for each in read for line in each.lines),
            tuple(odd for each in read for odd in each.oddities),
            {name: why for each in read for name, why in each.unread.items()},
        )

    async def release(self, cluster: str, kind: str, subject: str, actor: str, address: str = "") -> Holding:
        """Give back what a maintenance that is over has left. Refused as ``app.ledger.release`` does."""
        given = await release(self.found, kind, subject, actor, cluster)
        await audit.decided(self.found.journal, audit.RELEASED, actor, address, f"{cluster}: {kind} {subject}")
        return given

    async def webhooks(self) -> Sequence[Standing]:
        """How the receivers of the configuration are doing."""
        return await standings(self.found)

    async def record(self) -> Sequence[Event]:
        """Who came in, who was refused, which tokens were made and revoked, and what was decided beside the
        maintenances; oldest first."""
        return await audit.read(self.found.journal)


def deeds_of(plan: Plan) -> tuple[object, ...]:
    """What is done to whom, whenever the plan was made."""
    moves = ((move.guest, move.kind, move.source, move.target) for move in (*plan.moves, *plan.returns))
    return (plan.feasible, plan.consents, *moves)
