"""The technician's pages: one for the work, one to say more about a check. Every form works without JavaScript."""

from __future__ import annotations

import secrets
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from noout.app.technician import Bench, NoSuchLink, OtherDevice, Visit
from noout.app.touch import FRESH_S
from noout.domain.errors import Refused
from noout.domain.workorder import Answer, Touch
from noout.web.api.technician import Device, enter
from noout.web.services import WebServices

_SECTIONS = {
    "before": "Before you touch anything",
    "fans": "Fans",
    "power": "Power supplies",
    "bus": "Bus",
    "connectors": "Connectors",
    "hardware": "Hardware",
    "after": "Before you sign off",
}
_PANEL = {Touch.NODE_OFF: "", Touch.DO_NOT_TOUCH: "no", Touch.UNKNOWN: "old", Touch.YOU_MAY_LEAVE: "leave"}
_ANSWERS = {Answer.DONE: "done", Answer.NOT_NEEDED: "not needed", Answer.PROBLEM: "problem"}

_env = Environment(
    loader=PackageLoader("noout.web", "technician/templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_env.filters["first_upper"] = lambda text: text[:1].upper() + text[1:]

Key = Annotated[str, Form(max_length=100)]


def technician_pages(services: WebServices) -> APIRouter:
    """``/w/{token}`` and its forms."""
    routes = APIRouter(include_in_schema=False)
    zone = ZoneInfo(services.timezone)

    def shown(name: str, token: str, bench: Bench, status: int = 200, **more: Any) -> HTMLResponse:
        page = _env.get_template(name).render(**_context(token, bench, services, zone), **more)
        return HTMLResponse(page, status)

    async def arrive(token: str, device: str | None, request: Request) -> Visit | HTMLResponse:
        """The visit, or the page that says why not; the same page for every link that is not good."""
        try:
            return await enter(services, token, device, request)
        except NoSuchLink:
            return HTMLResponse(_env.get_template("closed.html").render(other=False), 404)
        except OtherDevice:
            return HTMLResponse(_env.get_template("closed.html").render(other=True), 403)

    @routes.get("/w/{token}")
    async def work(token: str, request: Request, device: Device = None) -> Response:
        visit = await arrive(token, device, request)
        if isinstance(visit, HTMLResponse):
            return visit
        return shown("work.html", token, await services.field.bench(visit), error=None)

    @routes.get("/w/{token}/verdict")
    async def only_verdict(token: str, request: Request, device: Device = None) -> Response:
        visit = await arrive(token, device, request)
        if isinstance(visit, HTMLResponse):
            return visit
        return shown("verdict.html", token, await services.field.bench(visit))

    @routes.get("/w/{token}/check/{check}")
    async def one_check(token: str, check: str, request: Request, device: Device = None) -> Response:
        visit = await arrive(token, device, request)
        if isinstance(visit, HTMLResponse):
            return visit
        bench = await services.field.bench(visit)
        line = next((line for line in bench.lines if line.check.key == check), None)
        if line is None:
            return RedirectResponse(f"/w/{token}", 303)
        return shown("check.html", token, bench, line=line, answers=_ANSWERS)

    async def said(token: str, device: str | None, request: Request, operation: str, form: dict[str, str]) -> Response:
        visit = await arrive(token, device, request)
        if isinstance(visit, HTMLResponse):
            return visit
        anchor = ""
        try:
            if operation == "hands-on":
                await services.field.hands_on(visit, form["serial"], form["key"])
            elif operation == "finding":
                answer = Answer(form["answer"])
                await services.field.finding(visit, form["check"], answer, form["note"], form["key"])
                anchor = f"#{form['check']}"
            else:
                await services.field.sign_off(visit, form["key"])
        except Refused as error:
            return shown("work.html", token, await services.field.bench(visit), 409, error=error)
        return RedirectResponse(f"/w/{token}{anchor}", 303)

    @routes.post("/w/{token}/hands-on")
    async def hands_on(
        token: str,
        key: Key,
        serial: Annotated[str, Form(max_length=100)],
        request: Request,
        device: Device = None,
    ) -> Response:
        return await said(token, device, request, "hands-on", {"key": key, "serial": serial})

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
        form = {"key": key, "check": check, "answer": answer.value, "note": note}
        return await said(token, device, request, "finding", form)

    @routes.post("/w/{token}/sign-off")
    async def sign_off(token: str, key: Key, request: Request, device: Device = None) -> Response:
        return await said(token, device, request, "sign-off", {"key": key})

    return routes


def _context(token: str, bench: Bench, services: WebServices, zone: ZoneInfo) -> dict[str, Any]:
    """What the templates may use."""
    now = services.field.clock.now()

    def clock(at: datetime | None) -> str:
        return at.astimezone(zone).strftime("%H:%M:%S") if at else ""

    return {
        "token": token,
        "bench": bench,
        "order": bench.work_order,
        "node": bench.work_order.node.name,
        "verdict": bench.verdict,
        "panel": _PANEL[bench.verdict.touch],
        "title_lines": bench.verdict.title.split(", "),
        "age_s": max(0, round((now - bench.verdict.at).total_seconds())),
        "fresh_s": FRESH_S,
        "zone": services.timezone,
        "clock": clock,
        "new_key": lambda: secrets.token_hex(12),
        "sections": [
            (_SECTIONS.get(section, section), list(lines))
            for section, lines in groupby(bench.lines, lambda line: line.check.section)
        ],
        "answer_words": _ANSWERS,
        "answered": sum(line.answer is not None for line in bench.lines),
        # what the page was drawn from: when it changes, the page is drawn anew
        "state": "/".join(
            (
                bench.phase.value,
                str(bench.hands_on),
                str(bench.signed_off),
                *(f"{line.answer}{len(line.note)}" for line in bench.lines),
            )
        ),
    }
