"""The console's pages over what the program knows. Who may not see a cluster finds nothing of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from markupsafe import Markup

from noout.app.overview import Seen
from noout.app.watcher import Health
from noout.domain.access import Right, Session
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError
from noout.domain.hardware import Condition
from noout.domain.journal import MessageKind
from noout.domain.maintenance import Maintenance
from noout.web.console.doors import Doors, address
from noout.web.console.view import GIB, RIGHT, WORDS, deeds, flags, floor, guests_of, lines, rail, render, waits, worst
from noout.web.services import Console, WebServices

SAID = frozenset(
    {
        MessageKind.APPROVE,
        MessageKind.CONFIRM,
        MessageKind.PAUSE,
        MessageKind.RESUME,
        MessageKind.ABORT,
        MessageKind.CLOSE_UP,
    }
)


class NotHere(Exception):
    """Nothing of that name, or nothing that this person may see."""


@dataclass(frozen=True, slots=True)
class Pages:
    services: WebServices
    console: Console
    doors: Doors

    # --- what is shown ------------------------------------------------------------------------------------------

    def shown(self, template: str, session: Session, status: int = 200, **what: Any) -> Response:
        now = self.services.field.clock.now()
        return HTMLResponse(render(template, session=session, now=now, **what), status)

    async def fleet(self, request: Request) -> Response:
        session = await self.doors.session(request)
        person, console = session.person, self.console
        names = person.some(Right.SEE, console.clusters)
        seen = await console.overview.clusters(names)
        maintenances = [m for m in await self.services.maintenances() if m.node.cluster in names]
        running = [m for m in maintenances if m.open]
        proposals = [each for each in await console.proposals() if each.node.cluster in names]
        nodes = sum(len(each.state.nodes) for each in seen if each.state)
        guests = sum(sum(guests_of(each.state).values()) for each in seen if each.state)
        health = {each.node: each for each in await console.health(names)}
        return self.shown(
            "fleet.html", session, here="fleet", running=running, proposals=proposals,
            headline=_headline(running), stopped=await console.standstill(),
            summary=f"{_count(len(names), 'cluster')}, {_count(nodes, 'node')}, {_count(guests, 'guest')}.",
            oddities=[odd for odd in await console.oddities() if odd.cluster in names],
            clusters=[_cluster(each, health, self.services.field.clock.now()) for each in seen],
        )  # fmt: skip

    async def maintenances(self, request: Request) -> Response:
        session = await self.doors.session(request)
        found = [m for m in await self.services.maintenances() if session.person.may(Right.SEE, m.node.cluster)]
        return self.shown("maintenances.html", session, here="maintenances", all=found[::-1])

    async def node(self, request: Request, cluster: str, name: str) -> Response:
        session = await self.doors.session(request)
        node = NodeId(cluster, name)
        if cluster not in session.person.some(Right.SEE, self.console.clusters) or not await self._exists(node):
            raise NotHere
        health = await self.console.judged(node)
        glyph, says = _says(health)
        picture = Markup(await self.console.picture(health))  # our own SVG, in which every text is escaped
        return self.shown(
            "node.html", session, here="", node=node, glyph=glyph, says=says, picture=picture, words=WORDS,
            verdicts=health.verdicts if health else (),
        )  # fmt: skip

    async def _exists(self, node: NodeId) -> bool:
        seen = await self.console.overview.cluster(node.cluster)
        return seen.state is None or any(each.id == node for each in seen.state.nodes)

    # --- one maintenance ----------------------------------------------------------------------------------------

    async def _known(self, session: Session, maintenance: str) -> Maintenance:
        m = await self.services.field.maintenance(maintenance)
        if m is None or not session.person.may(Right.SEE, m.node.cluster):
            raise NotHere
        return m

    async def run(self, request: Request, maintenance: str, template: str, error: str = "") -> Response:
        session = await self.doors.session(request)
        m = await self._known(session, maintenance)
        seen = await self.console.overview.cluster(m.node.cluster)
        return self.shown(
            template, session, 409 if error else 200, here="maintenances", m=m, error=error, rail=rail(m),
            flags=flags(seen.ceph),
            columns=floor(m, seen.state) if seen.state else [], trouble=seen.trouble, ceph=seen.ceph, waits=waits(m),
            deeds=deeds(m, session.person), lines=lines(await self.console.events(m.id)),
            new_key=lambda: secrets.token_hex(12),
        )  # fmt: skip

    async def say(self, request: Request, maintenance: str, kind: MessageKind, key: str, reason: str) -> Response:
        session = await self.doors.acting(request)
        m = await self._known(session, maintenance)
        deed = next((each for each in deeds(m, session.person) if each.kind is kind), None)
        if deed is None or not session.person.may(RIGHT.get(kind, Right.OPERATE), m.node.cluster):
            why = deed.locked if deed else f"{kind.value} is not asked for any more"
            return await self.run(request, maintenance, "maintenance.html", why)
        data: dict[str, Any] = {"from": address(request)} | ({"reason": reason} if reason else {})
        if kind is MessageKind.CONFIRM:
            data["action"] = m.facts.get("to_confirm")
        try:
            await self.console.tell(m.id, kind, f"operator:{session.person.name}", data, f"{kind.value}/{key}")
        except NooutError as error:
            return await self.run(request, maintenance, "maintenance.html", f"{error.message}")
        return RedirectResponse(f"/maintenances/{m.id}", 303)


def console_pages(pages: Pages) -> APIRouter:
    """``/``, ``/maintenances`` and each of them, ``/nodes/CLUSTER/NODE``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def fleet(request: Request) -> Response:
        return await pages.fleet(request)

    @routes.get("/maintenances")
    async def maintenances(request: Request) -> Response:
        return await pages.maintenances(request)

    @routes.get("/maintenances/{maintenance}")
    async def one(request: Request, maintenance: str) -> Response:
        return await pages.run(request, maintenance, "maintenance.html")

    @routes.get("/maintenances/{maintenance}/now")
    async def now(request: Request, maintenance: str) -> Response:
        return await pages.run(request, maintenance, "run.html")

    @routes.post("/maintenances/{maintenance}/{kind}")
    async def say(
        request: Request, maintenance: str, kind: MessageKind, key: Annotated[str, Form(max_length=100)],
        reason: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:  # fmt: skip
        if kind not in SAID:
            raise NotHere
        return await pages.say(request, maintenance, kind, key, reason)

    @routes.get("/nodes/{cluster}/{name}")
    async def node(request: Request, cluster: str, name: str) -> Response:
        return await pages.node(request, cluster, name)

    return routes


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _headline(running: Sequence[Maintenance]) -> str:
    if not running:
        return "Nothing is in maintenance"
    names = ", ".join(m.node.name for m in running)
    return f"{names} {'is' if len(running) == 1 else 'are'} in maintenance"


def _says(health: Health | None) -> tuple[str, str]:
    """A glyph, and the worst verdict in words."""
    if health is None:
        return "unk", "No BMC is configured"
    if health.latest is None or not health.latest.reachable:
        return "unk", "Its BMC does not answer: power steps are blocked"
    condition = worst(verdict.condition for verdict in health.verdicts)
    if condition is Condition.OK:
        return "ok", f"All {len(health.verdicts)} sensors are well"
    first = next(verdict for verdict in health.verdicts if verdict.condition is condition)
    return WORDS[condition][0], f"{first.sensor}: {first.why}"


def _cluster(seen: Seen, health: dict[NodeId, Health], now: Any) -> dict[str, Any]:
    nodes = []
    guests = guests_of(seen.state) if seen.state else {}
    for node in sorted(seen.state.nodes, key=lambda each: each.id) if seen.state else ():
        judged = health.get(node.id)
        glyph, says = _says(judged) if node.online else ("stop", "not in the cluster")
        latest = judged.latest if judged else None
        age_s = (now - latest.at).total_seconds() if latest else None
        nodes.append(
            {
                "name": node.id.name, "glyph": glyph, "word": glyph, "says": says, "guests": guests.get(node.id, 0),
                "used_gib": node.ram_used_bytes / GIB, "has_gib": node.ram_bytes / GIB,
                "seen": f"{age_s:.0f} s ago" if age_s is not None else "",
            }
        )  # fmt: skip
    ceph = seen.ceph
    data = ""
    if ceph is not None:
        up = sum(osd.up and osd.in_ for osd in ceph.osds)
        states = ", ".join(f"{count} {state}" for state, count in ceph.pgs_by_state.items())
        data = f"{ceph.health} · {states} · {up} of {len(ceph.osds)} OSDs up and in"
    return {"name": seen.name, "trouble": seen.trouble, "data": data, "nodes": nodes}
