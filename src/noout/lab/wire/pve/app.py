"""The door of the API: login, permission, proxying, parameters, envelope; in PVE's own order.

401 (who are you) comes before 501 (no such method), that before 403 (you may not), that before 595 (the node that would
have to answer is unreachable), and wrong parameters (400) are found last, by the node that answers.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from noout.lab.wire.http import NoResponse, ReasonedResponse
from noout.lab.wire.pve import (
    access,
    ceph,
    ceph_cluster,
    cluster,
    guest_network,
    guests,
    ha,
    ha_rules,
    login,
    migrate,
    node,
    rrd,
    storage,
    surroundings,
    tasks,
)
from noout.lab.wire.pve.access import Principal, allowed
from noout.lab.wire.pve.call import Call, Listing, Method, Noted, PveError, Table
from noout.lab.wire.pve.faults import Faults
from noout.lab.wire.pve.parameters import verify
from noout.lab.world.laws import LawError, Laws
from noout.lab.world.model import Cluster, Node, Token

CHAPTERS = (
    login, cluster, node, guests, guest_network, migrate, rrd, tasks, storage, ha, ha_rules, ceph, ceph_cluster,
    surroundings,
)  # fmt: skip
_SERVER = {"Server": "pve-api-daemon/3.0"}
_NOBODY = Principal(Token("nobody@pve", None, "", {}))


@cache
def methods() -> Table:
    """Every method that the lab serves."""
    return Table([chapter.methods for chapter in CHAPTERS])


def pve_app(laws: Laws, cluster_name: str, node_name: str) -> Starlette:
    """The API as node ``node_name`` serves it on its port 8006."""
    door = Door(laws, laws.world.clusters[cluster_name], node_name)
    verbs = ["GET", "POST", "PUT", "DELETE"]
    app = Starlette(
        routes=[
            Route("/api2/{format}", door.answer, methods=verbs),
            Route("/api2/{format}/{path:path}", door.answer, methods=verbs),
        ]
    )
    app.state.reachable = door.reachable
    return app


class Door:
    def __init__(self, laws: Laws, cluster: Cluster, node_name: str) -> None:
        self.laws, self.cluster, self.here = laws, cluster, cluster.nodes[node_name]
        self.table = methods()
        self.faults = Faults(laws, cluster)

    def reachable(self) -> bool:
        """Whether the node is up at all: if not, a server should not accept."""
        self.laws.advance()
        return self.here.online

    async def answer(self, request: Request) -> Response:
        path = "/" + request.path_params.get("path", "").rstrip("/")
        params = await _parameters(request)
        if not self.reachable():
            return NoResponse()
        response = await self.faults.around(
            request, f"{request.method} {path}", lambda: self._perform(request, path, params)
        )
        # What a slow answer promised may be gone by now: a node that died meanwhile says nothing more.
        return response if self.here.online else NoResponse()

    def _perform(self, request: Request, path: str, given: dict[str, Any]) -> Response:
        self.laws.advance()
        ext = request.path_params["format"] == "extjs"
        try:
            data = self._resolve(request, path, given)
        except _Bare as bare:
            return ReasonedResponse(b"", bare.status, dict(_SERVER), bare.reason)
        except LawError as error:
            return _failure(PveError(error.message, error.status, error.errors or None), ext)
        except PveError as error:
            return _failure(error, ext)
        return _success(data, ext)

    def _resolve(self, request: Request, path: str, given: dict[str, Any]) -> Any:
        found = self.table.find(request.method, path)
        who = _NOBODY if found is not None and found[0].perm == "world" else self._login(request)
        if found is None:
            raise PveError(f"Method '{request.method} {path}' not implemented", 501)
        method, in_path = found
        for name in in_path:
            if name in given:
                raise PveError(
                    "Parameter verification failed.", 400, {name: "duplicate parameter (already defined in URI)"}
                )
        self._permit(method, who, {**given, **in_path})
        about = self._about(method, in_path)
        params = _verified(method, given, in_path)
        if request.method != "GET" and not self.cluster.quorate and method.perm != "world":
            raise PveError("cluster not ready - no quorum?")
        return method.handler(Call(self.laws, self.cluster, self.here, about, who, params))

    def _login(self, request: Request) -> Principal:
        header = request.headers.get("authorization", "")
        if header.startswith("PVEAPIToken"):
            who = access.by_token_header(self.cluster, header)
            if who is None:
                raise _Bare(401, "Authentication failed!")
            return who
        ticket = request.cookies.get("PVEAuthCookie") or ""
        if not ticket:
            raise _Bare(401, "No ticket")
        who = access.by_ticket(self.cluster, ticket, self.laws.now)
        if who is None:
            raise _Bare(401, "Authentication failed!")
        if request.method != "GET":
            csrf = request.headers.get("csrfpreventiontoken", "")
            if not access.csrf_fits(self.cluster, who, csrf, self.laws.now):
                raise _Bare(401, "Permission denied - invalid csrf token")
        return who

    def _permit(self, method: Method, who: Principal, values: dict[str, Any]) -> None:
        if method.perm in ("all", "world"):
            return
        refusal = ""
        for check in method.perm.split(" or "):
            path, wanted = check.split(" ")
            path = path.format_map(_Blank(values))
            if allowed(self.cluster, who, path, wanted):
                return
            refusal = f"Permission check failed ({path}, {wanted})"
        raise PveError(refusal, 403)

    def _about(self, method: Method, in_path: dict[str, str]) -> Node:
        """The node that carries the call out."""
        name = in_path.get("node")
        if name is None or name == "localhost":
            return self.here
        about = self.cluster.nodes.get(name)
        if about is None:
            if not method.proxied:
                return self.here
            lookup = "Temporary failure in name resolution"
            raise PveError(f"hostname lookup '{name}' failed - failed to get address info for: {name}: {lookup}")
        if method.proxied and about is not self.here and (not about.online or about.proxy_broken):
            raise _Bare(595, "Connection refused")
        return about


class _Bare(Exception):
    """An answer without a body."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


