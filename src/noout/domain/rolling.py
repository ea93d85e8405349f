"""A maintenance of every node of a cluster, one after the other: in which order, who moves, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noout.domain.maintenance import Plan


@dataclass(frozen=True, slots=True)
class Cost:
    """What a way through the nodes asks for, over the ``stages`` that can be done.

    ``moves``: how often a guest is moved, there and back counted as two. ``sent_bytes``: memory and local disks moved.
    ``moving_s``: estimated time in which guests move. ``spare_kept``: stages in which one node more could be lost.
    """

    stages: int
    moves: int
    sent_bytes: int
    moving_s: float
    spare_kept: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One node's turn. ``plan`` holds in the cluster as the stages before it leave it.

    ``again``: moves of guests that an earlier stage had moved. ``refill``: moves back to the node, to share the load.
    ``begins``: when it may begin, ``lasts_s`` after which the next may: both by assumption.
    """

    number: int
    plan: Plan
    again: int
    refill: int
    begins: datetime
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Rolling:
    """Every node once. ``blocked``: plans of nodes whose turn cannot be, with their blockers; the others go on.

    ``guests`` that move at all; ``bound_moves``: fewer moves cannot empty each of these nodes once. ``refill_moves``
    are in ``cost`` and not in the bound. ``there_and_back``: the same nodes, each emptied and filled again as it was.
    """

    cluster: str
    made_at: datetime
    observed_at: datetime
    stages: tuple[Stage, ...]
    blocked: tuple[Plan, ...]
    guests: int
    bound_moves: int
    refill_moves: int
    cost: Cost
    there_and_back: Cost
    windows: tuple[str, ...] = ()
    timezone: str = "UTC"
    node_s: float = 0.0  # assumed for the work on each node, beside the moves

    @property
    def feasible(self) -> bool:
        return not self.blocked
