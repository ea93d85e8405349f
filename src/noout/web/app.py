"""The web application: one FastAPI app over a handful of callables."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import PlainTextResponse

from noout.web.api.desk import desk_routes
from noout.web.api.operator import operator_routes
from noout.web.api.sources import source_routes
from noout.web.api.technician import technician_api
from noout.web.api.who import with_problem
from noout.web.base import HEADERS, bare_app, status_of
from noout.web.console.mount import add_console
from noout.web.portal.mount import add_portal
from noout.web.services import WebServices
from noout.web.technician.pages import technician_pages

__all__ = ["HEADERS", "WebServices", "create_app", "make_server", "server_of", "status_of"]


def create_app(services: WebServices) -> FastAPI:
    """The application: ``/w/{token}`` for technicians, ``/api/v1`` for programs, ``/healthz``, ``/readyz``,
    ``/metrics``; the console where people may sign in."""
    app = bare_app()
    with_problem(app)
    app.include_router(operator_routes(services), prefix="/api/v1")
    app.include_router(desk_routes(services), prefix="/api/v1")
    app.include_router(source_routes(services), prefix="/api/v1")
    if services.technicians:
        app.include_router(technician_api(services), prefix="/api/v1/technician")
        app.include_router(technician_pages(services))
    if services.portal is not None:
        add_portal(app, services.portal, services.base_url)
    if services.console is not None:
        add_console(app, services, services.console)
    _add_health(app, services)
    return app


def _add_health(app: FastAPI, services: WebServices) -> None:
    """For whoever restarts a process, and whoever sends it requests. Neither says what is wrong: anybody may ask."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")  # this process answers: nothing to restart it for

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        await services.maintenances()  # the journal answers
        if services.ready is not None and not await services.ready():
            return PlainTextResponse("not now: see /metrics and the log\n", 503)
        return PlainTextResponse("ok\n")

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        if services.metrics is None:
            raise HTTPException(404)
        return PlainTextResponse(await services.metrics(), media_type="text/plain; version=0.0.4")


def make_server(services: WebServices, *, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """A server for ``create_app``; loopback by default."""
    return server_of(create_app(services), host=host, port=port)


def server_of(app: FastAPI, *, host: str = "127.0.0.1", port: int = 0, proxies: str = "127.0.0.1") -> uvicorn.Server:
    """No access log: paths hold tokens. ``proxies``: whose word on where a request came from counts."""
    config = uvicorn.Config(
        app, host=host, port=port, access_log=False, server_header=False, log_config=None, forwarded_allow_ips=proxies
    )
    return _Server(config, app)


class _Server(uvicorn.Server):
    """Tells what streams to end when it stops: it waits for every answer to be whole."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.ending.set()
        await super().shutdown(sockets)
