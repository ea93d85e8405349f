"""The technician's API: the same state and the same things to say as the phone page, as JSON."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile

from noout import codec
from noout.app.links import Visit
from noout.app.technician import PICTURE_BYTES_MAX, SERIAL_TAIL, Bench
from noout.domain.workorder import Answer, Touch
from noout.tell.field import LANGUAGES, Declined, Phrase, best_language
from noout.web.services import TechnicianServices

COOKIE = "noout_device"
_COOKIE_S = 7 * 24 * 3600
_FORM_BYTES = 64 << 10  # beside the picture
Device = Annotated[str | None, Cookie(alias=COOKIE, max_length=100)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=100)]


class SerialIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    serial: str = Field(max_length=100)


class FindingIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    check: str = Field(max_length=100)
    answer: Answer
    note: str = Field(default="", max_length=2000)
    part: str = Field(default="", max_length=100)


class NotToday(BaseModel):
    model_config = ConfigDict(extra="forbid")
    why: str = Field(default="", max_length=2000)


async def enter(services: TechnicianServices, token: str, device: str | None, request: Request) -> Visit:
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


def technician_api(services: TechnicianServices) -> APIRouter:
    """``GET {token}``, ``POST {token}/hands-on | finding | photo | not-today | serial-again | sign-off``; an
    Idempotency-Key makes each count once, and gets the same answer again."""
    routes = APIRouter(tags=["technician"])
    field = services.field

    @routes.get("/{token}")
    async def state(token: str, request: Request, device: Device = None) -> dict[str, Any]:
        visit = await enter(services, token, device, request)
        return as_json(await field.bench(visit), field.clock.now())

    @routes.post("/{token}/hands-on", status_code=202)
    async def hands_on(token: str, body: SerialIn, request: Request, device: Device = None, key: Key = None) -> Any:
        visit = await enter(services, token, device, request)
        return await _accepted(request, field.hands_on(visit, body.serial, key or _own_key()))

    @routes.post("/{token}/serial-again", status_code=202)
    async def serial_again(token: str, body: SerialIn, request: Request, device: Device = None, key: Key = None) -> Any:
        visit = await enter(services, token, device, request)
        return await _accepted(request, field.serial_again(visit, body.serial, key or _own_key()))

    @routes.post("/{token}/finding", status_code=202)
    async def finding(token: str, body: FindingIn, request: Request, device: Device = None, key: Key = None) -> Any:
        visit = await enter(services, token, device, request)
        said = field.finding(visit, body.check, body.answer, body.note, key or _own_key(), body.part)
        return await _accepted(request, said)

    @routes.post("/{token}/not-today", status_code=202)
    async def not_today(token: str, body: NotToday, request: Request, device: Device = None, key: Key = None) -> Any:
        visit = await enter(services, token, device, request)
        return await _accepted(request, field.not_today(visit, body.why, key or _own_key()))

    @routes.post("/{token}/sign-off", status_code=202)
    async def sign_off(token: str, request: Request, device: Device = None, key: Key = None) -> Any:
        visit = await enter(services, token, device, request)
        return await _accepted(request, field.sign_off(visit, key or _own_key()))

    @routes.post("/{token}/photo", status_code=202)
    async def photo(
        token: str,
        request: Request,
        check: Annotated[str, Query(max_length=100)],
        device: Device = None,
        key: Key = None,
    ) -> Any:
        """The body is the picture: JPEG, PNG or WebP. The link is looked at before anything of it is read."""
        visit = await enter(services, token, device, request)
        picture = await _body(request)
        return await _accepted(request, field.photo(visit, check, picture, key or _own_key()))

    @routes.get("/{token}/photo/{digest}", response_class=Response)
    async def picture(token: str, digest: str, request: Request, device: Device = None) -> Response:
        found = await field.picture(await enter(services, token, device, request), digest)
        if found is None:
            raise HTTPException(404, "no such photo")
        return Response(found, media_type="image/jpeg")

    return routes


async def uploaded(request: Request) -> tuple[str, str, bytes]:
    """(check, key, picture) of a photo's form; HTTPException for one that is too large or lacks a part."""
    _length(request, PICTURE_BYTES_MAX + _FORM_BYTES)
    async with request.form(max_files=1, max_fields=4, max_part_size=_FORM_BYTES) as form:
        check, key, photo = form.get("check"), form.get("key"), form.get("photo")
        if not isinstance(check, str) or not isinstance(key, str) or not isinstance(photo, UploadFile):
            raise HTTPException(422, "check, key and photo are needed")
        return check[:100], key[:100], await photo.read(PICTURE_BYTES_MAX + 1)


async def _body(request: Request) -> bytes:
    _length(request, PICTURE_BYTES_MAX)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > PICTURE_BYTES_MAX:
            raise HTTPException(413, "the picture is too large")
    return bytes(body)


def _length(request: Request, most: int) -> None:
    """Nothing is read of what says no length, or too large a one."""
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise HTTPException(411, "Content-Length is needed")
    if int(length) > most:
        raise HTTPException(413, "the picture is too large")


def _own_key() -> str:
    return secrets.token_hex(8)


async def _accepted(request: Request, said: Awaitable[bool]) -> Any:
    """Taken, or refused in the reader's language."""
    try:
        new = await said
    except Declined as error:
        chosen = request.cookies.get("noout_language", "")
        language = chosen if chosen in LANGUAGES else best_language(request.headers.get("accept-language", ""))
        remedy = error.what_to_do.told(language) if error.what_to_do else ""
        return JSONResponse({"error": error.why.told(language), "remedy": remedy}, 409)
    return {"accepted": True, "repeated": not new}


def _said(each: Phrase) -> str:
    return str(each) if each else ""


def as_json(bench: Bench, now: datetime) -> dict[str, Any]:
    """The page's state for programs (version 1), in English. A verdict that is too old says "unknown"."""
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
        "touch": (verdict.touch if verdict.fresh(now) else Touch.UNKNOWN).value,
        "title": _said(verdict.title),
        "says": _said(verdict.says),
        "note": _said(verdict.note),
        "at": verdict.at.isoformat(),
        "valid_until": verdict.valid_until.isoformat(),
        "gone": list(verdict.gone),
        "facts": [
            {
                "key": fact.key, "ok": fact.ok, "text": _said(fact.text), "detail": _said(fact.detail),
                "at": codec.encode(fact.at) if fact.at else None,
            }
            for fact in verdict.facts
        ],
        "checks": [
            {
                "key": line.check.key,
                "section": line.check.section,
                "text": line.check.text,
                "hint": line.check.hint,
                "required": line.check.required,
                "spare": line.check.part,
                "answer": line.answer.value if line.answer else None,
                "note": line.note,
                "part": line.part,
                "photos": list(line.photos),
            }
            for line in bench.lines
        ],
        "left": bench.left,
        "hands_on": bench.hands_on,
        "signed_off": bench.signed_off,
        "why_not": {what: _said(why) for what, why in bench.why_not.items()},
    }  # fmt: skip
