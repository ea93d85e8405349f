"""A work order as operators see it: what was found, the photos, the links to it, and the sheet with its QR code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from noout.app.paper import printed
from noout.domain.access import Right, Session
from noout.domain.errors import NooutError
from noout.domain.maintenance import Maintenance
from noout.domain.workorder import WorkOrder
from noout.tell.field import LANGUAGES
from noout.web.console.doors import Foreign
from noout.web.console.inside import Inside, NotHere, actor

HOURS = (4, 12, 24, 72)
Who = Annotated[str, Form(pattern=r"^[\w .'-]{1,60}$")]


@dataclass(frozen=True, slots=True)
class WorkOrders:
    inside: Inside

    async def _order(self, session: Session, maintenance: str) -> tuple[Maintenance, WorkOrder]:
        m = await self.inside.maintenance(session, maintenance)
        if m.work_order is None:
            raise NotHere
        return m, m.work_order

    async def page(self, request: Request, maintenance: str, error: NooutError | None = None) -> Response:
        session = await self.inside.doors.session(request)
        m, order = await self._order(session, maintenance)
        field = self.inside.services.field
        found = {each.check: each for each in m.findings}
        lines = [
            (check, found.get(check.key), [each for each in m.photos if each.check == check.key])
            for check in order.checks
        ]
        may = session.person.may(Right.OPERATE, m.node.cluster)
        return self.inside.page(
            "workorder.html", session, 409 if error else 200, here="maintenances", m=m, order=order, lines=lines,
            links=await field.links(m.id), error=error, hours=HOURS, languages=LANGUAGES,
            locked="" if may else f"Needs the role operator in {m.node.cluster}",
        )  # fmt: skip

    async def issue(self, request: Request, maintenance: str, who: str, hours: int, language: str) -> Response:
        """A new link, shown this once: on the sheet, as a QR code."""
        _, m, order = await self._acting(request, maintenance)
        services = self.inside.services
        try:
            token, expires = await services.field.make_link(m.id, who.strip(), valid_s=hours * 3600.0)
        except NooutError as error:
            return await self.page(request, maintenance, error)
        base = services.base_url.rstrip("/") or str(request.base_url).rstrip("/")
        zone = services.field.timezone(m.node.cluster)
        return HTMLResponse(printed(order, language, link=(f"{base}/w/{token}", expires), timezone=zone))

    async def revoke(self, request: Request, maintenance: str, link: str) -> Response:
        session, m, _ = await self._acting(request, maintenance)
        try:
            await self.inside.services.field.revoke_link(m.id, link, actor(session))
        except NooutError as error:
            return await self.page(request, maintenance, error)
        return RedirectResponse(f"/maintenances/{m.id}/workorder", 303)

    async def _acting(self, request: Request, maintenance: str) -> tuple[Session, Maintenance, WorkOrder]:
        session = await self.inside.doors.acting(request)
        m, order = await self._order(session, maintenance)
        if not session.person.may(Right.OPERATE, m.node.cluster):
            raise Foreign
        return session, m, order

    async def photo(self, request: Request, maintenance: str, digest: str) -> Response:
        session = await self.inside.doors.session(request)
        m = await self.inside.maintenance(session, maintenance)
        jpeg = await self.inside.services.field.photos.find(m.id, digest)
        if jpeg is None:
            raise NotHere
        return Response(jpeg, media_type="image/jpeg")


def workorder_routes(pages: WorkOrders) -> APIRouter:
    """``/maintenances/ID/workorder``, its forms, and ``/maintenances/ID/photos/DIGEST``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/maintenances/{maintenance}/workorder")
    async def page(request: Request, maintenance: str) -> Response:
        return await pages.page(request, maintenance)

    @routes.post("/maintenances/{maintenance}/workorder")
    async def issue(
        request: Request,
        maintenance: str,
        technician: Who,
        hours: Annotated[int, Form(ge=1, le=72)] = 12,
        language: Annotated[str, Form(pattern="^(en|nl|es)$")] = "en",
    ) -> Response:
        return await pages.issue(request, maintenance, technician, hours, language)

    @routes.post("/maintenances/{maintenance}/workorder/revoke")
    async def revoke(request: Request, maintenance: str, link: Annotated[str, Form(max_length=64)]) -> Response:
        return await pages.revoke(request, maintenance, link)

    @routes.get("/maintenances/{maintenance}/photos/{digest}")
    async def photo(request: Request, maintenance: str, digest: str) -> Response:
        return await pages.photo(request, maintenance, digest)

    return routes
