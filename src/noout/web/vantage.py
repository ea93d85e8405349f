"""``POST /probe/v1``: asks services for another noout and gives it the samples. Only who has the token is asked for."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from noout.domain.cluster import GuestId
from noout.domain.errors import NooutError
from noout.domain.impact import Service
from noout.ports import Clock, Prober
from noout.witness.packing import pack

BODY_BYTES_MAX = 4 << 20


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    guest: str = Field(max_length=200, pattern=r"^[^/\s]+/\d+$")
    name: str = Field(max_length=200)
    probe: str = Field(max_length=1000)
    addresses: list[str] = Field(default=[], max_length=64)


class _Questions(BaseModel):
    """``began_s_ago``: how long ago, as the other side knows it, the stretch began."""

    model_config = ConfigDict(extra="forbid")

    services: list[_Asked] = Field(max_length=5000)
    began_s_ago: float = Field(ge=-60, le=60)
    seconds: float = Field(gt=0, le=120)
    every_s: float = Field(ge=0.05, le=3600)


def vantage_app(prober: Prober, clock: Clock, token: str) -> Starlette:
    async def probe(request: Request) -> JSONResponse:
        received = clock.now()
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), token.encode()):
            return JSONResponse({"error": "the token is not the one this prober was started with"}, 401)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > BODY_BYTES_MAX:
                return JSONResponse({"error": "too many questions at once"}, 413)
        try:
            asked = _Questions.model_validate_json(bytes(body))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)
        services = [
            Service(GuestId.parse(each.guest), each.name, each.probe, tuple(each.addresses)) for each in asked.services
        ]
        since = received - timedelta(seconds=asked.began_s_ago)
        try:
            samples = await prober.collect(services, since, since + timedelta(seconds=asked.seconds), asked.every_s)
        except NooutError as error:
            return JSONResponse({"error": str(error)}, 503)
        packed = base64.b64encode(pack(samples)).decode()
        return JSONResponse(
            {
                "format": "noout.samples", "version": 1, "received": received.isoformat(),
                "answered": clock.now().isoformat(), "samples": packed,
            }
        )  # fmt: skip

    handler: Callable[[Request], Awaitable[JSONResponse]] = probe
    return Starlette(routes=[Route("/probe/v1", handler, methods=["POST"])])
