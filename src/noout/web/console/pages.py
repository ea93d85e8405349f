"""Pages to look at: the fleet, a node, what was done. Who may not see a cluster finds nothing of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from noout.app.overview import Seen
from noout.app.watcher import Health
from noout.domain.access import Right, Session
from noout.domain.cluster import Node, NodeId
from noout.domain.hardware import Condition, Episode
from noout.domain.maintenance import Maintenance, MoveKind
from noout.domain.proposals import Standing
from noout.web.console.inside import Inside
from noout.web.console.view import GIB, WORDS, count, guests_of, in_short, says, worst

CARDS_MAX = 12  # nodes of one cluster drawn as cards; of more, only those that are not well
EPISODES_SHOWN, DONE_SHOWN = 12, 5


@dataclass(frozen=True, slots=True)
class Pages:
    inside: Inside

    async def fleet(self, request: Request) -> Response:
        inside = self.inside
        session = await inside.doors.session(request)
        shown, now = inside.shown, inside.services.field.clock.now()
        names = session.person.some(Right.SEE, shown.clusters)
        seen = await shown.overview.clusters(names)
        maintenances = [m for m in await inside.services.maintenances() if m.node.cluster in names]
        running = [m for m in maintenances if m.open]
        nodes = sum(len(each.state.nodes) for each in seen if each.state)
        guests = {each.name: guests_of(each.state) for each in seen if each.state}
        health = {each.node: each for each in await shown.health(names)}
        several = f"{count(len(names), 'cluster')}, {count(nodes, 'node')}"
        return inside.page(
            "fleet.html", session, here="fleet", running=running, proposals=await self._proposals(names),
            headline=_headline(running), stopped=await shown.standstill(),
            summary=f"{several}, {count(sum(sum(each.values()) for each in guests.values()), 'guest')}.",
            oddities=[odd for odd in await shown.oddities() if odd.cluster in names],
            clusters=[_cluster(each, guests.get(each.name, {}), health, now) for each in seen],
            done=[_done(m) for m in maintenances[::-1] if not m.open][:DONE_SHOWN],
        )  # fmt: skip

    async def _proposals(self, names: Sequence[str]) -> list[dict[str, Any]]:
        found = [each for each in await self.inside.shown.desk.proposals() if each.node.cluster in names]
        return [
            {"is": each, "spark": await self.inside.shown.spark(each.node, each.sensors[0])}
            for each in found
            if each.standing is not Standing.TAKEN
        ]

    async def maintenances(self, request: Request) -> Response:
        inside = self.inside
        session = await inside.doors.session(request)
        found = [m for m in await inside.services.maintenances() if session.person.may(Right.SEE, m.node.cluster)]
        return inside.page("maintenances.html", session, here="maintenances", all=[_done(m) for m in found[::-1]])

    async def node(self, request: Request, cluster: str, name: str) -> Response:
        inside = self.inside
        session = await inside.doors.session(request)
        node = await inside.node(session, cluster, name)
        health = await inside.shown.judged(node)
        glyph, sentence = says(health)
        picture = Markup(await inside.shown.picture(health))  # our own SVG, in which every text is escaped
        mine = [m for m in await inside.services.maintenances() if m.node == node]
        return inside.page(
            "node.html", session, here="fleet", node=node, glyph=glyph, says=sentence, picture=picture, words=WORDS,
            verdicts=health.verdicts if health else (), latest=health.latest if health else None,
            episodes=_episodes(health), proposals=[p for p in await inside.shown.desk.proposals() if p.node == node],
            running=next((m.id for m in mine if m.open), ""), before=[_done(m) for m in mine[::-1] if not m.open],
            locked=_locked(session, node),
        )  # fmt: skip


def page_routes(pages: Pages) -> APIRouter:
    """``/``, ``/maintenances``, ``/nodes/CLUSTER/NODE``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def fleet(request: Request) -> Response:
        return await pages.fleet(request)

    @routes.get("/maintenances")
    async def maintenances(request: Request) -> Response:
        return await pages.maintenances(request)

    @routes.get("/nodes/{cluster}/{name}")
    async def node(request: Request, cluster: str, name: str) -> Response:
        return await pages.node(request, cluster, name)

    return routes


def _locked(session: Session, node: NodeId) -> str:
    may = session.person.may(Right.OPERATE, node.cluster)
    return "" if may else f"Needs the role operator in {node.cluster}"


def _headline(running: Sequence[Maintenance]) -> str:
    if not running:
        return "Nothing is in maintenance"
    names = ", ".join(m.node.name for m in running)
    return f"{names} {'is' if len(running) == 1 else 'are'} in maintenance"


def _done(m: Maintenance) -> dict[str, Any]:
    """Figures of one maintenance, as measured; None where there is none."""
    live = [move for move in m.moved if move.kind is MoveKind.LIVE]
    pauses = [move.blackout_ms for move in live if move.blackout_ms is not None]
    return {
        "m": m,
        "off": m.node_on_at - m.node_off_at if m.node_off_at and m.node_on_at else None,
        "moved": len({move.guest for move in m.moved if not move.homeward}),
        "pause_ms": max(pauses, default=None),
        "restarted": len({move.guest for move in m.moved if move.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN)}),
    }


def _episodes(health: Health | None) -> list[Episode]:
    """Of the worst verdict, the latest first."""
    if health is None or not health.verdicts:
        return []
    condition = worst(verdict.condition for verdict in health.verdicts)
    if condition is Condition.OK:
        return []
    first = next(verdict for verdict in health.verdicts if verdict.condition is condition)
    return sorted(first.episodes, key=lambda each: each.since, reverse=True)[:EPISODES_SHOWN]


def _cluster(
    seen: Seen, guests: Mapping[NodeId, int], health: Mapping[NodeId, Health], now: datetime
) -> dict[str, Any]:
    nodes = [
        _node(node, guests.get(node.id, 0), health.get(node.id), now)
        for node in sorted(seen.state.nodes if seen.state else (), key=lambda each: each.id)
    ]
    cards = nodes if len(nodes) <= CARDS_MAX else [each for each in nodes if each["glyph"] in ("caution", "stop")]
    ceph = seen.ceph
    data = ""
    if ceph is not None:
        up = sum(osd.up and osd.in_ for osd in ceph.osds)
        states = ", ".join(f"{number} {state}" for state, number in ceph.pgs_by_state.items())
        data = f"{ceph.health} · {states} · {up} of {len(ceph.osds)} OSDs up and in"
    small = [each for each in nodes if each["glyph"] not in ("caution", "stop")] if len(nodes) > CARDS_MAX else []
    return {"name": seen.name, "trouble": seen.trouble, "data": data, "cards": cards, "small": small}


def _node(node: Node, guests: int, judged: Health | None, now: datetime) -> dict[str, Any]:
    glyph, sentence = in_short(judged) if node.online else ("stop", "not in the cluster")
    latest = judged.latest if judged else None
    return {
        "name": node.id.name, "glyph": glyph, "short": sentence, "guests": guests,
        "word": {"ok": "well", "caution": "suspect", "stop": "fault", "unk": "unknown"}[glyph],
        "used_gib": node.ram_used_bytes / GIB, "has_gib": node.ram_bytes / GIB,
        "seen": f"{max(0.0, (now - latest.at).total_seconds()):.0f} s ago" if latest else "",
    }  # fmt: skip
