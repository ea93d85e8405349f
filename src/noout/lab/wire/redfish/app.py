"""The Redfish service of one BMC: authentication, sessions, PATCH and Reset over the documents beside it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from noout.lab.wire.http import DISCONNECT
from noout.lab.wire.redfish.documents import BmcDocuments
from noout.lab.wire.redfish.log import log_entries, log_entry, log_service
from noout.lab.wire.redfish.shape import CHASSIS, MANAGER, ROOT, SYSTEM, Document, collection, link
from noout.lab.world.laws import LawError, Laws
from noout.lab.world.model import Cluster, WireFault

PATCHABLE = {"LocationIndicatorActive", "IndicatorLED"}
LED_VALUES = {"Lit": True, "Blinking": True, "Off": False}


@dataclass(frozen=True)
class BmcLogin:
    user: str = "ADMIN"
    password: str = "lab-bmc"


class RedfishError(Exception):
    def __init__(self, status: int, message_id: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message_id = message_id
        self.message = message


def error_body(message_id: str, message: str) -> Document:
    """The extended error of the Redfish specification (clause 8.6)."""
    info = {
        "@odata.type": "#Message.v1_1_1.Message",
        "MessageId": message_id,
        "Message": message,
        "Severity": "Warning",
    }
    return {"error": {"code": message_id, "message": message, "@Message.ExtendedInfo": [info]}}


def answer(document: Document, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(document, sort_keys=True).encode()
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
    return JSONResponse(document, status, {"OData-Version": "4.0", "ETag": etag, **(headers or {})})


class Silence:
    """The fault "bmc-mute": the connection stands, nothing ever comes back. And the wire faults by pattern."""

    def __init__(self, app: ASGIApp, laws: Laws, cluster: Cluster, node: str) -> None:
        self.app = app
        self.laws = laws
        self.cluster = cluster
        self.node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.laws.advance()
        if self.cluster.bmcs[self.node].mute or self._dropped(scope):
            while (await receive())["type"] != "http.disconnect":
                pass
            await send(DISCONNECT)
            return
        await self.app(scope, receive, send)

    def _dropped(self, scope: Scope) -> bool:
        """A "drop" whose pattern names Redfish paths; other kinds belong to PVE's API."""
        line = f"{scope['method']} {scope['path']}"
        for fault in self.cluster.wire_faults:
            if fault.kind == "drop" and "redfish" in fault.pattern and re.search(fault.pattern, line):
                return self._use(fault)
        return False

    def _use(self, fault: WireFault) -> bool:
        fault.times -= 1
        if fault.times <= 0:
            self.cluster.wire_faults.remove(fault)
        return True


Handler = Callable[[Request], Awaitable[Response]]


