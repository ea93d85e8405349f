"""The operator's API about maintenances: look at them, and tell their runs something. Bearer token on every call."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Header, HTTPException, Query, Request
from pydantic import BaseModel, Field

from noout.domain.access import Person, Right
from noout.domain.journal import EXTEND_H_MAX, Event, Message, MessageKind
from noout.domain.maintenance import Json, Maintenance
from noout.domain.workorder import WorkOrder
from noout.web.api.who import PROBLEMS, Accepted, Id, Reason, Told, address, known, recognised, shown_of
from noout.web.services import WebServices

Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=100)]


class LinkFor(Told):
    technician: str = Field(default="technician", pattern=r"^[\w .'-]{1,60}$")
    valid_hours: float = Field(default=12, gt=0, le=72)


class Hours(Told):
    hours: float = Field(gt=0, le=EXTEND_H_MAX)


class Action(Told):
    action: str = Field(min_length=1, max_length=300)


class Resumed(Reason):
    accept_differences: bool = False


class Summary(BaseModel):
    """One line of a list."""

    id: str
    node: str
    phase: str
    reason: str
    opened_at: datetime
    closed_at: datetime | None
    outcome: str
    waiting_for: str
    paused: bool
    work_order: str | None


class Summaries(BaseModel):
    version: Literal[1] = 1
    maintenances: list[Summary]


class OneMaintenance(BaseModel):
    version: Literal[1] = 1
    maintenance: Maintenance


class Events(BaseModel):
    """As `noout journal export` prints it."""

    format: Literal["noout.journal"] = "noout.journal"
    version: Literal[1] = 1
    events: list[Event]


class OneWorkOrder(BaseModel):
    format: Literal["noout.workorder"] = "noout.workorder"
    version: Literal[1] = 1
    work_order: WorkOrder


class NewLink(BaseModel):
    """``token`` is shown now and never again."""

    token: str
    url: str
    expires: datetime


class KnownLink(BaseModel):
    """``id`` opens nothing; it names the link where it is to be revoked."""

    id: str
    technician: str
    made_at: datetime
    expires: datetime
    opened_at: datetime | None
    revoked_at: datetime | None


class KnownLinks(BaseModel):
    version: Literal[1] = 1
    links: list[KnownLink]


ORDERS = {
    MessageKind.APPROVE: Right.APPROVE, MessageKind.PAUSE: Right.OPERATE, MessageKind.ABORT: Right.OPERATE,
    MessageKind.CLOSE_UP: Right.OPERATE, MessageKind.LET_HEAL: Right.OPERATE, MessageKind.FORCE_OFF: Right.OPERATE,
}  # fmt: skip
SAYS = {
    MessageKind.APPROVE: "Say yes to its plan.",
    MessageKind.PAUSE: "Start no new effect of it; what is under way ends.",
    MessageKind.ABORT: "Undo what was done, in reverse, as far as that is safe.",
    MessageKind.CLOSE_UP: "End the work at the rack: the node goes back as it was, not repaired.",
    MessageKind.LET_HEAL: "Let Ceph copy the data of the node that is away to the others.",
    MessageKind.FORCE_OFF: "Cut the power of a node whose system is down and whose BMC says On.",
}


def operator_routes(services: WebServices) -> APIRouter:
    """``/maintenances``, one of them, its journal, the orders that its run takes, and technicians' links.

    Who may not see a cluster is told that there is no such maintenance.
    """
    Operator = Annotated[Person, Depends(recognised(services))]
    routes = APIRouter(tags=["maintenances"], responses=PROBLEMS)

    @routes.get("/maintenances")
    async def maintenances(
        who: Operator, open: Annotated[bool | None, Query(description="Only those that are, or are not.")] = None
    ) -> Summaries:
        """Every maintenance that this token may see, the oldest first."""
        seen = [m for m in await services.maintenances() if who.may(Right.SEE, m.node.cluster)]
        return Summaries(maintenances=[summary(m) for m in seen if open in (None, m.open)])

    @routes.get("/maintenances/{maintenance}")
    async def maintenance(maintenance: Id, who: Operator) -> OneMaintenance:
        """Where it stands: its plan, its steps, what it holds, what it waits for."""
        return OneMaintenance(maintenance=await known(services, maintenance, who))

    @routes.get("/maintenances/{maintenance}/journal")
    async def journal(maintenance: Id, who: Operator) -> Events:
        """Its events with their hash chain, to be kept and proved elsewhere."""
        m = await known(services, maintenance, who)
        return Events(events=list(await shown_of(services).events(m.id)))

    @routes.get("/maintenances/{maintenance}/workorder")
    async def work_order(maintenance: Id, who: Operator) -> OneWorkOrder:
        """The technician's work order; 409 before there is one."""
        m = await known(services, maintenance, who)
        if m.work_order is None:
            raise HTTPException(409, f"{m.id} has no work order yet")
        return OneWorkOrder(work_order=m.work_order)

    _add_orders(routes, services, Operator)
    _add_links(routes, services, Operator)
    return routes


