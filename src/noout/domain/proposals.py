"""A proposed maintenance: the fault that asks for it, the plan that is ready, and what a person answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from noout.domain.cluster import NodeId
from noout.domain.hardware import Fault, Urgency


class Standing(StrEnum):
    """What has become of a proposal. Values are stable: exports and scripts read them."""

    OPEN = "open"
    SNOOZED = "snoozed"  # until a time; then it is open again
    DECLINED = "declined"
    TAKEN = "taken"  # a maintenance of the node runs


@dataclass(frozen=True, slots=True)
class ReadyPlan:
    """The plan that was made when the maintenance was proposed. It ages: what is carried out is made anew.

    ``says``: what it comes to in one sentence, or why there is none.
    """

    id: str
    made_at: datetime
    feasible: bool
    says: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One fault's proposal, however often the fault shows itself.

    ``fault``: as last proposed, with its verdicts, their episodes and sentences. ``sensors`` and ``urgency``: all that
    was proposed so far, and the most urgent of it. ``shared``: nodes of the same chassis on which it shows as well.
    ``reopens``: the maintenance whose repair it proves wrong; the proposal is to take that one up again.
    """

    node: NodeId
    fault: Fault
    proposed_at: datetime
    times: int
    sensors: tuple[str, ...]
    urgency: Urgency
    standing: Standing
    shared: tuple[NodeId, ...] = ()
    plan: ReadyPlan | None = None
    until: datetime | None = None  # of the snooze
    reason: str = ""  # of the answer
    by: str = ""
    maintenance: str = ""  # the one that runs
    reopens: str = ""
