"""Who sends a request to the API, and what the answers have in common."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from noout.domain.access import Person, Right
from noout.domain.cluster import NodeId
from noout.domain.maintenance import Maintenance
from noout.web.services import Shown, WebServices

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,60}$")]  # of a cluster, of a node
Id = Annotated[str, Path(max_length=200)]  # of a maintenance


def address(request: Request) -> str:
    """From where it comes, as the proxy says where one is trusted; "" where nobody knows."""
    return request.client.host if request.client else ""


class Problem(BaseModel):
    """Every answer that is no success. ``remedy``: what to do about it, "" where there is nothing to say."""

    error: str
    remedy: str = ""


class Told(BaseModel):
    """What is sent in."""

    model_config = ConfigDict(extra="forbid")


class Accepted(BaseModel):
    """Left for the run, which takes it up within a second. ``repeated``: the same key came before."""

    accepted: bool = True
    repeated: bool


class Reason(Told):
    reason: str = Field(default="", max_length=500)


def _problem(why: str) -> dict[str, Any]:
    """By reference: a model at each of these would be made anew for each route."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {"description": why, "content": {"application/json": {"schema": schema}}}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: _problem("No token, or nobody's"),
    403: _problem("The token's role does not permit it there"),
    404: _problem("Nothing of that name, or nothing that this token may see"),
    409: _problem("Refused: nothing was done"),
    422: _problem("What was sent is not as it has to be"),
    503: _problem("Not now: journal or cluster do not answer, or it is not served here"),
}


def with_problem(app: FastAPI) -> None:
    """Have the OpenAPI document of ``app`` say what a problem looks like."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {}).setdefault("schemas", {})[Problem.__name__] = Problem.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]


BEARER = HTTPBearer(auto_error=False, description="`noout token make` prints one")


def recognised(services: WebServices) -> Callable[..., Awaitable[Person]]:
    """Who sent the token; 401 for nobody's."""

    async def operator(said: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> Person:
        token = said.credentials.strip() if said is not None else ""
        person = await services.person_of(token) if token else None
        if person is None:
            raise HTTPException(401, "an operator's bearer token is needed", {"WWW-Authenticate": "Bearer"})
        return person

    return operator


def shown_of(services: WebServices) -> Shown:
    """503 where this process only carries one maintenance."""
    if services.console is None:
        raise HTTPException(503, "that is served by noout serve")
    return services.console.shown


async def known(services: WebServices, maintenance: str, who: Person, right: Right = Right.SEE) -> Maintenance:
    """404 for one that is not there, or is in a cluster that ``who`` may not see; 403 without the right."""
    m = await services.field.maintenance(maintenance)
    if m is None or not who.may(Right.SEE, m.node.cluster):
        raise HTTPException(404, f"no maintenance {maintenance}")
    require(who, right, m.node.cluster)
    return m


async def known_node(services: WebServices, cluster: str, name: str, who: Person, right: Right = Right.SEE) -> NodeId:
    """The same of a node."""
    shown = shown_of(services)
    if cluster not in who.some(Right.SEE, shown.clusters):
        raise HTTPException(404, f"no node {cluster}/{name}")
    seen = await shown.overview.cluster(cluster)
    if seen.state is not None and all(each.id.name != name for each in seen.state.nodes):
        raise HTTPException(404, f"no node {cluster}/{name}")
    require(who, right, cluster)
    return NodeId(cluster, name)


def require(who: Person, right: Right, cluster: str | None) -> None:
    """``cluster`` None: what concerns the whole installation."""
    if not who.may(right, cluster):
        where = cluster if cluster is not None else "every cluster"
        raise HTTPException(403, f"{who.name} may not do that: the right to {right} in {where} is needed")
