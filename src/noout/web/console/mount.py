"""The console as a part of the application: its routes, and the pages for who may not enter."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from noout.web.console.administering import Administering, administering_routes
from noout.web.console.deciding import Deciding, deciding_routes
from noout.web.console.doors import Doors, Foreign, NotSignedIn, sign_in_pages, to_sign_in
from noout.web.console.inside import Inside, NotHere
from noout.web.console.live import Live
from noout.web.console.pages import Pages, page_routes
from noout.web.console.running import Running, running_routes
from noout.web.console.view import render
from noout.web.console.workorder import WorkOrders, workorder_routes
from noout.web.services import Console, WebServices


def add_console(app: FastAPI, services: WebServices, console: Console) -> None:
    doors = Doors(console.access, services.base_url)
    inside = Inside(services, console, doors)
    live = Live(console.shown, services.field.clock.now, services.maintenances, app.state.ending)
    app.include_router(sign_in_pages(doors))
    app.include_router(page_routes(Pages(inside)))
    app.include_router(deciding_routes(Deciding(inside)))
    app.include_router(administering_routes(Administering(inside)))
    app.include_router(workorder_routes(WorkOrders(inside)))  # before running's, whose paths are wider
    app.include_router(running_routes(Running(inside, live)))
    _add_refusals(app)


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(NotSignedIn)
    async def outside(request: Request, error: NotSignedIn) -> Response:
        answer = to_sign_in(error.to)
        if "hx-request" in request.headers:  # a part of a page was asked for: the whole page goes to the door
            answer = Response(status_code=204, headers={"HX-Redirect": answer.headers["location"]})
        return answer

    @app.exception_handler(NotHere)
    async def missing(request: Request, error: NotHere) -> Response:
        text = "There is nothing of that name, or nothing that you may see."
        return HTMLResponse(render("said.html", title="Not here", text=text), 404)

    @app.exception_handler(Foreign)
    async def foreign(request: Request, error: Foreign) -> Response:
        text = "That form did not come from this page, or is from another session. Nothing was done."
        return HTMLResponse(render("said.html", title="Not done", text=text), 403)
