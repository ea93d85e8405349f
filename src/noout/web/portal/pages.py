"""The portal's pages: in by a link, then one customer's own; and the status page for everybody."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from noout.app import agenda
from noout.app.reports import FORMATS
from noout.codec import decode
from noout.domain.errors import NooutError, Retryable
from noout.domain.notices import Door, Purpose
from noout.tell.portal import DAYS, LANGUAGES, Portal, Status
from noout.tell.report import Report
from noout.tell.say import Say
from noout.web.portal import view

COOKIE = "noout_portal"
KINDS = {"html": "text/html; charset=utf-8", "pdf": "application/pdf", "json": "application/json"}


class Portals(Protocol):
    """Documents, wherever they come from: made here, or told by the process that makes them."""

    def now(self) -> datetime: ...

    @property
    def silent(self) -> bool:
        """What is shown may be old."""
        ...

    async def document(self, name: str) -> dict[str, Any] | None: ...

    async def door(self, token: str) -> Door | None: ...

    async def acknowledge(self, token: str, notice: str) -> None: ...

    async def bundle(self, token: str, notice: str) -> dict[str, Any]: ...


class _Closed(Exception):
    """Nobody who has a good link."""


class PortalPages:
    """``base_url``: what links begin with, "" where requests come directly."""

    def __init__(self, portals: Portals, base_url: str) -> None:
        self.portals, self.base_url = portals, base_url.rstrip("/")

    def secure(self, request: Request) -> bool:
        return (self.base_url or str(request.base_url)).startswith("https:")

    def cookie(self, request: Request) -> str:
        return f"__Host-{COOKIE}" if self.secure(request) else COOKIE

    def token(self, request: Request) -> str:
        return request.cookies.get(self.cookie(request), "")

    def base(self, request: Request) -> str:
        return self.base_url or str(request.base_url).rstrip("/")

    def provider(self, request: Request) -> str:
        """The provider as a domain, for calendars."""
        return urlsplit(self.base(request)).hostname or "noout.invalid"

    async def portal(self, token: str, *purposes: Purpose, way: str = "portal") -> Portal:
        """Raises _Closed for a link that does not open it: expired, revoked, unknown or for something else; and where
        this way is off."""
        door = await self.portals.door(token) if token else None
        found = await self.portals.document(f"portal/{door.customer}") if door and door.purpose in purposes else None
        portal = decode(Portal, found, what="portal") if found is not None else None
        if portal is None or way not in portal.ways:
            raise _Closed
        return portal

    def say(self, request: Request, portal: Portal | None) -> Say:
        accepted = request.headers.get("accept-language", "")
        own = portal.language if portal else ""
        return Say(
            view.language_of(request.query_params.get("lang"), accepted, own), portal.timezone if portal else "UTC"
        )

    def closed(self, request: Request) -> Response:
        """The same for every link that is not good."""
        return HTMLResponse(view.render("closed.html", self.say(request, None)), 404)


def portal_pages(pages: PortalPages) -> APIRouter:
    """``/p/{token}``, ``/portal`` and what is below it."""
    routes = APIRouter(include_in_schema=False)
    _add_doors(routes, pages)
    _add_pages(routes, pages)
    _add_reports(routes, pages)
    _add_subscriptions(routes, pages)
    return routes


def _add_doors(routes: APIRouter, pages: PortalPages) -> None:
    @routes.get("/p/{token}")
    async def enter(token: str, request: Request) -> Response:
        """The link's secret goes into a cookie, and out of the address."""
        door = await pages.portals.door(token)
        if door is None or door.purpose is not Purpose.PORTAL:
            return pages.closed(request)
        answer = RedirectResponse("/portal", 303)
        left_s = max(1, int((door.until - pages.portals.now()).total_seconds()))
        answer.set_cookie(
            pages.cookie(request), token, max_age=left_s, httponly=True, samesite="lax", path="/",
            secure=pages.secure(request),
        )  # fmt: skip
        return answer

    @routes.post("/portal/leave")
    async def leave(request: Request) -> Response:
        answer = RedirectResponse("/portal", 303)
        answer.delete_cookie(pages.cookie(request), path="/", secure=pages.secure(request))
        return answer