def _add_orders(routes: APIRouter, services: WebServices, Operator: Any) -> None:
    async def tell(
        request: Request, maintenance: str, kind: MessageKind, right: Right, who: Person, key: str | None,
        data: Mapping[str, Json],
    ) -> Accepted:  # fmt: skip
        m = await known(services, maintenance, who, right)
        if not m.open:
            raise HTTPException(409, f"{m.id} is over ({m.outcome})")
        actor = f"operator:{who.name}"
        data = {**data, **({"from": came} if (came := address(request)) else {})}
        message = Message(
            f"{actor}/{kind.value}/{key or secrets.token_hex(8)}", kind, actor, services.field.clock.now(), data
        )
        return Accepted(repeated=not await services.field.post(m.id, message))

    def order(kind: MessageKind, right: Right) -> None:
        @routes.post(
            f"/maintenances/{{maintenance}}/{kind.value}", status_code=202, name=kind.value, description=SAYS[kind]
        )
        async def said(
            request: Request, maintenance: Id, who: Operator, key: Key = None,
            body: Annotated[Reason | None, Body()] = None,
        ) -> Accepted:  # fmt: skip
            data = {"reason": body.reason} if body and body.reason else {}
            return await tell(request, maintenance, kind, right, who, key, data)

    for kind, right in ORDERS.items():
        order(kind, right)

    @routes.post("/maintenances/{maintenance}/resume", status_code=202)
    async def resume(
        request: Request, maintenance: Id, who: Operator, key: Key = None,
        body: Annotated[Resumed | None, Body()] = None,
    ) -> Accepted:  # fmt: skip
        """Go on after a pause, or after a blocker that was dealt with."""
        told = body or Resumed()
        data: dict[str, Json] = {"reason": told.reason} if told.reason else {}
        data |= {"accept_differences": True} if told.accept_differences else {}
        return await tell(request, maintenance, MessageKind.RESUME, Right.OPERATE, who, key, data)

    @routes.post("/maintenances/{maintenance}/confirm", status_code=202)
    async def confirm(request: Request, maintenance: Id, who: Operator, body: Action, key: Key = None) -> Accepted:
        """In step mode: say yes to the one effect that it asks for (``facts.to_confirm``)."""
        data = {"action": body.action}
        return await tell(request, maintenance, MessageKind.CONFIRM, Right.OPERATE, who, key, data)

    @routes.post("/maintenances/{maintenance}/extend", status_code=202)
    async def extend(request: Request, maintenance: Id, who: Operator, body: Hours, key: Key = None) -> Accepted:
        """Hold the data of a node that is away longer than the limit, from now."""
        return await tell(request, maintenance, MessageKind.EXTEND, Right.OPERATE, who, key, {"hours": body.hours})


def _add_links(routes: APIRouter, services: WebServices, Operator: Any) -> None:
    @routes.post("/maintenances/{maintenance}/workorder/link", status_code=201)
    async def link(
        request: Request, maintenance: Id, who: Operator, body: Annotated[LinkFor | None, Body()] = None
    ) -> NewLink:
        """A link for one technician's phone: it opens on one device, until its time is over or it is revoked."""
        wish = body or LinkFor()
        await known(services, maintenance, who, Right.OPERATE)
        token, expires = await services.field.make_link(maintenance, wish.technician, valid_s=wish.valid_hours * 3600)
        base = (services.technicians_url or services.base_url or str(request.base_url)).rstrip("/")
        return NewLink(token=token, url=f"{base}/w/{token}", expires=expires)

    @routes.get("/maintenances/{maintenance}/workorder/links")
    async def links(maintenance: Id, who: Operator) -> KnownLinks:
        """Every link that was made for it, without what would open it."""
        await known(services, maintenance, who)
        found = await services.field.links(maintenance)
        return KnownLinks(links=[KnownLink.model_validate(each, from_attributes=True) for each in found])

    @routes.delete("/maintenances/{maintenance}/workorder/links/{link}")
    async def revoke(maintenance: Id, link: Id, who: Operator) -> Accepted:
        """End a link at once, for good; ``link`` as ``links`` names it."""
        await known(services, maintenance, who, Right.OPERATE)
        new = await services.field.revoke_link(maintenance, link, f"operator:{who.name}")
        return Accepted(repeated=not new)


def summary(m: Maintenance) -> Summary:
    return Summary(
        id=m.id,
        node=str(m.node),
        phase=m.phase.value,
        reason=m.reason,
        opened_at=m.opened_at,
        closed_at=m.closed_at,
        outcome=m.outcome,
        waiting_for=m.waiting_for,
        paused=m.paused,
        work_order=m.work_order.number if m.work_order else None,
    )
