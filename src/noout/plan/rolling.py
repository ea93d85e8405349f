"""All nodes, one after the other: each is emptied into those that were done before it, and nobody is sent back.

Whoever leaves for a node that is done has moved for the last time; only the guests of the first node, which finds no
node done, move once more when the turn comes to where they went. That is why the first is the one with the fewest
guests, and why fewer moves than one for each guest and one more for each of that node's cannot be. At the end the
last node, left empty, takes its largest guests back until it carries its part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, GuestId, NodeId
from noout.domain.maintenance import Move, MoveKind, Plan
from noout.domain.rolling import Cost, Rolling, Stage
from noout.domain.windows import Freeze, Window, next_begin
from noout.plan.capacity import CrushHost, holds_ram, limits_bytes, own_name, taken_bytes
from noout.plan.forward import carried_out
from noout.plan.groups import mates
from noout.plan.order import Turn, next_turn
from noout.plan.plan import make_plan, sketch
from noout.plan.policy import Policy
from noout.plan.release import makespan_s
from noout.plan.returns import belongs_home
from noout.plan.wary import Ill, rather, wary

REFILL = 0.5  # of what an average node carries: then the last node is filled no further
STAYS = "the next nodes follow: on a node that is done it need not move again"


@dataclass(frozen=True, slots=True)
class Calendar:
    """When stages may begin, and how long the work on one node takes beside the moves (s)."""

    zone: tzinfo
    windows: tuple[tuple[str, Window], ...] = ()
    node_s: float = 3600.0
    freezes: tuple[Freeze, ...] = ()


def make_rolling(
    state: ClusterState,
    ceph: CephState | None,
    *,
    now: datetime,
    policy: Policy,
    calendar: Calendar,
    crush_host: CrushHost = own_name,
    done: frozenset[NodeId] = frozenset(),
    ill: Ill = MappingProxyType({}),
) -> Rolling:
    """Every node's turn, each a plan that holds in the state which the turns before it leave. ``done``: nodes whose
    turn has been. ``ill``: nodes to take only where there is no other, and why.

    A node whose plan has blockers is tried once more when all others are done, and then named. Deterministic.
    """
    work = _Work(state, ceph, now, policy, calendar, crush_host, done, ill)
    work.run()
    stages = tuple(work.stages)
    return Rolling(
        cluster=state.name,
        made_at=now,
        observed_at=state.at,
        stages=stages,
        blocked=tuple(work.blocked),
        guests=len(work.moved),
        bound_moves=bound_moves(state, stages, work.moved),
        refill_moves=sum(stage.refill for stage in stages),
        cost=_cost([stage.plan for stage in stages]),
        there_and_back=_there_and_back(work, [stage.plan.node for stage in stages]),
        windows=tuple(text for text, _ in calendar.windows),
        timezone=str(calendar.zone),
        node_s=calendar.node_s,
    )


def bound_moves(state: ClusterState, stages: Sequence[Stage], moved: frozenset[GuestId] | set[GuestId]) -> int:
    """Each guest of a node that is emptied moves once; those of the first find no node done, and move again, unless
    there are nodes whose turn does not come."""
    done = {stage.plan.node for stage in stages}
    here = {node: 0 for node in done}
    for guest in state.guests:
        if guest.node in here and guest.id in moved:
            here[guest.node] += 1
    everywhere = len(done) > 1 and done == {node.id for node in state.nodes if node.online}
    return sum(here.values()) + (min(here.values()) if everywhere else 0)


@dataclass(slots=True)
class _Work:
    state: ClusterState
    ceph: CephState | None
    now: datetime
    policy: Policy
    calendar: Calendar
    crush_host: CrushHost
    done: frozenset[NodeId]
    ill: Ill
    stages: list[Stage] = field(default_factory=list)
    blocked: list[Plan] = field(default_factory=list)
    moved: set[GuestId] = field(default_factory=set)
    seen: ClusterState = field(init=False)  # as it was observed
    before: tuple[ClusterState, datetime, set[GuestId]] = field(init=False)  # before the latest turn
    at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.seen = self.state
        self.at = self.now
        self.before = (self.state, self.at, set())

    def run(self) -> None:
        todo = {node.id for node in self.state.nodes} - self.done
        again: list[NodeId] = []
        while todo:
            node = self._next(todo)
            todo.discard(node)
            plan = self.plan(node)
            if plan.feasible:
                self._take(plan)
            else:
                again.append(node)
        for node in again:
            plan = self.plan(node)
            if plan.feasible:
                self._take(plan)
            else:
                self.blocked.append(plan)
        self._refill()

    def _refill(self) -> None:
        """The node done last, whichever it came to be, is not left empty: its turn is planned with a way back."""
        if len(self.stages) + len(self.done) < 2 or not self.stages:
            return
        after = self.state, self.at, self.moved
        stage = self.stages.pop()
        self.state, self.at, self.moved = self.before
        plan = self.plan(stage.plan.node, refill=True)
        if plan.feasible:
            self._take(plan)
        else:
            self.stages.append(stage)
            self.state, self.at, self.moved = after

    def _next(self, todo: set[NodeId]) -> NodeId:
        limits = limits_bytes(self.state, self.ceph, self.policy, self.crush_host)
        taken = taken_bytes(self.state)
        count = {node: 0 for node in limits}
        for guest in self.state.guests:
            count[guest.node] += holds_ram(guest)
        turns = [Turn(node, limits[node], taken[node], count[node], self._mates(node)) for node in sorted(limits)]
        return next_turn(turns, frozenset(todo), first=not (self.stages or self.done))

    def _mates(self, node: NodeId) -> frozenset[NodeId]:
        return mates(node, self.policy.parts)

    def plan(self, node: NodeId, *, refill: bool = False) -> Plan:
        """This node's turn, in the state as it is by then."""
        done = self.done | {stage.plan.node for stage in self.stages}
        prefer = rather(done - self._mates(node), (each.id for each in self.state.nodes), self.ill)
        plan = make_plan(
            self.state, self.ceph, node, now=self.now, policy=self.policy, crush_host=self.crush_host,
            prefer=prefer, staying=self._refilling(node) if refill else nobody_returns,
        )  # fmt: skip
        return wary(plan, self.ill)

    def _refilling(self, node: NodeId) -> Callable[[Sequence[Move]], Mapping[GuestId, str]]:
        """Of the last node's guests the largest come back, until it carries its part."""
        limits = limits_bytes(self.state, self.ceph, self.policy, self.crush_host)
        part = sum(taken_bytes(self.state).values()) / max(1, sum(limits.values()))
        wanted = REFILL * part * limits[node]

        def staying(moves: Sequence[Move]) -> Mapping[GuestId, str]:
            stays = dict(nobody_returns(moves))
            back = sum(m.ram_bytes for m in moves if m.source == node and m.guest not in stays)
            for move in sorted(moves, key=lambda m: (-m.ram_bytes, m.guest)):
                gentle = move.kind is MoveKind.LIVE and not move.with_local_disks
                if move.guest in stays and gentle and move.source == node and back < wanted:
                    del stays[move.guest]
                    back += move.ram_bytes
            return stays

        return staying

    def _take(self, plan: Plan) -> None:
        going = [move.guest for move in plan.moves if move.target is not None]
        coming = [move for move in plan.returns if move.target is not None]
        lasts_s = plan.estimate_s[1] + self.calendar.node_s + makespan_s(coming, plan.streams, plan.lead_s)
        windows = [window for _, window in self.calendar.windows]
        begins = next_begin(self.at, windows, self.calendar.freezes, self.calendar.zone)
        self.stages.append(
            Stage(
                number=len(self.stages) + 1,
                plan=plan,
                again=sum(guest in self.moved for guest in going),
                refill=sum(not belongs_home(_out(plan, move.guest)) for move in coming),
                begins=begins,
                lasts_s=round(lasts_s),
            )
        )
        self.before = (self.state, self.at, set(self.moved))
        self.at = begins + timedelta(seconds=round(lasts_s))
        self.moved.update(going)
        self.state = carried_out(self.state, plan)


