"""The public process's application: technicians' pages and their API, over what control told. No operator enters."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse

from noout.app.public.far import FarField
from noout.app.public.portals import FarPortals
from noout.app.public.shelf import Shelf
from noout.web.api.technician import technician_api
from noout.web.base import bare_app
from noout.web.channel import channel_routes
from noout.web.portal.mount import add_portal
from noout.web.technician.pages import technician_pages


@dataclass(frozen=True, slots=True)
class PublicServices:
    """What the technicians' pages need, where nothing is held."""

    field: FarField
    base_url: str = ""


def create_public_app(shelf: Shelf, base_url: str) -> FastAPI:
    """``/w/{token}``, its API, the channel to control, ``/healthz`` and ``/readyz``."""
    app = bare_app(schema=False)
    services = PublicServices(FarField(shelf), base_url)
    app.include_router(technician_api(services), prefix="/api/v1/technician")
    app.include_router(technician_pages(services))
    add_portal(app, FarPortals(shelf), base_url)
    app.include_router(channel_routes(shelf))

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        if shelf.silent:
            return PlainTextResponse("control has not been heard of\n", 503)
        return PlainTextResponse("ok\n")

    return app
