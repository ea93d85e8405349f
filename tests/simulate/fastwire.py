"""The lab's wire without a client library and a web framework around it: the same paths, bodies and status codes.

A history makes some thousands of requests; most of what one costs is neither noout's nor the lab's. Here the adapters'
``Channel.ask`` hands each request to the lab's own handler. What the sockets and libraries do is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json as jsonlib
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from unittest import mock
from urllib.parse import quote_plus, urlencode, urlsplit

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Receive

from noout.adapters.http import Answer, AnswerLost, Channel, NotSent
from noout.domain.cluster import NodeId
from noout.lab.wire.http import NoResponse
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster
from noout.ports import Completed
from tests.support.asgi import AsgiNetwork
from tests.support.labsite import LabShell, LabSite

_PORTS = {"http": 80, "https": 443}
_API = "/api2/json/"


@contextlib.contextmanager
def fast_wire() -> Iterator[None]:
    """While it lasts, channels whose server has an ``AsgiNetwork`` for a transport ask its apps directly.

    ``keep`` an answer for a lab and its shell only where every hand on the world says so (``Kept.touched``).
    """
    with mock.patch.object(Channel, "ask", _ask), mock.patch.object(LabShell, "run", _run):
        yield


def keep(lab: LabSite) -> Kept:
    """Keep the lab's answers as long as they hold; call ``touched`` for whatever else is done to its world."""
    kept = Kept(lab.laws, lab.cluster)
    lab.network.kept = kept  # type: ignore[attr-defined]
    lab.shell.kept = kept  # type: ignore[attr-defined]
    return kept


_plain_run = LabShell.run
_SHOWS = ("status", "osd dump", "osd tree", "osd df", "mon dump", "mgr dump", "mon metadata", "osd ok-to-stop")
_CHANGES = re.compile(r"set-group|mgr fail|mds fail|osd (un)?set |crm-command|systemctl (start|stop)")


