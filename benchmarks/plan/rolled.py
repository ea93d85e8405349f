"""Every node in turn: moves beside the fewest there can be, and beside emptying and filling each node by itself."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC

from benchmarks.plan.executors import Carried
from benchmarks.plan.instances import MIXES, make
from benchmarks.plan.measure import policy_for
from benchmarks.plan.precopy import TEN, Player
from benchmarks.plan.validator import judge
from noout.domain.cluster import ClusterState, GuestId, NodeId
from noout.domain.maintenance import Plan
from noout.plan.rolling import Calendar, make_rolling

FILL = 0.85


@dataclass(frozen=True, slots=True)
class Rolled:
    """One cluster. ``least_moves``: each guest leaves its node once, and those of the first node, which finds none
    done, once more. ``refill_moves`` fill the last node again. ``spare_kept``: turns in which N+1 is kept while the
    node is empty, by noout's own word; ``spare_alone_kept``: the same when each node is filled again before the next.
    """

    instance: str
    hosts: int
    guests: int
    seconds: float  # CPU, to plan it
    stages: int
    blocked: int
    moves: int
    refill_moves: int
    least_moves: int
    there_and_back_moves: int
    sound: bool  # carried out turn by turn, judged at every instant
    spare_kept: int
    spare_alone_kept: int


def rolled(seed: int, hosts: int) -> Rolled:
    """The rolling plan of one cluster that is 85 % full while a node is empty."""
    mix = list(MIXES)[seed % len(MIXES)]
    instance = make(seed, hosts, mix, FILL)
    state = instance.state
    policy = policy_for(TEN)
    began = time.process_time()
    rolling = make_rolling(state, None, now=state.at, policy=policy, calendar=Calendar(UTC))
    seconds = time.process_time() - began
    sound = True
    for stage in rolling.stages:
        node = stage.plan.node
        trace = [each.executed for each in Player(state, TEN).play(Carried(stage.plan))]
        sound = sound and judge(state, instance.limits, node, trace).sound
        state = _after(state, {each.guest: each.target for each in trace})
        state = _after(state, {move.guest: move.target for move in stage.plan.returns if move.target is not None})
    moves = sum(len(_moves(stage.plan)) + len(stage.plan.returns) for stage in rolling.stages)
    count = {node.id: len(instance.state.guests_on(node.id)) for node in instance.state.nodes}
    return Rolled(
        instance=instance.name,
        hosts=hosts,
        guests=len(state.guests),
        seconds=seconds,
        stages=len(rolling.stages),
        blocked=len(rolling.blocked),
        moves=moves,
        refill_moves=rolling.refill_moves,
        least_moves=sum(count.values()) + min(count.values()),
        there_and_back_moves=rolling.there_and_back.moves,
        sound=sound,
        spare_kept=rolling.cost.spare_kept,
        spare_alone_kept=rolling.there_and_back.spare_kept,
    )


def _moves(plan: Plan) -> list[GuestId]:
    return [move.guest for move in plan.moves if move.target is not None]


def _after(state: ClusterState, at: dict[GuestId, NodeId]) -> ClusterState:
    return replace(state, guests=tuple(replace(g, node=at[g.id]) if g.id in at else g for g in state.guests))
