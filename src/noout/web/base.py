"""What every application of noout's has: strict headers on every answer, errors in one form, the files of its pages."""

from __future__ import annotations

import asyncio
from importlib.resources import files

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from noout.app.links import NoSuchLink, OtherDevice
from noout.domain.errors import NooutError, Refused, UsageError
from noout.watch.picture import STYLE
from noout.web.api.technician import remember_device

# No inline style or script anywhere; nobody frames us; a link's token leaves in no Referer header and in no cache.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), camera=(), payment=()",
    "Cache-Control": "no-store",
}
_STATIC = {
    "tokens.css": ("noout.adapters.render", "style/tokens.css", "text/css"),
    "technician.css": ("noout.web", "static/technician.css", "text/css"),
    "icon.svg": ("noout.web", "static/icon.svg", "image/svg+xml"),
    "console.css": ("noout.web", "static/console.css", "text/css"),
    "portal.css": ("noout.web", "static/portal.css", "text/css"),
    "htmx.min.js": ("noout.web", "static/htmx.min.js", "text/javascript"),
    "hx-sse.min.js": ("noout.web", "static/hx-sse.min.js", "text/javascript"),
    "console.js": ("noout.web", "static/console.js", "text/javascript"),
    "technician.js": ("noout.web", "static/technician.js", "text/javascript"),
    "workorder.css": ("noout.adapters.render", "style/workorder.css", "text/css"),
    "outbox.js": ("noout.web", "static/outbox.js", "text/javascript"),
}


def bare_app(*, schema: bool = True) -> FastAPI:
    """An application without a route but ``/static/``. ``schema``: it shows its OpenAPI document."""
    app = FastAPI(
        title="noout",
        version="1",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json" if schema else None,
        # Spans and logs would carry paths, and with them the technicians' tokens, to whatever collects them.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.ending = asyncio.Event()  # set when the server stops: what streams ends then
    app.add_middleware(Headers)

    @app.exception_handler(NooutError)
    async def refused(request: Request, error: NooutError) -> Response:
        return JSONResponse({"error": error.message, "remedy": error.remedy}, status_of(error))

    @app.exception_handler(StarletteHTTPException)
    async def said_no(request: Request, error: StarletteHTTPException) -> Response:
        return JSONResponse({"error": str(error.detail), "remedy": ""}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"error": f"{key}: {first['msg']}", "remedy": "see /api/v1/openapi.json"}, 422)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name == "picture.css":  # of the pictures that pages draw inline
            return Response(STYLE, media_type="text/css", headers={"Cache-Control": "max-age=300"})
        if name not in _STATIC:
            raise HTTPException(404)
        package, path, kind = _STATIC[name]
        body = files(package).joinpath(path).read_bytes()
        return Response(body, media_type=kind, headers={"Cache-Control": "max-age=300"})

    return app


class Headers:
    """Around an application: every answer bears ``HEADERS``, unless it says otherwise itself. Streams pass through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                carrier = Response()
                remember_device(request, carrier)
                for cookie in carrier.headers.getlist("set-cookie"):
                    headers.append("set-cookie", cookie)
            await send(message)

        return await self._app(scope, receive, with_headers)


def status_of(error: NooutError) -> int:
    """The HTTP status that says the same as the error's class."""
    if isinstance(error, NoSuchLink):
        return 404
    if isinstance(error, OtherDevice):
        return 403
    if isinstance(error, UsageError):
        return 422
    return 409 if isinstance(error, Refused) else 503
