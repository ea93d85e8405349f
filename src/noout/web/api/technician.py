"""The technician's API: the same state and the same four things to say as the phone page, as JSON."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from noout import codec
from noout.app.technician import SERIAL_TAIL, Bench, Visit
from noout.domain.workorder import Answer
from noout.web.services import WebServices

COOKIE = "noout_device"
_COOKIE_S = 7 * 24 * 3600
Device = Annotated[str | None, Cookie(alias=COOKIE, max_length=100)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=100)]


class HandsOn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    serial: str = Field(max_length=100)


class FindingIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    check: str = Field(max_length=100)
    answer: Answer
    note: str = Field(default="", max_length=2000)


async def enter(services: WebServices, token: str, device: str | None, request: Request) -> Visit:
    """Check the link and bind it to this device."""
    visit = await services.field.enter(token, device)
    if visit.device != device:
        request.state.new_device = visit.device
    return visit


def remember_device(request: Request, answer: Response) -> None:
    """Give a newly bound device its cookie, whatever the answer is; no script can read it."""
    device = getattr(request.state, "new_device", None)
    if device is not None:
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, device, max_age=_COOKIE_S, httponly=True, samesite="lax", secure=secure)


def technician_api(services: WebServices) -> APIRouter:
    """``GET {token}``, ``POST {token}/hands-on | finding | sign-off``; an Idempotency-Key makes each count once."""
    routes = APIRouter(tags=["technician"])

    @routes.get("/{token}")
    async def state(token: str, request: Request, device: Device = None) -> dict[str, Any]:
        visit = await enter(services, token, device, request)
        return as_json(await services.field.bench(visit))

    @routes.post("/{token}/hands-on", status_code=202)
    async def hands_on(
        token: str, body: HandsOn, request: Request, device: Device = None, key: Key = None
    ) -> dict[str, Any]:
        visit = await enter(services, token, device, request)
        return _accepted(await services.field.hands_on(visit, body.serial, key or secrets.token_hex(8)))

    @routes.post("/{token}/finding", status_code=202)
    async def finding(
        token: str, body: FindingIn, request: Request, device: Device = None, key: Key = None
    ) -> dict[str, Any]:
        visit = await enter(services, token, device, request)
        new = await services.field.finding(visit, body.check, body.answer, body.note, key or secrets.token_hex(8))
        return _accepted(new)

    @routes.post("/{token}/sign-off", status_code=202)
    async def sign_off(token: str, request: Request, device: Device = None, key: Key = None) -> dict[str, Any]:
        visit = await enter(services, token, device, request)
        return _accepted(await services.field.sign_off(visit, key or secrets.token_hex(8)))

    return routes


def _accepted(new: bool) -> dict[str, Any]:
    return {"accepted": True, "repeated": not new}


def as_json(bench: Bench) -> dict[str, Any]:
    """The page's state for programs (version 1)."""
    verdict, order = bench.verdict, bench.work_order
    return {
        "version": 1,
        "work_order": order.number,
        "node": order.node.name,
        "location": {
            "room": order.location.room,
            "rack": order.location.rack,
            "unit": order.location.unit,
            "chassis": order.location.chassis,
            "serial_ends_in": order.location.serial[-SERIAL_TAIL:],
        },
        "reason": order.reason,
        "phase": bench.phase.value,
        "touch": verdict.touch.value,
        "title": verdict.title,
        "says": verdict.says,
        "note": verdict.note,
        "at": verdict.at.isoformat(),
        "valid_until": verdict.valid_until.isoformat(),
        "facts": [codec.encode(fact) for fact in verdict.facts],
        "checks": [
            {
                "key": line.check.key,
                "section": line.check.section,
                "text": line.check.text,
                "hint": line.check.hint,
                "required": line.check.required,
                "answer": line.answer.value if line.answer else None,
                "note": line.note,
            }
            for line in bench.lines
        ],
        "left": bench.left,
        "hands_on": bench.hands_on,
        "signed_off": bench.signed_off,
        "why_not": dict(bench.why_not),
    }