def nobody_returns(moves: Sequence[Move]) -> Mapping[GuestId, str]:
    """All stay where they went, but for those that belong home."""
    return {move.guest: STAYS for move in moves if not belongs_home(move)}


def _out(plan: Plan, guest: GuestId) -> Move:
    return next(move for move in plan.moves if move.guest == guest)


def _there_and_back(work: _Work, nodes: Sequence[NodeId]) -> Cost:
    """The same nodes, each emptied and filled again in the cluster as observed. Only the way out is looked for: the
    way home is taken to send the same guests and bytes in the same time once more, and everybody to come home."""
    each = [sketch(work.seen, work.ceph, node, work.policy, work.crush_host) for node in nodes]
    return Cost(
        stages=len(each),
        moves=2 * sum(one.moves for one in each),
        sent_bytes=2 * sum(one.wire_bytes for one in each),
        moving_s=round(2 * sum(one.moving_s for one in each)),
        spare_kept=sum(one.survives for one in each),
    )


def _cost(plans: Sequence[Plan]) -> Cost:
    moves = [move for plan in plans for move in (*plan.moves, *plan.returns) if move.target is not None]
    moving_s = sum(plan.estimate_s[0] + makespan_s(plan.returns, plan.streams, plan.lead_s) for plan in plans)
    return Cost(
        stages=len(plans),
        moves=len(moves),
        sent_bytes=sum(move.wire_bytes or move.ram_bytes for move in moves),
        moving_s=round(moving_s),
        spare_kept=sum(plan.survives_another_node is True for plan in plans),
    )
