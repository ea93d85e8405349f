"""``POST /channel/v1/exchange``: where control tells the public process what to show, and hears what is wanted."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from noout.app.public.envelope import BODY_BYTES_MAX, PATH, SIGNATURE
from noout.app.public.shelf import OldNonce, Shelf
from noout.domain.errors import NooutError


def channel_routes(shelf: Shelf) -> APIRouter:
    """Whoever has not the key is told nothing but that."""
    routes = APIRouter(include_in_schema=False)

    @routes.post(PATH)
    async def exchange(request: Request) -> Response:
        asked = request.headers.get(SIGNATURE, "")
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > BODY_BYTES_MAX:
                return JSONResponse({"error": f"more than {BODY_BYTES_MAX >> 20} MiB"}, 413)
        status = 200
        try:
            told, signature = await shelf.exchange(bytes(body), asked)
        except OldNonce:
            status, (told, signature) = 409, shelf.greet(asked)
        except NooutError as error:
            return JSONResponse({"error": error.message}, 401)
        return Response(told, status, {SIGNATURE: signature}, "application/json")

    return routes