async def _run(self: LabShell, node: NodeId, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
    kept: Kept | None = getattr(self, "kept", None)
    if kept is None:
        return await _plain_run(self, node, argv, timeout_s=timeout_s)
    line = " ".join(argv)
    if not any(f" {show}" in line for show in _SHOWS):
        if _CHANGES.search(line):
            kept.asked(line)
        try:
            return await _plain_run(self, node, argv, timeout_s=timeout_s)
        finally:
            kept.touched()
    stamp, key = kept.stamp("ceph"), (node, line)
    held = kept.answers.get(key)
    if stamp is not None and held is not None and held[0] == stamp:
        return held[1]  # type: ignore[no-any-return]
    done = await _plain_run(self, node, argv, timeout_s=timeout_s)
    if done.exit == 0 and stamp is not None and kept.stamp("ceph") == stamp:
        kept.answers[key] = (stamp, done)
    return done


@dataclass
class Kept:
    """Answers to questions asked before, as long as nothing happened in the world that could change them.

    Kinds of GET: those that count seconds (never kept), those that do but whose seconds matter to nobody (uptimes and
    loads: kept for ``CLOCKED_S``), those that change when anything happens, and those that only a hand changes.
    ``touched`` is that hand: every request but a GET, every other command, every trouble.
    """

    laws: Laws
    cluster: Cluster
    on_effect: Callable[[str], None] = lambda effect: None
    hands: int = 0
    answers: dict[tuple[object, ...], tuple[object, Any]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def touched(self) -> None:
        self.hands += 1

    def asked(self, effect: str) -> None:
        self.touched()
        self.on_effect(effect)

    def stamp(self, path: str) -> object | None:
        """What must be the same for a kept answer to hold; None where nothing is kept."""
        if self.cluster.wire_faults:
            return None
        self.laws.advance()
        kind = self.kinds.get(path) or self.kinds.setdefault(path, _kind(path))
        if kind == "live":
            return None
        nodes = tuple([node.online for node in self.cluster.nodes.values()])
        if kind == "clocked":
            return self.hands, nodes, self.laws.ran, self.laws.now // CLOCKED_S
        return (self.hands, nodes) if kind == "steady" else (self.hands, nodes, self.laws.ran)


CLOCKED_S = 10.0  # as often as pvestatd tells the cluster
_CLOCKED = re.compile(r"/nodes$|/nodes/[^/]+/status$|/cluster/resources$|/(qemu|lxc)$")
_LIVE = re.compile(r"/status(/|$)|Thermal|/log$|/rrd|/tasks/|Sessions|/time$|/access/")
_STEADY = re.compile(r"/version$|/cluster/options$|/cluster/config/|/ha/rules$|/nodes/[^/]+/network$")


def _kind(path: str) -> str:
    if path.endswith("/cluster/status"):
        return "world"
    if _CLOCKED.search(path):
        return "clocked"
    return "live" if _LIVE.search(path) else "steady" if _STEADY.search(path) else "world"


async def _ask(
    self: Channel,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    read_timeout_s: float | None = None,
    whole_s: float | None = None,
    body_bytes_max: int | None = None,
) -> Answer:
    network = self.server.transport
    assert isinstance(network, AsgiNetwork)
    address = _address(self.server.url)
    app = network.apps.get(address)
    if app is None or address in network.unplugged or not _reachable(app):
        raise NotSent("connection refused")
    told = {**self._make_headers(), **(headers or {})}
    kept: Kept | None = getattr(network, "kept", None)
    key: tuple[object, ...] = (address, path, tuple(query.items()) if query else (), tuple(told.items()))
    stamp = None
    if kept is not None:
        if method != "GET":
            kept.asked(f"{method} {path}")
        elif (stamp := kept.stamp(path)) is not None:
            held = kept.answers.get(key)
            if held is not None and held[0] == stamp:
                return held[1]  # type: ignore[no-any-return]
    limit_s = read_timeout_s if read_timeout_s is not None else self.server.read_timeout_s
    limit_s = limit_s if whole_s is None else min(limit_s, whole_s)
    try:
        async with asyncio.timeout(limit_s):
            answer = await _answered(app, method, path, address, query, form, json, told)
    except TimeoutError:
        raise AnswerLost("no answer within the time-out") from None
    finally:
        if kept is not None and method != "GET":
            kept.touched()
    if stamp is not None and answer.status == 200 and kept is not None and kept.stamp(path) == stamp:
        kept.answers[key] = (stamp, answer)
    return answer


async def _answered(
    app: Any, method: str, path: str, address: tuple[str, int], query: Mapping[str, str] | None,
    form: Mapping[str, str] | None, json: Any, told: Mapping[str, str],
) -> Answer:  # fmt: skip
    question = urlencode(query) if query else ""
    if method == "GET" and path.startswith(_API) and not app.user_middleware:
        response = await app.routes[-1].endpoint(_Get(path.removeprefix(_API), query or {}, question, told))
        return await _said(response)
    body, kind = b"", b""
    if form is not None:
        body, kind = urlencode(form, quote_via=quote_plus).encode(), b"application/x-www-form-urlencoded"
    elif json is not None:
        body, kind = jsonlib.dumps(json).encode(), b"application/json"
    raw = [(key.lower().encode(), value.encode()) for key, value in told.items()]
    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "https", "path": path,
        "raw_path": path.encode(), "query_string": question.encode(),
        "headers": [*raw, (b"content-type", kind)] if kind else raw,
        "server": address, "client": ("127.0.0.1", 50000), "root_path": "", "state": {}, "app": app,
    }  # fmt: skip
    return await (_through(app, scope, body) if app.user_middleware else _handled(app, scope, body))


class _Get:
    """A GET as the door of the API looks at it, made without taking an address apart."""

    method = "GET"
    cookies: Mapping[str, str] = {}

    def __init__(self, path: str, query: Mapping[str, str], question: str, headers: Mapping[str, str]) -> None:
        self.path_params = {"format": "json", "path": path}
        self.query_params = _Pairs(query)
        self.headers = {key.lower(): value for key, value in headers.items()}
        self.url = _Url(question)


class _Pairs(dict[str, str]):
    def multi_items(self) -> list[tuple[str, str]]:
        return list(self.items())


@dataclass(frozen=True)
class _Url:
    query: str


@lru_cache(maxsize=256)
def _address(server: str) -> tuple[str, int]:
    url = urlsplit(server)
    return url.hostname or "", url.port or _PORTS[url.scheme]


async def _through(app: Any, scope: dict[str, Any], body: bytes) -> Answer:
    """By ASGI, for an app with something around its handlers."""
    start: dict[str, Any] = {}
    parts: list[bytes] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "lab.disconnect":
            raise AnswerLost("Server disconnected without sending a response.")
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, _body(body), send)
    if not start:
        raise AnswerLost("Server disconnected without sending a response.")
    return _answer(start["status"], start.get("reason", b"").decode(), start["headers"], b"".join(parts))


async def _handled(app: Any, scope: dict[str, Any], body: bytes) -> Answer:
    for route in app.routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            scope.update(child)
            return await _said(await route.endpoint(Request(scope, _body(body))))
    raise AssertionError(f"no route for {scope['method']} {scope['path']}")


async def _said(response: Any) -> Answer:
    if isinstance(response, NoResponse):
        if response._wait:
            await asyncio.Event().wait()
        raise AnswerLost("Server disconnected without sending a response.")
    reason = getattr(response, "reason", None) or ""
    return _answer(response.status_code, reason, response.raw_headers, bytes(response.body))


def _body(body: bytes) -> Receive:
    """The request's body once; then the caller stays, as long as it waits."""
    left = [body]

    async def receive() -> MutableMapping[str, Any]:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive


def _answer(status: int, reason: str, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
    told = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers}
    return Answer(status, reason, told, body)


def _reachable(app: Any) -> bool:
    reachable = getattr(app.state, "reachable", None)
    return bool(reachable()) if callable(reachable) else True
