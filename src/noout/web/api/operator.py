"""The operator's API: look at maintenances, and tell their runs something. Bearer token on every call."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from noout import codec
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


ORDERS = (
    MessageKind.APPROVE, MessageKind.PAUSE, MessageKind.RESUME, MessageKind.ABORT, MessageKind.CLOSE_UP,
    MessageKind.LET_HEAL, MessageKind.FORCE_OFF,
)  # fmt: skip


def operator_routes(services: WebServices) -> APIRouter:
    """``/maintenances``, one of them, the orders that a run takes, and a technician's link."""

    async def operator(request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        name = services.operator_of(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
        if name is None:
            raise HTTPException(401, "an operator's bearer token is needed", {"WWW-Authenticate": "Bearer"})
        return name

    Operator = Annotated[str, Depends(operator)]
    routes = APIRouter(tags=["operator"])

    async def known(maintenance: str) -> Maintenance:
        m = await services.field.maintenance(maintenance)
        if m is None:
            raise HTTPException(404, f"no maintenance {maintenance}")
        return m

    @routes.get("/maintenances")
    async def maintenances(who: Operator) -> dict[str, Any]:
        return {"version": 1, "maintenances": [summary(m) for m in await services.maintenances()]}

    @routes.get("/maintenances/{maintenance}")
    async def maintenance(maintenance: str, who: Operator) -> dict[str, Any]:
        return {"version": 1, "maintenance": codec.encode(await known(maintenance))}

    async def tell(
        maintenance: str, kind: MessageKind, who: str, key: str | None, data: dict[str, Any]
    ) -> dict[str, Any]:
        m = await known(maintenance)
        if not m.open:
            raise HTTPException(409, f"{m.id} is over ({m.outcome})")
        actor = f"operator:{who}"
        message = Message(
            f"{actor}/{kind.value}/{key or secrets.token_hex(8)}", kind, actor, services.field.clock.now(), data
        )
        return {"accepted": True, "repeated": not await services.field.post(m.id, message)}

    def order(kind: MessageKind) -> None:
        @routes.post(f"/maintenances/{{maintenance}}/{kind.value}", status_code=202, name=kind.value)
        async def said(
            maintenance: str, who: Operator, key: Key = None, body: Annotated[Reason | None, Body()] = None
        ) -> dict[str, Any]:
            return await tell(maintenance, kind, who, key, {"reason": body.reason} if body and body.reason else {})

    for kind in ORDERS:
        order(kind)

    @routes.post("/maintenances/{maintenance}/extend", status_code=202)
    async def extend(maintenance: str, who: Operator, body: Hours, key: Key = None) -> dict[str, Any]:
        return await tell(maintenance, MessageKind.EXTEND, who, key, {"hours": body.hours})

    @routes.post("/maintenances/{maintenance}/workorder/link", status_code=201)
    async def link(
        request: Request, maintenance: str, who: Operator, body: Annotated[LinkFor | None, Body()] = None
    ) -> dict[str, Any]:
        wish = body or LinkFor()
        await known(maintenance)
        token, expires = await services.field.make_link(maintenance, wish.technician, valid_s=wish.valid_hours * 3600)
        base = services.base_url.rstrip("/") or str(request.base_url).rstrip("/")
        return {"token": token, "url": f"{base}/w/{token}", "expires": expires.isoformat()}

    return routes


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
