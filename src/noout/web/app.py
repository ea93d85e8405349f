"""The web application: one FastAPI app over a handful of callables, with strict headers on every answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from noout.app.technician import NoSuchLink, OtherDevice
from noout.domain.errors import NooutError, Refused, UsageError
from noout.watch.picture import STYLE
from noout.web.api.operator import operator_routes
from noout.web.api.sources import source_routes
from noout.web.api.technician import remember_device, technician_api
from noout.web.console.door import add_console
from noout.web.services import WebServices
from noout.web.technician.pages import technician_pages

__all__ = ["HEADERS", "WebServices", "create_app", "make_server", "status_of"]

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
    "htmx.min.js": ("noout.web", "static/htmx.min.js", "text/javascript"),
    "technician.js": ("noout.web", "static/technician.js", "text/javascript"),
}


def create_app(services: WebServices) -> FastAPI:
    """The application: ``/w/{token}`` for technicians, ``/api/v1`` for programs, ``/healthz``, ``/metrics``."""
    app = FastAPI(
        title="noout",
        version="1",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        # Spans and logs would carry paths, and with them the technicians' tokens, to whatever collects them.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.include_router(operator_routes(services), prefix="/api/v1")
    app.include_router(source_routes(services), prefix="/api/v1")
    app.include_router(technician_api(services), prefix="/api/v1/technician")
    app.include_router(technician_pages(services))
    if services.console is not None:
        add_console(app, services, services.console)

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = await call_next(request)
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        remember_device(request, answer)
        return answer

    @app.exception_handler(NooutError)
    async def refused(request: Request, error: NooutError) -> Response:
        return JSONResponse({"error": error.message, "remedy": error.remedy}, status_of(error))

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        await services.maintenances()  # the journal answers
        return PlainTextResponse("ok\n")

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        if services.metrics is None:
            raise HTTPException(404)
        return PlainTextResponse(await services.metrics(), media_type="text/plain; version=0.0.4")

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


def status_of(error: NooutError) -> int:
    """The HTTP status that says the same as the error's class."""
    if isinstance(error, NoSuchLink):
        return 404
    if isinstance(error, OtherDevice):
        return 403
    if isinstance(error, UsageError):
        return 422
    return 409 if isinstance(error, Refused) else 503


def make_server(services: WebServices, *, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """A server for ``create_app``; loopback by default. No access log: paths hold the technicians' tokens."""
    config = uvicorn.Config(
        create_app(services), host=host, port=port, access_log=False, server_header=False, log_config=None
    )
    return uvicorn.Server(config)
