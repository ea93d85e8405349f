"""What is sent about the nodes' hardware: Alertmanager's webhook and the BMCs' events. Doors for machines only."""

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from noout.app.watching.reception import BODY_BYTES_MAX, Reception, Stranger
from noout.web.services import WebServices


def source_routes(services: WebServices) -> APIRouter:
    """``POST /alerts/{cluster}`` and ``POST /redfish-events``."""
    routes = APIRouter(tags=["sources"])

    def reception() -> Reception:
        if services.reception is None:
            raise HTTPException(503, "nothing watches the hardware here")
        return services.reception

    @routes.post("/alerts/{cluster}")
    async def alerts(cluster: str, request: Request) -> dict[str, Any]:
        try:
            proof = request.headers.get("authorization", "")
            return dict(await reception().alerts(cluster, proof, lambda: _body(request)))
        except Stranger as error:
            raise HTTPException(401, error.message, {"WWW-Authenticate": "Bearer, Basic"}) from None

    @routes.post("/redfish-events", status_code=204)
    async def event(request: Request) -> Response:
        try:
            await reception().event(await _body(request))
        except Stranger as error:
            raise HTTPException(403, error.message) from None
        return Response(status_code=204)

    return routes


async def _body(request: Request) -> bytes:
    """The whole body, or 413: what is longer is read no further."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413, f"more than {BODY_BYTES_MAX >> 20} MiB")
    return bytes(body)
