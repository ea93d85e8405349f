"""The technician's pages: one for the work, one to say more about a check. Every form works without JavaScript."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from noout.app.technician import NoSuchLink, OtherDevice, Visit
from noout.domain.errors import Refused
from noout.domain.workorder import Answer
from noout.web.api.technician import Device, enter
from noout.web.services import WebServices
from noout.web.technician.view import closed_page, page

Key = Annotated[str, Form(max_length=100)]


def technician_pages(services: WebServices) -> APIRouter:
    """``/w/{token}``, its verdict alone, a check, and the three forms."""
    routes = APIRouter(include_in_schema=False)
    _add_views(routes, services)
    _add_forms(routes, services)
    return routes


async def _arrive(services: WebServices, token: str, device: str | None, request: Request) -> Visit | Response:
    """The visit, or the page that says why not; the same page for every link that is not good."""
    try:
        return await enter(services, token, device, request)
    except NoSuchLink:
        return HTMLResponse(closed_page(other_device=False), 404)
    except OtherDevice:
        return HTMLResponse(closed_page(other_device=True), 403)


def _add_views(routes: APIRouter, services: WebServices) -> None:
    async def shown(template: str, token: str, device: str | None, request: Request) -> Response:
        visit = await _arrive(services, token, device, request)
        if isinstance(visit, Response):
            return visit
        return HTMLResponse(page(template, token, await services.field.bench(visit), services, error=None))

    @routes.get("/w/{token}")
    async def work(token: str, request: Request, device: Device = None) -> Response:
        return await shown("work.html", token, device, request)

    @routes.get("/w/{token}/verdict")
    async def only_verdict(token: str, request: Request, device: Device = None) -> Response:
        return await shown("verdict.html", token, device, request)

    @routes.get("/w/{token}/check/{check}")
    async def one_check(token: str, check: str, request: Request, device: Device = None) -> Response:
        visit = await _arrive(services, token, device, request)
        if isinstance(visit, Response):
            return visit
        bench = await services.field.bench(visit)
        line = next((line for line in bench.lines if line.check.key == check), None)
        if line is None:
            return RedirectResponse(f"/w/{token}", 303)
        return HTMLResponse(page("check.html", token, bench, services, line=line))


def _add_forms(routes: APIRouter, services: WebServices) -> None:
    """Each form ends on the page again, or on the page with the reason why it was refused."""
    field = services.field

    async def said(
        token: str,
        device: str | None,
        request: Request,
        say: Callable[[Visit], Awaitable[bool]],
        anchor: str = "",
    ) -> Response:
        visit = await _arrive(services, token, device, request)
        if isinstance(visit, Response):
            return visit
        try:
            await say(visit)
        except Refused as error:
            return HTMLResponse(page("work.html", token, await field.bench(visit), services, error=error), 409)
        return RedirectResponse(f"/w/{token}{anchor}", 303)

    @routes.post("/w/{token}/hands-on")
    async def hands_on(
        token: str,
        key: Key,
        serial: Annotated[str, Form(max_length=100)],
        request: Request,
        device: Device = None,
    ) -> Response:
        return await said(token, device, request, lambda visit: field.hands_on(visit, serial, key))

    @routes.post("/w/{token}/finding")
    async def finding(
        token: str,
        key: Key,
        check: Annotated[str, Form(max_length=100)],
        answer: Annotated[Answer, Form()],
        request: Request,
        note: Annotated[str, Form(max_length=2000)] = "",
        device: Device = None,
    ) -> Response:
        return await said(
            token, device, request, lambda visit: field.finding(visit, check, answer, note, key), f"#{check}"
        )

    @routes.post("/w/{token}/sign-off")
    async def sign_off(token: str, key: Key, request: Request, device: Device = None) -> Response:
        return await said(token, device, request, lambda visit: field.sign_off(visit, key))
