"""Pages on which an operator decides: the plan of a node and its beginning, and the answer to a proposal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from noout.app.desk import Way
from noout.app.planning import Planned
from noout.domain.access import Right, Session
from noout.domain.cluster import GuestId, NodeId
from noout.domain.errors import NooutError, Refused
from noout.domain.maintenance import Mode, MoveKind, Plan
from noout.domain.proposals import Proposal, Standing
from noout.plan import outlook
from noout.web.api.who import address
from noout.web.console.doors import Foreign
from noout.web.console.inside import Inside, actor
from noout.web.console.plan_view import figures, meaning, room, schedule

SNOOZES = {1: "one day", 7: "a week", 30: "a month"}
# Blockers that an owner's word for this one time takes away.
CONSENTABLE = frozenset({"guest.passthrough", "guest.lxc-relocation", "guest.not-live"})
Text = Annotated[str, Form(max_length=500)]
Names = Annotated[list[str], Query(max_length=200)]
FormNames = Annotated[list[str], Form(max_length=200)]


@dataclass(frozen=True, slots=True)
class Deciding:
    inside: Inside

    # --- the plan -----------------------------------------------------------------------------------------------

    async def plan(
        self, request: Request, cluster: str, name: str, way: Way, *, error: NooutError | None = None, said: str = ""
    ) -> Response:
        """The plan as the cluster is now; where it cannot be made, why."""
        inside = self.inside
        session = await inside.doors.session(request)
        node = await inside.node(session, cluster, name)
        planned: Planned | None = None
        try:
            planned = await inside.shown.desk.plan(node, way)
        except NooutError as trouble:
            error = error or trouble
        return inside.page(
            "plan.html", session, 409 if error else 200, here="plan", node=node, way=way, error=error, reason=said,
            running=await self._running(node), proposals=await self._proposed(node),
            **(_shown(planned, session) if planned is not None else {"plan": None}),
        )  # fmt: skip

    async def _running(self, node: NodeId) -> str:
        """The open maintenance of the node's cluster: one at a time."""
        found = [m for m in await self.inside.services.maintenances() if m.open and m.node.cluster == node.cluster]
        return found[0].id if found else ""

    async def _proposed(self, node: NodeId) -> list[Proposal]:
        return [each for each in await self.inside.shown.desk.proposals() if each.node == node]

    async def begin(self, request: Request, cluster: str, name: str, way: Way, form: Mapping[str, str]) -> Response:
        inside = self.inside
        session = await inside.doors.acting(request)
        node = await inside.node(session, cluster, name)
        if not session.person.may(Right.OPERATE, cluster):
            raise Foreign
        try:
            begun = await inside.shown.desk.begin(
                node, reason=form["reason"].strip(), mode=Mode(form["mode"]), actor=actor(session),
                approves=session.person.may(Right.APPROVE, cluster), way=way, plan_id=form["plan"],
                address=address(request),
            )  # fmt: skip
        except NooutError as error:
            return await self.plan(request, cluster, name, way, error=error, said=form["reason"])
        return RedirectResponse(f"/maintenances/{begun}", 303)

    # --- the answer to a proposal -------------------------------------------------------------------------------

    async def answer(self, request: Request, cluster: str, name: str, error: NooutError | None = None) -> Response:
        inside = self.inside
        session = await inside.doors.session(request)
        node = await inside.node(session, cluster, name)
        proposals = await self._proposed(node)
        return inside.page(
            "not-now.html", session, 409 if error else 200, here="fleet", node=node, error=error, snoozes=SNOOZES,
            proposals=[each for each in proposals if each.standing is not Standing.TAKEN],
            locked="" if session.person.may(Right.OPERATE, cluster) else f"Needs the role operator in {cluster}",
        )  # fmt: skip

    async def put_aside(self, request: Request, cluster: str, name: str, days: int, reason: str) -> Response:
        """``days`` 0: declined."""
        inside = self.inside
        session = await inside.doors.acting(request)
        node = await inside.node(session, cluster, name)
        if not session.person.may(Right.OPERATE, cluster):
            raise Foreign
        desk, until = inside.shown.desk, inside.services.field.clock.now() + timedelta(days=days)
        try:
            if days and days not in SNOOZES:
                raise Refused(f"{days} days is not offered", remedy="choose one of those that are")
            if days:
                await desk.snooze(node, until, reason.strip(), actor(session), address(request))
            else:
                await desk.decline(node, reason.strip(), actor(session), address(request))
        except NooutError as error:
            return await self.answer(request, cluster, name, error)
        return RedirectResponse("/", 303)


def _shown(planned: Planned, session: Session) -> dict[str, Any]:
    plan = planned.plan
    may = session.person.may
    return {
        "plan": plan,
        "verdict": outlook.verdict(plan),
        "figures": figures(plan),
        "schedule": schedule(plan),
        "room": room(plan),
        "touched": [(each.name or "nobody's", len(each.guests), outlook.in_words(each)) for each in planned.touched()],
        "meaning": meaning(planned),
        "not_live": [move for move in plan.moves if move.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN)],
        "guests": _guests(plan),
        "consentable": [(GuestId.parse(each.subject), each) for each in plan.blockers if each.code in CONSENTABLE],
        "ceph": planned.ceph,
        "host": planned.host,
        "locked": "" if may(Right.OPERATE, plan.node.cluster) else f"Needs the role operator in {plan.node.cluster}",
        "approves": may(Right.APPROVE, plan.node.cluster),
    }


def _guests(plan: Plan) -> list[dict[str, Any]]:
    times = outlook.times_s(plan)
    return [
        {
            "move": move,
            "gib": outlook.gib(move.ram_bytes),
            "way": outlook.way_of(move, plan),
            "feels": outlook.feels(move),
            "at": outlook.minutes(times[move.guest][0]) if move.guest in times else "during the repair",
        }
        for move in plan.moves
    ]


def deciding_routes(pages: Deciding) -> APIRouter:
    """``/nodes/CLUSTER/NODE/plan`` and its form, ``/nodes/CLUSTER/NODE/not-now`` and its form."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/nodes/{cluster}/{name}/plan")
    async def plan(
        request: Request, cluster: str, name: str, consent: Names = [], toward: Names = [], stay: bool = False,  # noqa: B006
    ) -> Response:  # fmt: skip
        return await pages.plan(request, cluster, name, _way(consent, toward, stay))

    @routes.post("/nodes/{cluster}/{name}/plan")
    async def begin(
        request: Request, cluster: str, name: str, plan: Text, mode: Annotated[Mode, Form()], reason: Text = "",
        consent: FormNames = [], toward: FormNames = [], stay: Annotated[bool, Form()] = False,  # noqa: B006
    ) -> Response:  # fmt: skip
        return await pages.begin(
            request, cluster, name, _way(consent, toward, stay), {"plan": plan, "mode": mode.value, "reason": reason}
        )

    @routes.get("/nodes/{cluster}/{name}/not-now")
    async def not_now(request: Request, cluster: str, name: str) -> Response:
        return await pages.answer(request, cluster, name)

    @routes.post("/nodes/{cluster}/{name}/not-now")
    async def put_aside(
        request: Request, cluster: str, name: str, days: Annotated[int, Form(ge=0, le=90)], reason: Text
    ) -> Response:
        return await pages.put_aside(request, cluster, name, days, reason)

    return routes


def _way(consents: Sequence[str], toward: Sequence[str], stay: bool) -> Way:
    return Way(tuple(each for each in consents if each), stay, tuple(each for each in toward if each))
