"""The technician's pages: one for the work, and what it needs without signal. Every form works without JavaScript."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Cookie, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from noout.app.links import NoSuchLink, OtherDevice, Visit
from noout.domain.errors import Refused
from noout.domain.workorder import Answer
from noout.tell.field import LANGUAGES, best_language
from noout.web.api.technician import Device, enter, uploaded
from noout.web.services import TechnicianServices
from noout.web.technician.view import closed_page, page

Key = Annotated[str, Form(max_length=100)]
Lang = Annotated[str | None, Cookie(alias="noout_language", max_length=10)]
_LANGUAGE_S = 365 * 24 * 3600


def technician_pages(services: TechnicianServices) -> APIRouter:
    """``/w/{token}``, its verdict alone, what is kept for a dead spot, photos, and the forms."""
    routes = APIRouter(include_in_schema=False)
    _add_worker(routes)
    _add_views(routes, services)
    _add_forms(routes, services)
    _add_photos(routes, services)
    return routes


def language_of(request: Request, chosen: str | None) -> str:
    """As chosen on the page, or as the phone is set."""
    if chosen is not None and chosen in LANGUAGES:
        return chosen
    return best_language(request.headers.get("accept-language", ""))


async def _arrive(
    services: TechnicianServices, token: str, device: str | None, request: Request, language: str
) -> Visit | Response:
    """The visit, or the page that says why not; the same page for every link that is not good."""
    try:
        return await enter(services, token, device, request)
    except NoSuchLink:
        return HTMLResponse(closed_page(language, other_device=False), 404)
    except OtherDevice:
        return HTMLResponse(closed_page(language, other_device=True), 403)


def _add_worker(routes: APIRouter) -> None:
    @routes.get("/w/worker.js")
    async def worker() -> Response:
        """Here, so that it answers for the technicians' pages and for nothing else."""
        body = files("noout.web").joinpath("static/worker.js").read_bytes()
        return Response(body, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


def _add_views(routes: APIRouter, services: TechnicianServices) -> None:
    async def shown(
        template: str, token: str, device: str | None, request: Request, language: str, *, shell: bool = False
    ) -> Response:
        visit = await _arrive(services, token, device, request, language)
        if isinstance(visit, Response):
            return visit
        bench = await services.field.bench(visit)
        return HTMLResponse(page(template, token, bench, services, language, shell=shell))

    @routes.get("/w/{token}")
    async def work(
        token: str, request: Request, device: Device = None, kept: Lang = None, lang: str | None = None
    ) -> Response:
        if lang is not None and lang in LANGUAGES:
            answer = RedirectResponse(f"/w/{token}", 303)
            answer.set_cookie("noout_language", lang, max_age=_LANGUAGE_S, httponly=True, samesite="lax")
            return answer
        return await shown("work.html", token, device, request, language_of(request, kept))

    @routes.get("/w/{token}/verdict")
    async def only_verdict(token: str, request: Request, device: Device = None, kept: Lang = None) -> Response:
        return await shown("verdict.html", token, device, request, language_of(request, kept))

    @routes.get("/w/{token}/offline")
    async def offline(token: str, request: Request, device: Device = None, kept: Lang = None) -> Response:
        """The page as it may be kept on the phone: whatever the verdict is now, it says DO NOT TOUCH."""
        return await shown("work.html", token, device, request, language_of(request, kept), shell=True)


def _add_forms(routes: APIRouter, services: TechnicianServices) -> None:
    """Each form ends on the page again, or on the page with the reason why it was refused."""
    field = services.field

    async def said(
        token: str,
        device: str | None,
        request: Request,
        say: Callable[[Visit], Awaitable[bool]],
        anchor: str = "",
    ) -> Response:
        return await _said(services, token, device, request, say, anchor)

    @routes.post("/w/{token}/hands-on")
    async def hands_on(
        token: str,
        key: Key,
        serial: Annotated[str, Form(max_length=100)],
        request: Request,
        device: Device = None,
    ) -> Response:
        return await said(token, device, request, lambda visit: field.hands_on(visit, serial, key))

    @routes.post("/w/{token}/serial-again")
    async def serial_again(
        token: str,
        key: Key,
        serial: Annotated[str, Form(max_length=100)],
        request: Request,
        device: Device = None,
    ) -> Response:
        return await said(token, device, request, lambda visit: field.serial_again(visit, serial, key))

    @routes.post("/w/{token}/finding")
    async def finding(
        token: str,
        key: Key,
        check: Annotated[str, Form(max_length=100)],
        answer: Annotated[Answer, Form()],
        request: Request,
        note: Annotated[str, Form(max_length=2000)] = "",
        part: Annotated[str, Form(max_length=100)] = "",
        device: Device = None,
    ) -> Response:
        return await said(
            token, device, request, lambda visit: field.finding(visit, check, answer, note, key, part), f"#{check}"
        )

    @routes.post("/w/{token}/not-today")
    async def not_today(
        token: str,
        key: Key,
        why: Annotated[str, Form(max_length=2000)],
        request: Request,
        device: Device = None,
    ) -> Response:
        return await said(token, device, request, lambda visit: field.not_today(visit, why, key))

    @routes.post("/w/{token}/sign-off")
    async def sign_off(token: str, key: Key, request: Request, device: Device = None) -> Response:
        return await said(token, device, request, lambda visit: field.sign_off(visit, key))


async def _said(
    services: TechnicianServices,
    token: str,
    device: str | None,
    request: Request,
    say: Callable[[Visit], Awaitable[bool]],
    anchor: str = "",
) -> Response:
    visit = await _arrive(services, token, device, request, _language(request))
    if isinstance(visit, Response):
        return visit
    return await _told(services, token, visit, request, say, anchor)


async def _told(
    services: TechnicianServices,
    token: str,
    visit: Visit,
    request: Request,
    say: Callable[[Visit], Awaitable[bool]],
    anchor: str,
) -> Response:
    try:
        await say(visit)
    except Refused as error:
        bench = await services.field.bench(visit)
        return HTMLResponse(page("work.html", token, bench, services, _language(request), error=error), 409)
    return RedirectResponse(f"/w/{token}{anchor}", 303)


def _language(request: Request) -> str:
    return language_of(request, request.cookies.get("noout_language"))


def _add_photos(routes: APIRouter, services: TechnicianServices) -> None:
    @routes.post("/w/{token}/photo")
    async def photo(token: str, request: Request, device: Device = None) -> Response:
        """The link is looked at before anything of the picture is read."""
        visit = await _arrive(services, token, device, request, _language(request))
        if isinstance(visit, Response):
            return visit
        check, key, picture = await uploaded(request)
        return await _told(
            services, token, visit, request, lambda visit: services.field.photo(visit, check, picture, key), f"#{check}"
        )

    @routes.get("/w/{token}/photo/{digest}")
    async def picture(token: str, digest: str, request: Request, device: Device = None) -> Response:
        visit = await _arrive(services, token, device, request, "en")
        found = None if isinstance(visit, Response) else await services.field.picture(visit, digest)
        if found is None:
            raise HTTPException(404)
        return Response(found, media_type="image/jpeg")