class Service:
    """Routes of one BMC. Sessions live as long as the BMC's process, here the lab."""

    def __init__(self, laws: Laws, cluster: Cluster, node: str, login: BmcLogin) -> None:
        self.laws = laws
        self.cluster = cluster
        self.node = node
        self.login = login
        self.sessions: dict[str, str] = {}  # id -> token

    @property
    def docs(self) -> BmcDocuments:
        return BmcDocuments(self.laws, self.cluster, self.node)

    # --- who asks ----------------------------------------------------------------------------------------

    def _allowed(self, request: Request) -> bool:
        token = request.headers.get("x-auth-token")
        if token is not None:
            return any(hmac.compare_digest(token.encode(), held.encode()) for held in self.sessions.values())
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return self._credentials(user, password)

    def _credentials(self, user: str, password: str) -> bool:
        same_user = hmac.compare_digest(user.encode(), self.login.user.encode())
        return hmac.compare_digest(password.encode(), self.login.password.encode()) and same_user

    def guarded(self, handler: Handler) -> Handler:
        async def guard(request: Request) -> Response:
            if not self._allowed(request):
                raise RedfishError(
                    401, "Base.1.12.0.NoValidSession", "There is no valid session established with the implementation."
                )
            return await handler(request)

        return guard

    async def _json(self, request: Request) -> dict[str, Any]:
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise RedfishError(400, "Base.1.12.0.MalformedJSON", "The request body is not a valid JSON object.")
        return body

    # --- reading -----------------------------------------------------------------------------------------

    def document(self, path: str) -> Document | None:
        """The resource at ``path`` (no trailing slash), or None."""
        docs = self.docs
        fixed: dict[str, Callable[[], Document]] = {
            f"{ROOT}/Systems": lambda: collection(
                f"{ROOT}/Systems", "ComputerSystemCollection", "Systems", [link(SYSTEM)]
            ),
            f"{ROOT}/Chassis": lambda: collection(f"{ROOT}/Chassis", "ChassisCollection", "Chassis", [link(CHASSIS)]),
            f"{ROOT}/Managers": lambda: collection(
                f"{ROOT}/Managers", "ManagerCollection", "Managers", [link(MANAGER)]
            ),
            SYSTEM: docs.system,
            CHASSIS: docs.chassis,
            MANAGER: docs.manager,
            f"{CHASSIS}/Thermal": docs.thermal,
            f"{CHASSIS}/ThermalSubsystem": docs.thermal_subsystem,
            f"{CHASSIS}/Power": docs.power,
            f"{CHASSIS}/PowerSubsystem": docs.power_subsystem,
            f"{ROOT}/SessionService": self.session_service,
        }
        if path in fixed:
            return fixed[path]()
        if path in self.lists():
            kind, members = self.lists()[path]
            return collection(path, kind, path.rsplit("/", 1)[-1], members())
        parent, _, _ = path.rpartition("/")
        if parent in self.lists():
            _, members = self.lists()[parent]
            return next((m for m in members() if m["@odata.id"] == path), None)
        return None

    def lists(self) -> dict[str, tuple[str, Callable[[], list[Document]]]]:
        """The collections whose members can be expanded: path -> (type, members in full)."""
        docs, bmc = self.docs, self.cluster.bmcs[self.node]
        fans, supplies = f"{CHASSIS}/ThermalSubsystem/Fans", f"{CHASSIS}/PowerSubsystem/PowerSupplies"
        return {
            f"{SYSTEM}/Memory": ("MemoryCollection", lambda: [docs.memory(i + 1) for i in range(bmc.dimms)]),
            fans: ("FanCollection", lambda: [docs.fan(name) for name in bmc.fans]),
            f"{CHASSIS}/Sensors": ("SensorCollection", docs.sensors),
            supplies: ("PowerSupplyCollection", lambda: [docs.power_supply(i) for i in range(len(bmc.psus))]),
            f"{MANAGER}/LogServices": ("LogServiceCollection", lambda: [log_service(MANAGER, self.laws.now)]),
            f"{SYSTEM}/LogServices": ("LogServiceCollection", lambda: [log_service(SYSTEM, self.laws.now)]),
            f"{ROOT}/SessionService/Sessions": (
                "SessionCollection",
                lambda: [self.session(number) for number in self.sessions],
            ),
        }

    async def get(self, request: Request) -> Response:
        path = request.url.path.rstrip("/")
        document = self.document(path)
        if document is None:
            raise RedfishError(404, "Base.1.12.0.ResourceMissingAtURI", f"There is no resource at the URI {path}.")
        expand = request.query_params.get("$expand")
        if path in self.lists() and expand is None:
            document["Members"] = [link(str(m["@odata.id"])) for m in document["Members"]]
        return answer(document)

    async def root(self, request: Request) -> Response:
        return answer(self.docs.root())

    async def versions(self, request: Request) -> Response:
        return answer({"v1": f"{ROOT}/"})

    async def entries(self, request: Request) -> Response:
        owner = SYSTEM if request.url.path.startswith(SYSTEM) else MANAGER
        records = self.laws.bmc_log(self.cluster, self.node)
        try:
            skip = int(request.query_params.get("$skip", "0"))
            top = int(request.query_params["$top"]) if "$top" in request.query_params else None
        except ValueError:
            skip, top = -1, None
        if skip < 0 or (top is not None and top < 0):
            raise RedfishError(
                400, "Base.1.12.0.QueryParameterValueFormatError", "$skip and $top take whole numbers from 0."
            )
        return answer(log_entries(owner, records, skip, top))

    async def entry(self, request: Request) -> Response:
        owner = SYSTEM if request.url.path.startswith(SYSTEM) else MANAGER
        wanted = request.path_params["entry"]
        for record in self.laws.bmc_log(self.cluster, self.node):
            if str(record.id) == wanted:
                return answer(log_entry(owner, record))
        raise RedfishError(404, "Base.1.12.0.ResourceMissingAtURI", f"There is no log entry {wanted}.")

    # --- changing ----------------------------------------------------------------------------------------

    async def patch(self, request: Request) -> Response:
        """System or Chassis: the locate LED, by its new name or by its old one. If-Match is accepted."""
        body = await self._json(request)
        unknown = sorted(set(body) - PATCHABLE)
        if unknown or not body:
            raise RedfishError(
                400, "Base.1.12.0.PropertyNotWritable", f"Not writable: {', '.join(unknown) or 'an empty request'}."
            )
        lit = body.get("LocationIndicatorActive", LED_VALUES.get(str(body.get("IndicatorLED"))))
        if not isinstance(lit, bool):
            raise RedfishError(
                400, "Base.1.12.0.PropertyValueTypeError", "LocationIndicatorActive takes true or false."
            )
        self.laws.set_led(self.cluster, self.node, lit)
        document = self.document(request.url.path.rstrip("/"))
        return answer(document) if document else Response(status_code=204)

    async def reset(self, request: Request) -> Response:
        """204 at once; PowerState follows some seconds later, or never: a caller has to look."""
        body = await self._json(request)
        reset_type, allowed = body.get("ResetType"), self.cluster.bmcs[self.node].reset_types
        if reset_type is None:
            raise RedfishError(400, "Base.1.12.0.ActionParameterMissing", "The action needs the parameter ResetType.")
        if reset_type not in allowed:
            raise RedfishError(
                400,
                "Base.1.12.0.ActionParameterNotSupported",
                f"ResetType is one of {', '.join(allowed)}.",
            )
        try:
            self.laws.bmc_reset(self.cluster, self.node, str(reset_type))
        except LawError as refusal:
            raise RedfishError(409, "Base.1.12.0.ResourceInUse", refusal.message) from refusal
        return Response(status_code=204, headers={"OData-Version": "4.0"})

    # --- sessions ----------------------------------------------------------------------------------------

    def session_service(self) -> Document:
        return {
            "@odata.type": "#SessionService.v1_1_8.SessionService",
            "@odata.id": f"{ROOT}/SessionService",
            "Id": "SessionService",
            "Name": "Session Service",
            "ServiceEnabled": True,
            "SessionTimeout": 1800,
            "Sessions": link(f"{ROOT}/SessionService/Sessions"),
        }

    def session(self, number: str) -> Document:
        return {
            "@odata.type": "#Session.v1_3_0.Session",
            "@odata.id": f"{ROOT}/SessionService/Sessions/{number}",
            "Id": number,
            "Name": "User Session",
            "UserName": self.login.user,
        }

    async def open_session(self, request: Request) -> Response:
        body = await self._json(request)
        if not self._credentials(str(body.get("UserName", "")), str(body.get("Password", ""))):
            raise RedfishError(401, "Base.1.12.0.ResourceAtUriUnauthorized", "The credentials are not valid.")
        number = secrets.token_hex(6)
        self.sessions[number] = secrets.token_hex(16)
        document = self.session(number)
        return answer(document, 201, {"X-Auth-Token": self.sessions[number], "Location": str(document["@odata.id"])})

    async def close_session(self, request: Request) -> Response:
        if self.sessions.pop(request.path_params["number"], None) is None:
            raise RedfishError(404, "Base.1.12.0.ResourceMissingAtURI", "There is no such session.")
        return Response(status_code=204)