def _verified(method: Method, given: dict[str, Any], in_path: dict[str, str]) -> dict[str, Any]:
    values, errors = verify(method.params, given)
    path_values, path_errors = verify(method.path_params, in_path)
    if errors or path_errors:
        raise PveError("Parameter verification failed.", 400, {**path_errors, **errors})
    return {**values, **path_values}


async def _parameters(request: Request) -> dict[str, Any]:
    """Query, form or JSON; a name given more than once becomes a list."""
    if request.method in ("GET", "DELETE"):
        pairs = request.query_params.multi_items()
    elif "json" in request.headers.get("content-type", ""):
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            body = {}
        return {**dict(request.query_params), **(body if isinstance(body, dict) else {})}
    else:
        form = await request.form()
        pairs = request.query_params.multi_items() + [(k, str(v)) for k, v in form.multi_items()]
    values: dict[str, Any] = {}
    for name, value in pairs:
        name = name.removesuffix("[]")
        if name in values:
            first = values[name]
            values[name] = [*first, value] if isinstance(first, list) else [first, value]
        else:
            values[name] = value
    return values


def _document(document: dict[str, Any], status: int = 200, reason: str | None = None) -> Response:
    headers = {"Content-Type": "application/json;charset=UTF-8", "Cache-Control": "max-age=0", **_SERVER}
    return ReasonedResponse(json.dumps(document, separators=(",", ":")).encode(), status, headers, reason)


def _success(data: Any, ext: bool) -> Response:
    document: dict[str, Any] = {"data": data}
    if isinstance(data, Listing):
        document = {"data": data.data, "total": data.total}
    elif isinstance(data, Noted):
        document = {"data": data.data, **data.beside}
    return _document({**document, "success": 1} if ext else document)


def _failure(error: PveError, ext: bool) -> Response:
    reason = error.message.strip().split("\n", 1)[0]
    ends_line = error.status != 501 and not error.message.endswith("\n")
    document: dict[str, Any] = {"data": None, "message": error.message + ("\n" if ends_line else "")}
    if error.errors:
        document["errors"] = error.errors
    if ext:
        return _document({**document, "status": str(error.status), "success": 0})
    return _document(document, error.status, reason)
