"""What admins do: the switch that stops everything, what was left behind, and the record of who was here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from noout.domain.access import Right, Session
from noout.domain.errors import NooutError
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Json
from noout.web.api.who import address
from noout.web.console.inside import Inside, NotHere, actor

ENTRIES = 500
TOLD = ("name", "reason", "refused", "serial", "check", "answer", "note", "hours", "technician", "action")
Text = Annotated[str, Form(max_length=500)]


@dataclass(frozen=True, slots=True)
class Done:
    """One entry of the record. ``about``: a maintenance or a node; "" where it is about none."""

    at: datetime
    who: str
    what: str
    where: str
    about: str


@dataclass(frozen=True, slots=True)
class Administering:
    inside: Inside

    async def _admin(self, session: Session, cluster: str | None = None) -> Session:
        """For whoever is none, there is nothing here."""
        if not session.person.may(Right.ADMINISTER, cluster):
            raise NotHere
        return session

    # --- the switch ---------------------------------------------------------------------------------------------

    async def standstill(self, request: Request, error: NooutError | None = None) -> Response:
        session = await self._admin(await self.inside.doors.session(request))
        running = [m for m in await self.inside.services.maintenances() if m.open]
        return self.inside.page(
            "standstill.html", session, 409 if error else 200, here="fleet", error=error, running=running,
            stopped=await self.inside.shown.standstill(),
        )  # fmt: skip

    async def switch(self, request: Request, stop: bool, reason: str) -> Response:
        session = await self._admin(await self.inside.doors.acting(request))
        try:
            if stop:
                await self.inside.shown.stop_all(actor(session), reason.strip(), address(request))
            else:
                await self.inside.shown.allow_all(actor(session), address(request))
        except NooutError as error:
            return await self.standstill(request, error)
        return RedirectResponse("/", 303)

    # --- what is owned ------------------------------------------------------------------------------------------

    async def owned(self, request: Request, cluster: str, error: NooutError | None = None) -> Response:
        session = await self.inside.doors.session(request)
        if cluster not in session.person.some(Right.SEE, self.inside.shown.clusters):
            raise NotHere
        locked = "" if session.person.may(Right.ADMINISTER, cluster) else f"Needs the role admin in {cluster}"
        return self.inside.page(
            "owned.html", session, 409 if error else 200, here="fleet", cluster=cluster, error=error, locked=locked,
            ledger=await self.inside.shown.desk.ledger([cluster]),
        )  # fmt: skip

    async def release(self, request: Request, cluster: str, kind: str, subject: str) -> Response:
        session = await self._admin(await self.inside.doors.acting(request), cluster)
        if cluster not in self.inside.shown.clusters:
            raise NotHere
        try:
            await self.inside.shown.desk.release(cluster, kind, subject, actor(session), address(request))
        except NooutError as error:
            return await self.owned(request, cluster, error)
        return RedirectResponse(f"/owned/{cluster}", 303)

    # --- the record ---------------------------------------------------------------------------------------------

    async def record(self, request: Request) -> Response:
        """Who decided what, and who came in, from where; the latest first."""
        session = await self._admin(await self.inside.doors.session(request))
        found = [_came_in(event) for event in await self.inside.shown.desk.record()]
        for m in await self.inside.services.maintenances():
            found += _decided(await self.inside.shown.events(m.id))
        found.sort(key=lambda each: each.at, reverse=True)
        return self.inside.page("record.html", session, here="record", entries=found[:ENTRIES], all=len(found))


WORDS = {
    "signed.in": "signed in", "signed.not-in": "was not let in", "signed.out": "signed out",
    "token.made": "made a token", "token.revoked": "revoked a token",
    "snoozed": "put aside what is proposed", "declined": "declined what is proposed", "released": "gave back",
    "stopped": "stopped everything", "allowed": "allowed effects again",
    Kind.OPENED: "opened it", Kind.REOPENED: "took it up again", Kind.APPROVED: "approved its plan",
    "link": "made a link to the work order", "link-opened": "opened the link", "finding": "answered a check",
    "link-revoked": "took the link back", "photo": "took a photo", "turned-down": "was turned down",
}  # fmt: skip


def _words(kind: str, told: Mapping[str, Json]) -> str:
    """A few words, and what else was said; digests and other keys of machines left out."""
    said = [f"{key} {value}" for key, value in told.items() if value and key in TOLD]
    return ": ".join([WORDS.get(kind, kind), *([", ".join(said)] if said else [])])


def _came_in(event: Event) -> Done:
    data = event.data
    name = data.get("name") or (data.get("token") or {}).get("name") or ""
    said = _words(event.kind, {"name": name, "reason": data.get("reason")})
    return Done(event.at, event.actor, said, str(data.get("from") or ""), str(data.get("about") or ""))


def _decided(events: Sequence[Event]) -> list[Done]:
    """What people said to a run, or did to it."""
    found = []
    for event in events:
        if event.kind == Kind.MESSAGE:
            said = dict(event.data.get("data") or {})
            where = str(said.pop("from", ""))
            refused = {"refused": event.data["refused"]} if event.data.get("refused") else {}
            what = _words(str(event.data.get("kind")), said | refused)
            found.append(Done(event.at, event.actor, what, where, event.stream))
        elif event.kind in (Kind.OPENED, Kind.REOPENED, Kind.APPROVED):
            reason = {"reason": event.data["reason"]} if event.data.get("reason") else {}
            where = str(event.data.get("from") or "")
            found.append(Done(event.at, event.actor, _words(event.kind, reason), where, event.stream))
    return found


def administering_routes(pages: Administering) -> APIRouter:
    """``/standstill``, ``/owned/CLUSTER``, ``/record``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/standstill")
    async def standstill(request: Request) -> Response:
        return await pages.standstill(request)

    @routes.post("/standstill")
    async def switch(request: Request, do: Text, reason: Text = "") -> Response:
        return await pages.switch(request, do == "stop", reason)

    @routes.get("/owned/{cluster}")
    async def owned(request: Request, cluster: str) -> Response:
        return await pages.owned(request, cluster)

    @routes.post("/owned/{cluster}")
    async def release(request: Request, cluster: str, kind: Text, subject: Text) -> Response:
        return await pages.release(request, cluster, kind, subject)

    @routes.get("/record")
    async def record(request: Request) -> Response:
        return await pages.record(request)

    return routes
