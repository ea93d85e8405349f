"""The operator's API: look at maintenances, and tell their runs something. Bearer token on every call."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from noout import codec
from noout.domain.access import Person, Right
from noout.domain.journal import EXTEND_H_MAX, Message, MessageKind
from noout.domain.maintenance import Maintenance
from noout.web.services import WebServices

Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=100)]


class Reason(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="", max_length=500)


class LinkFor(BaseModel):
    model_config = ConfigDict(extra="forbid")
    technician: str = Field(default="technician", pattern=r"^[\w .'-]{1,60}$")
    valid_hours: float = Field(default=12, gt=0, le=72)


class Hours(BaseModel):
    model_config = ConfigDict(extra="forbid")
    hours: float = Field(gt=0, le=EXTEND_H_MAX)


ORDERS = {
    MessageKind.APPROVE: Right.APPROVE, MessageKind.PAUSE: Right.OPERATE, MessageKind.RESUME: Right.OPERATE,
    MessageKind.ABORT: Right.OPERATE, MessageKind.CLOSE_UP: Right.OPERATE, MessageKind.LET_HEAL: Right.OPERATE,
    MessageKind.FORCE_OFF: Right.OPERATE,
}  # fmt: skip


def operator_routes(services: WebServices) -> APIRouter:
    """``/maintenances``, one of them, the orders that a run takes, and a technician's link.

    Who may not see a cluster is told that there is no such maintenance.
    """

    Operator = Annotated[Person, Depends(_recognised(services))]
    routes = APIRouter(tags=["operator"])

    @routes.get("/maintenances")
    async def maintenances(who: Operator) -> dict[str, Any]:
        seen = [m for m in await services.maintenances() if who.may(Right.SEE, m.node.cluster)]
        return {"version": 1, "maintenances": [summary(m) for m in seen]}

    @routes.get("/maintenances/{maintenance}")
    async def maintenance(maintenance: str, who: Operator) -> dict[str, Any]:
        return {"version": 1, "maintenance": codec.encode(await _known(services, maintenance, who))}

    async def tell(
        request: Request,
        maintenance: str,
        kind: MessageKind,
        right: Right,
        who: Person,
        key: str | None,
        data: dict[str, Any],
    ) -> dict[str, Any]:
        m = await _known(services, maintenance, who, right)
        if not m.open:
            raise HTTPException(409, f"{m.id} is over ({m.outcome})")
        actor = f"operator:{who.name}"
        data = data | ({"from": request.client.host} if request.client else {})
        message = Message(
            f"{actor}/{kind.value}/{key or secrets.token_hex(8)}", kind, actor, services.field.clock.now(), data
        )
        return {"accepted": True, "repeated": not await services.field.post(m.id, message)}

    def order(kind: MessageKind, right: Right) -> None:
        @routes.post(f"/maintenances/{{maintenance}}/{kind.value}", status_code=202, name=kind.value)
        async def said(
            request: Request,
            maintenance: str,
            who: Operator,
            key: Key = None,
            body: Annotated[Reason | None, Body()] = None,
        ) -> dict[str, Any]:
            data = {"reason": body.reason} if body and body.reason else {}
            return await tell(request, maintenance, kind, right, who, key, data)

    for kind, right in ORDERS.items():
        order(kind, right)

    @routes.post("/maintenances/{maintenance}/extend", status_code=202)
    async def extend(request: Request, maintenance: str, who: Operator, body: Hours, key: Key = None) -> dict[str, Any]:
        return await tell(request, maintenance, MessageKind.EXTEND, Right.OPERATE, who, key, {"hours": body.hours})

    @routes.post("/maintenances/{maintenance}/workorder/link", status_code=201)
    async def link(
        request: Request, maintenance: str, who: Operator, body: Annotated[LinkFor | None, Body()] = None
    ) -> dict[str, Any]:
        wish = body or LinkFor()
        await _known(services, maintenance, who, Right.OPERATE)
        token, expires = await services.field.make_link(maintenance, wish.technician, valid_s=wish.valid_hours * 3600)
        base = services.base_url.rstrip("/") or str(request.base_url).rstrip("/")
        return {"token": token, "url": f"{base}/w/{token}", "expires": expires.isoformat()}

    return routes


def _recognised(services: WebServices) -> Callable[[Request], Awaitable[Person]]:
    """Who sent the token; 401 for nobody's."""

    async def operator(request: Request) -> Person:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        person = await services.person_of(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
        if person is None:
            raise HTTPException(401, "an operator's bearer token is needed", {"WWW-Authenticate": "Bearer"})
        return person

    return operator


async def _known(services: WebServices, maintenance: str, who: Person, right: Right = Right.SEE) -> Maintenance:
    m = await services.field.maintenance(maintenance)
    if m is None or not who.may(Right.SEE, m.node.cluster):
        raise HTTPException(404, f"no maintenance {maintenance}")
    if not who.may(right, m.node.cluster):
        raise HTTPException(403, f"{who.name} may not do that in {m.node.cluster}: the right to {right} is needed")
    return m


def summary(m: Maintenance) -> dict[str, Any]:
    """One line of a list."""
    return {
        "id": m.id,
        "node": str(m.node),
        "phase": m.phase.value,
        "reason": m.reason,
        "opened_at": m.opened_at.isoformat(),
        "closed_at": m.closed_at.isoformat() if m.closed_at else None,
        "outcome": m.outcome,
        "waiting_for": m.waiting_for,
        "paused": m.paused,
        "work_order": m.work_order.number if m.work_order else None,
    }
