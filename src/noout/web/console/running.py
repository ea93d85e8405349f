"""One maintenance: its page, its stream, what an operator tells it, and what that means said first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

from noout.domain.access import Right, Session
from noout.domain.errors import NooutError
from noout.domain.journal import EXTEND_H_MAX, MessageKind
from noout.domain.maintenance import Maintenance
from noout.web.api.who import address
from noout.web.console.deeds import Deed, deeds, rights_in
from noout.web.console.doors import NotSignedIn
from noout.web.console.inside import Inside, NotHere, actor
from noout.web.console.live import PARTS, Full, Live

SAID = frozenset(
    {
        MessageKind.APPROVE, MessageKind.CONFIRM, MessageKind.PAUSE, MessageKind.RESUME, MessageKind.ABORT,
        MessageKind.CLOSE_UP, MessageKind.EXTEND, MessageKind.LET_HEAL, MessageKind.FORCE_OFF,
    }
)  # fmt: skip
# A proxy in between passes on what comes as it comes.
UNBUFFERED = {"X-Accel-Buffering": "no", "Cache-Control": "no-store, no-transform"}


@dataclass(frozen=True, slots=True)
class Running:
    inside: Inside
    live: Live

    async def page(self, request: Request, maintenance: str, error: str = "") -> Response:
        session = await self.inside.doors.session(request)
        m = await self.inside.maintenance(session, maintenance)
        look = await self.live.look(m)
        return self.inside.page(
            "maintenance.html", session, 409 if error else 200, here="maintenances", error=error, parts=PARTS,
            deeds=deeds(m, rights_in(session.person, m.node.cluster)), **look.what,
        )  # fmt: skip

    async def now(self, request: Request, maintenance: str) -> Response:
        """All parts at once, for a page that no stream reaches."""
        session = await self.inside.doors.session(request)
        m = await self.inside.maintenance(session, maintenance)
        frame = await self.live.frame(m)
        return HTMLResponse("".join(frame.of(rights_in(session.person, m.node.cluster)).values()))

    async def stream(self, request: Request, maintenance: str) -> Response:
        session = await self.inside.doors.session(request)
        m = await self.inside.maintenance(session, maintenance)
        key = session.key

        async def still() -> bool:
            try:
                return (await self.inside.doors.session(request)).key == key
            except NotSignedIn:
                return False

        stream = self.live.stream(m.id, rights_in(session.person, m.node.cluster), still)
        try:
            first = await anext(stream)
        except Full:
            return Response(status_code=503, headers={"Retry-After": "30"})

        async def all_of_it() -> AsyncIterator[bytes]:
            yield first
            async for each in stream:
                yield each

        return StreamingResponse(all_of_it(), media_type="text/event-stream", headers=UNBUFFERED)

    # --- telling ------------------------------------------------------------------------------------------------

    def _deed(self, m: Maintenance, kind: MessageKind, session: Session) -> Deed | None:
        return next((each for each in deeds(m, rights_in(session.person, m.node.cluster)) if each.kind is kind), None)

    async def ask(self, request: Request, maintenance: str, kind: MessageKind) -> Response:
        """What it means, before it is done."""
        session = await self.inside.doors.session(request)
        m = await self.inside.maintenance(session, maintenance)
        deed = self._deed(m, kind, session)
        if deed is None:
            return await self.page(request, maintenance, f"{kind.value} is not asked for any more")
        return self.inside.page("ask.html", session, here="maintenances", m=m, deed=deed, hours_max=EXTEND_H_MAX)

    async def say(self, request: Request, maintenance: str, kind: MessageKind, form: dict[str, Any]) -> Response:
        session = await self.inside.doors.acting(request)
        m = await self.inside.maintenance(session, maintenance)
        deed = self._deed(m, kind, session)
        if deed is None or deed.locked or not session.person.may(Right.SEE, m.node.cluster):
            why = deed.locked if deed else f"{kind.value} is not asked for any more"
            return await self.page(request, maintenance, why)
        data: dict[str, Any] = {"from": address(request)} | ({"reason": form["reason"]} if form["reason"] else {})
        if kind is MessageKind.CONFIRM:
            data["action"] = m.facts.get("to_confirm")
        if deed.hours:
            data["hours"] = form["hours"]
        try:
            await self.inside.shown.tell(m.id, kind, actor(session), data, f"{kind.value}/{form['key']}")
        except NooutError as error:
            return await self.page(request, maintenance, error.message)
        return RedirectResponse(f"/maintenances/{m.id}", 303)


def running_routes(pages: Running) -> APIRouter:
    """``/maintenances/ID``, ``…/now``, ``…/stream``, and for each thing that can be told ``…/KIND``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/maintenances/{maintenance}")
    async def one(request: Request, maintenance: str) -> Response:
        return await pages.page(request, maintenance)

    @routes.get("/maintenances/{maintenance}/now")
    async def now(request: Request, maintenance: str) -> Response:
        return await pages.now(request, maintenance)

    @routes.get("/maintenances/{maintenance}/stream")
    async def stream(request: Request, maintenance: str) -> Response:
        return await pages.stream(request, maintenance)

    @routes.get("/maintenances/{maintenance}/{kind}")
    async def ask(request: Request, maintenance: str, kind: MessageKind) -> Response:
        if kind not in SAID:
            raise NotHere
        return await pages.ask(request, maintenance, kind)

    @routes.post("/maintenances/{maintenance}/{kind}")
    async def say(
        request: Request, maintenance: str, kind: MessageKind, key: Annotated[str, Form(max_length=100)],
        reason: Annotated[str, Form(max_length=500)] = "",
        hours: Annotated[float, Form(gt=0, le=EXTEND_H_MAX)] = 4.0,
    ) -> Response:  # fmt: skip
        if kind not in SAID:
            raise NotHere
        return await pages.say(request, maintenance, kind, {"key": key, "reason": reason.strip(), "hours": hours})

    return routes
