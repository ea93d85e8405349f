"""The documents noout writes, by the name under which ``noout schema`` prints their JSON Schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from noout.app.doctor.diagnosis import Diagnosis
from noout.app.ledger import Ledger
from noout.app.older import Compared
from noout.app.snapshot import Snapshot
from noout.app.standstill import Standstill
from noout.app.watcher import Health
from noout.domain.journal import Event
from noout.domain.maintenance import Maintenance, Plan
from noout.domain.proposals import Proposal
from noout.domain.rolling import Rolling
from noout.domain.windows import Shut
from noout.domain.workorder import WorkOrder
from noout.plan.outlook import Touched
from noout.tell.report import Report


@dataclass(frozen=True)
class PlanDocument:
    """``customers``: whose guests the plan moves, and what they will feel. ``shut``: why it cannot begin now, and when
    it can; None when it can, or for a snapshot."""

    format: Literal["noout.plan"]
    version: Literal[1]
    plan: Plan
    customers: tuple[Touched, ...] = ()
    shut: Shut | None = None


@dataclass(frozen=True)
class PlansDocument:
    format: Literal["noout.plans"]
    version: Literal[1]
    plans: tuple[Plan, ...]  # in the order in which they are carried out


@dataclass(frozen=True)
class RollingDocument:
    format: Literal["noout.rolling"]
    version: Literal[1]
    rolling: Rolling


@dataclass(frozen=True)
class StatusDocument:
    format: Literal["noout.status"]
    version: Literal[1]
    maintenances: tuple[Maintenance, ...]
    standstill: Standstill | None = None  # since when nothing new is done anywhere
    compared: Compared | None = None  # where it stands still because the journal may not be the latest


@dataclass(frozen=True)
class HealthDocument:
    format: Literal["noout.health"]
    version: Literal[1]
    nodes: tuple[Health, ...]


@dataclass(frozen=True)
class ProposalsDocument:
    format: Literal["noout.proposals"]
    version: Literal[1]
    proposals: tuple[Proposal, ...]


@dataclass(frozen=True)
class LedgerDocument:
    format: Literal["noout.ledger"]
    version: Literal[1]
    ledger: Ledger


@dataclass(frozen=True)
class WorkOrderDocument:
    format: Literal["noout.workorder"]
    version: Literal[1]
    work_order: WorkOrder


@dataclass(frozen=True)
class JournalDocument:
    format: Literal["noout.journal"]
    version: Literal[1]
    events: tuple[Event, ...]


@dataclass(frozen=True)
class ReportDocument:
    format: Literal["noout.report"]
    version: Literal[1]
    report: Report


SCHEMAS: dict[str, Any] = {
    "check": Diagnosis,
    "snapshot": Snapshot,
    "plan": PlanDocument,
    "plans": PlansDocument,
    "rolling": RollingDocument,
    "status": StatusDocument,
    "health": HealthDocument,
    "proposals": ProposalsDocument,
    "journal": JournalDocument,
    "report": ReportDocument,
    "workorder": WorkOrderDocument,
    "ledger": LedgerDocument,
}
