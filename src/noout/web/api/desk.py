"""The operator's API about nodes and the whole installation: plan, begin, answer, give back, stop; and who did what."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from noout.app.desk import Way
from noout.app.webhooks import Standing
from noout.domain.access import Person, Right
from noout.domain.cluster import NodeId
from noout.domain.journal import Event
from noout.domain.maintenance import Mode, Plan
from noout.domain.ownership import Holding, Line, Oddity
from noout.domain.proposals import Proposal
from noout.web.api.who import PROBLEMS, Name, Reason, Told, address, known_node, recognised, require, shown_of
from noout.web.services import WebServices

SNOOZE_DAYS_MAX = 90
Guests = Annotated[list[str], Field(max_length=1000)]
Text = Annotated[str, Field(max_length=200)]


class Begin(Told):
    """``plan``: the id of the plan that was looked at: another than that is not begun. ``consents``: guests whose
    owners agree to an interruption; ``stay``: guests stay where they go; ``toward``: nodes to take before others."""

    node: str = Field(pattern=r"^[A-Za-z0-9._-]{1,60}/[A-Za-z0-9._-]{1,60}$")
    reason: str = Field(default="", max_length=500)
    mode: Mode = Mode.STEP
    plan: Text = ""
    consents: Guests = Field(default=[])
    stay: bool = False
    toward: Guests = Field(default=[])


class Begun(BaseModel):
    """``approved``: its plan is, by whoever opened it; otherwise it waits for somebody who may."""

    id: str
    approved: bool


class OnePlan(BaseModel):
    version: Literal[1] = 1
    plan: Plan


class Proposed(BaseModel):
    format: Literal["noout.proposals"] = "noout.proposals"
    version: Literal[1] = 1
    proposals: list[Proposal]


class Why(Told):
    reason: str = Field(min_length=1, max_length=500)


class Snooze(Why):
    days: float = Field(default=7, gt=0, le=SNOOZE_DAYS_MAX)


class Owned(BaseModel):
    """``unread``: clusters that could not be asked, with the reason."""

    version: Literal[1] = 1
    lines: list[Line]
    oddities: list[Oddity]
    unread: dict[str, str]


class Left(Told):
    cluster: Text
    kind: Text
    subject: Text


class Released(BaseModel):
    released: Holding


class Stopped(BaseModel):
    """``stopped``: no new effect is started anywhere."""

    stopped: bool
    at: datetime | None = None
    by: str = ""
    reason: str = ""


class Record(BaseModel):
    version: Literal[1] = 1
    events: list[Event]


class Receivers(BaseModel):
    format: Literal["noout.webhooks"] = "noout.webhooks"
    version: Literal[1] = 1
    webhooks: list[Standing]


def desk_routes(services: WebServices) -> APIRouter:
    """Plans, proposals, the ledger, the switch for everything, the record of access, webhooks."""
    Operator = Annotated[Person, Depends(recognised(services))]
    routes = APIRouter(responses=PROBLEMS)
    _add_nodes(routes, services, Operator)
    _add_ledger(routes, services, Operator)
    _add_whole(routes, services, Operator)
    return routes


def _add_nodes(routes: APIRouter, services: WebServices, Operator: Any) -> None:
    @routes.get("/clusters/{cluster}/nodes/{node}/plan", tags=["nodes"])
    async def plan(
        cluster: Name, node: Name, who: Operator,
        consent: Annotated[Guests, Query()] = [],  # noqa: B006 - read only
        stay: bool = False,
        toward: Annotated[Guests, Query()] = [],  # noqa: B006
    ) -> OnePlan:  # fmt: skip
        """How the node can be emptied now, or why not; nothing is done. Its ``id`` begins just this plan."""
        wanted = await known_node(services, cluster, node, who)
        way = Way(tuple(consent), stay, tuple(toward))
        return OnePlan(plan=(await shown_of(services).desk.plan(wanted, way)).plan)

    @routes.post("/maintenances", status_code=201, tags=["maintenances"])
    async def begin(body: Begin, who: Operator, request: Request) -> Begun:
        """Begin a maintenance. Who may not say yes to plans opens it, and it waits for somebody who may."""
        cluster, _, name = body.node.partition("/")
        node = await known_node(services, cluster, name, who, Right.OPERATE)
        approves = who.may(Right.APPROVE, cluster)
        id = await shown_of(services).desk.begin(
            node, reason=body.reason, mode=body.mode, actor=f"operator:{who.name}", approves=approves,
            way=Way(tuple(body.consents), body.stay, tuple(body.toward)), plan_id=body.plan,
            address=address(request),
        )  # fmt: skip
        m = await services.field.maintenance(id)
        return Begun(id=id, approved=m is not None and m.approved_by is not None)

    @routes.get("/proposals", tags=["nodes"])
    async def proposals(who: Operator) -> Proposed:
        """The maintenances that the watch proposes, the most urgent first, with the evidence."""
        listed = await shown_of(services).desk.proposals()
        return Proposed(proposals=[each for each in listed if who.may(Right.SEE, each.node.cluster)])

    @routes.post("/clusters/{cluster}/nodes/{node}/proposals/snooze", tags=["nodes"])
    async def snooze(cluster: Name, node: Name, who: Operator, body: Snooze, request: Request) -> Proposed:
        """Do not speak of what is proposed for the node for some days, unless it becomes more urgent."""
        wanted = await known_node(services, cluster, node, who, Right.OPERATE)
        until = services.field.clock.now() + timedelta(days=body.days)
        desk = shown_of(services).desk
        actor, came = f"operator:{who.name}", address(request)
        return Proposed(proposals=list(await desk.snooze(wanted, until, body.reason, actor, came)))

    @routes.post("/clusters/{cluster}/nodes/{node}/proposals/decline", tags=["nodes"])
    async def decline(cluster: Name, node: Name, who: Operator, body: Why, request: Request) -> Proposed:
        """No maintenance for what is proposed; it is proposed again when it becomes more urgent or spreads."""
        wanted: NodeId = await known_node(services, cluster, node, who, Right.OPERATE)
        desk = shown_of(services).desk
        actor, came = f"operator:{who.name}", address(request)
        return Proposed(proposals=list(await desk.decline(wanted, body.reason, actor, came)))


def _add_ledger(routes: APIRouter, services: WebServices, Operator: Any) -> None:
    @routes.get("/ledger", tags=["installation"])
    async def ledger(who: Operator) -> Owned:
        """What noout has set on the clusters that this token may see, and what is not as the journal says."""
        shown = shown_of(services)
        read = await shown.desk.ledger(who.some(Right.SEE, shown.clusters))
        return Owned(lines=list(read.lines), oddities=list(read.oddities), unread=dict(read.unread))

    @routes.post("/ledger/release", tags=["installation"])
    async def release(body: Left, who: Operator, request: Request) -> Released:
        """Give back what a maintenance that is over has left. 409 for anything else."""
        require(who, Right.ADMINISTER, body.cluster)
        desk = shown_of(services).desk
        actor, came = f"operator:{who.name}", address(request)
        return Released(released=await desk.release(body.cluster, body.kind, body.subject, actor, came))


def _add_whole(routes: APIRouter, services: WebServices, Operator: Any) -> None:
    async def now() -> Stopped:
        found = await shown_of(services).standstill()
        return Stopped(stopped=False) if found is None else Stopped(
            stopped=True, at=found.at, by=found.by, reason=found.reason
        )  # fmt: skip

    @routes.get("/standstill", tags=["installation"])
    async def standstill(who: Operator) -> Stopped:
        """Whether effects are allowed. Whoever has a token may know."""
        return await now()

    @routes.post("/standstill/stop", tags=["installation"])
    async def stop(who: Operator, body: Reason, request: Request) -> Stopped:
        """Start no new effect anywhere, of any maintenance, in any cluster."""
        require(who, Right.ADMINISTER, None)
        await shown_of(services).stop_all(f"operator:{who.name}", body.reason, address(request))
        return await now()

    @routes.post("/standstill/allow", tags=["installation"])
    async def allow(who: Operator, request: Request) -> Stopped:
        """Allow effects again."""
        require(who, Right.ADMINISTER, None)
        await shown_of(services).allow_all(f"operator:{who.name}", address(request))
        return await now()

    @routes.get("/audit", tags=["installation"])
    async def audit(who: Operator) -> Record:
        """Who came in and who did not, and which tokens were made and revoked; with the hash chain, oldest first."""
        require(who, Right.ADMINISTER, None)
        return Record(events=list(await shown_of(services).desk.record()))

    @routes.get("/webhooks", tags=["installation"])
    async def webhooks(who: Operator) -> Receivers:
        """How the programs that are told are doing."""
        require(who, Right.ADMINISTER, None)
        return Receivers(webhooks=list(await shown_of(services).desk.webhooks()))