async def _explain(request: Request, error: Exception) -> Response:
    assert isinstance(error, RedfishError)
    headers = {"OData-Version": "4.0"}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="BMC"'
    return JSONResponse(error_body(error.message_id, error.message), error.status, headers)


def redfish_app(laws: Laws, cluster: Cluster, node: str, login: BmcLogin | None = None) -> Starlette:
    """The ASGI application of the BMC of ``node``; it answers whether the node is on or off."""
    service = Service(laws, cluster, node, login or BmcLogin())
    sessions = f"{ROOT}/SessionService/Sessions"
    guarded = service.guarded
    log_routes = [
        route
        for owner in (SYSTEM, MANAGER)
        for route in (
            Route(f"{owner}/LogServices/SEL/Entries", guarded(service.entries), methods=["GET"]),
            Route(f"{owner}/LogServices/SEL/Entries/{{entry}}", guarded(service.entry), methods=["GET"]),
        )
    ]
    app = Starlette(
        routes=[
            Route("/redfish", service.versions, methods=["GET"]),
            Route(ROOT, service.root, methods=["GET"]),
            Route(f"{ROOT}/", service.root, methods=["GET"]),
            Route(sessions, service.open_session, methods=["POST"]),
            Route(f"{sessions}/{{number}}", guarded(service.close_session), methods=["DELETE"]),
            Route(f"{SYSTEM}/Actions/ComputerSystem.Reset", guarded(service.reset), methods=["POST"]),
            Route(SYSTEM, guarded(service.patch), methods=["PATCH"]),
            Route(CHASSIS, guarded(service.patch), methods=["PATCH"]),
            *log_routes,
            Route(f"{ROOT}/{{path:path}}", guarded(service.get), methods=["GET"]),
        ],
        exception_handlers={RedfishError: _explain},
        middleware=[Middleware(Silence, laws=laws, cluster=cluster, node=node)],
    )
    # The BMC lives on standby power: it is gone only when the cords are out.
    app.state.reachable = lambda: laws.advance() >= 0 and not cluster.bmcs[node].cords_pulled
    return app
