"""The portal put onto an application: its routes, where its ways are on."""

from __future__ import annotations

from fastapi import FastAPI

from noout.web.portal.pages import PortalPages, Portals, portal_pages, status_pages


def add_portal(app: FastAPI, portals: Portals, base_url: str) -> None:
    """``/portal``, ``/p/{token}`` and ``/status``; a way that is off answers as a link that opens nothing."""
    pages = PortalPages(portals, base_url)
    app.include_router(portal_pages(pages))
    app.include_router(status_pages(pages))