def _add_pages(routes: APIRouter, pages: PortalPages) -> None:
    async def shown(request: Request, template: str, way: str = "portal", **more: object) -> Response:
        try:
            portal = await pages.portal(pages.token(request), Purpose.PORTAL, way=way)
        except _Closed:
            return pages.closed(request)
        say = pages.say(request, portal)
        coming, past = view.items(portal, say)
        found = {
            "portal": portal, "rows": view.rows(portal, say), "coming": coming, "past": past, "days": DAYS,
            "lede": view.lede(portal, say), "name": portal.name, "provider": portal.provider,
            "today": say.date(pages.portals.now()), "silent": pages.portals.silent,
        }  # fmt: skip
        return HTMLResponse(view.render(template, say, **found, **more))

    @routes.get("/portal")
    async def services(request: Request) -> Response:
        return await shown(request, "portal.html")

    @routes.get("/portal/verify")
    async def verify(request: Request) -> Response:
        return await shown(request, "verify.html", "reports")

    @routes.get("/portal/message/{notice}")
    async def message(notice: str, request: Request) -> Response:
        try:
            portal = await pages.portal(pages.token(request), Purpose.PORTAL)
        except _Closed:
            return pages.closed(request)
        found = next((each for each in portal.messages if each.id == notice), None)
        if found is None:
            return pages.closed(request)
        say = pages.say(request, portal)
        text = found.text_for(say.language, portal.timezone)
        work = next((each for each in portal.works if each.notice == notice), None)
        acknowledge = work.acknowledge if work is not None else ""
        return await shown(request, "message.html", notice=found, text=text, acknowledge=acknowledge)

    @routes.post("/portal/message/{notice}/acknowledge")
    async def acknowledge(notice: str, request: Request) -> Response:
        """That they have read what is to come. A page elsewhere cannot send it: its request bears no cookie."""
        try:
            portal = await pages.portal(pages.token(request), Purpose.PORTAL)
            await pages.portals.acknowledge(pages.token(request), notice)
        except Retryable:
            return HTMLResponse(view.render("closed.html", pages.say(request, None), silent=True), 503)
        except (_Closed, NooutError):
            return pages.closed(request)
        return RedirectResponse(f"/portal/message/{notice}?lang={pages.say(request, portal).language}", 303)


# A report's page stands alone: its style is in it, and it may load nothing at all.
ALONE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def _add_reports(routes: APIRouter, pages: PortalPages) -> None:
    @routes.get("/portal/report/{notice}.{kind}")
    async def report(notice: str, kind: str, request: Request) -> Response:
        """A report as a page, in print or as data; "proof": with what proves it."""
        try:
            portal = await pages.portal(pages.token(request), Purpose.PORTAL)
            bundle = await pages.portals.bundle(pages.token(request), notice)
        except Retryable:
            return HTMLResponse(view.render("closed.html", pages.say(request, None), silent=True), 503)
        except (_Closed, NooutError):
            return pages.closed(request)
        language = pages.say(request, portal).language
        if kind == "proof":
            body = json.dumps(bundle, ensure_ascii=False, indent=1).encode()
            return Response(body, media_type="application/json", headers=_saved(f"{notice}-proof.json"))
        if kind not in KINDS or language not in bundle["reports"]:
            return pages.closed(request)
        made = FORMATS[kind](decode(Report, bundle["reports"][language], what="report"))
        headers = {"Content-Security-Policy": ALONE} if kind == "html" else _saved(f"{notice}.{kind}")
        return Response(made, media_type=KINDS[kind], headers=headers)


def _saved(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _add_subscriptions(routes: APIRouter, pages: PortalPages) -> None:
    @routes.get("/p/{token}/{name}")
    async def subscribed(token: str, name: str, request: Request) -> Response:
        try:
            portal = await pages.portal(token, Purpose.FEED, Purpose.PORTAL, way=agenda.SUBSCRIPTIONS.get(name, ""))
        except _Closed:
            return pages.closed(request)
        say = pages.say(request, portal)
        if name == "calendar.ics":
            return Response(agenda.calendar(portal, pages.provider(request), say.language), media_type="text/calendar")
        made = agenda.feed(portal, f"{pages.base(request)}/portal", say.language)
        return Response(made, media_type="application/atom+xml")


def status_pages(pages: PortalPages) -> APIRouter:
    """``/status``, in three languages, with its calendar and feed. Where it is off there is nothing."""
    routes = APIRouter(include_in_schema=False)

    async def known() -> Status | None:
        found = await pages.portals.document("status")
        return decode(Status, found, what="status") if found is not None else None

    @routes.get("/status")
    async def status(request: Request) -> Response:
        found = await known()
        if found is None:
            return pages.closed(request)
        say = Say(pages.say(request, None).language, found.timezone)
        return HTMLResponse(status_page(found, say, pages.portals.now(), silent=pages.portals.silent))

    @routes.get("/status/{name}")
    async def subscribed(name: str, request: Request) -> Response:
        found = await known()
        if found is None or agenda.SUBSCRIPTIONS.get(name) not in found.ways:
            return pages.closed(request)
        say = Say(pages.say(request, None).language, found.timezone)
        if name == "calendar.ics":
            return Response(agenda.public_calendar(found, pages.provider(request), say), media_type="text/calendar")
        made = agenda.public_feed(found, f"{pages.base(request)}/status", say)
        return Response(made, media_type="application/atom+xml")

    return routes


def status_page(status: Status, say: Say, now: datetime, *, silent: bool = False, exported: bool = False) -> str:
    """``exported``: to be hosted elsewhere as a file: its links and its style lie beside it."""
    days = {state: status.days.count(state) for state in "mxu"}
    found = {
        "status": status, "stories": view.stories(status, say), "bars": view.strip(status.days),
        "recent": view.strip(status.days[-30:]), "lede": view.status_lede(status, say), "days": DAYS,
        "label": say("status.days.label", n=DAYS, work=days["m"] + days["x"], interrupted=days["x"]),
        "today": say.date(now),
        "provider": status.provider, "silent": silent, "exported": exported, "all_languages": LANGUAGES,
    }  # fmt: skip
    return view.render("status.html", say, **found)
