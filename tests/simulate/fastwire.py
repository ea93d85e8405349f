"""The lab's wire without a client library and a web framework around it: the same paths, bodies and status codes.

A history makes some thousands of requests; most of what one costs is neither noout's nor the lab's. Here the adapters'
``Channel.ask`` hands each request to the lab's own handler. What the sockets and libraries do is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json as jsonlib
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from unittest import mock
from urllib.parse import quote_plus, urlencode, urlsplit

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Receive

from noout.adapters.bmc import client as bmc_client
from noout.adapters.ceph import cluster as ceph_cluster
from noout.adapters.http import Answer, AnswerLost, Channel, NotSent
from noout.adapters.pve import client as pve_client
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.hardware import HardwareState
from noout.lab.wire.http import NoResponse
from noout.ports import Completed
from tests.simulate.kept import CEPH, HYPERVISOR, Kept
from tests.support.asgi import AsgiNetwork
from tests.support.labsite import LabShell, LabSite

_PORTS = {"http": 80, "https": 443}
_API = "/api2/json/"


@contextlib.contextmanager
def fast_wire() -> Iterator[None]:
    """While it lasts, channels whose server has an ``AsgiNetwork`` for a transport ask its apps directly.

    ``keep`` an answer for a lab and its shell only where every hand on the world says so (``Kept.touched``).
    """
    with (
        mock.patch.object(Channel, "ask", _ask),
        mock.patch.object(LabShell, "run", _run),
        mock.patch.object(pve_client, "_json", _parsed(pve_client._json, lambda answer: answer.body)),
        mock.patch.object(bmc_client, "_document", _parsed(bmc_client._document, lambda answer: answer.body)),
        mock.patch.object(ceph_cluster, "_json", _parsed(ceph_cluster._json, lambda node, argv, done: done.stdout)),
    ):
        yield


def _parsed(parse: Callable[..., Any], body: Callable[..., str | bytes]) -> Callable[..., Any]:
    """The same bytes say the same: each is taken apart once."""
    known: dict[str | bytes, Any] = {}

    def parsed(*args: Any) -> Any:
        text = body(*args)
        if text not in known:
            if len(known) >= PARSED_MAX:
                known.clear()
            known[text] = parse(*args)
        return known[text]

    return parsed


PARSED_MAX = 500


def keep(lab: LabSite, *, off: bool = False) -> Kept:
    """Keep the lab's answers as long as they hold; call ``touched`` for whatever else is done to its world.

    ``off``: ask for each anew, however often.
    """
    kept = Kept(lab.laws, lab.cluster, off=off)
    lab.network.kept = kept  # type: ignore[attr-defined]
    lab.shell.kept = kept  # type: ignore[attr-defined]
    now = lab.clock.now
    pve, ceph, observer = lab.hypervisor.observe, lab.ceph.observe, lab.hypervisor._observer

    async def observe(**how: float) -> ClusterState:
        def read_at() -> object:
            """When configurations were read; None when one is to be read again."""
            moment, limit_s = now(), how.get("keep_s") or observer.keep_s
            ats = [each.at for each in observer._kept.values()]
            return ats if all(0 <= (moment - at).total_seconds() < limit_s for at in ats) else None

        return await kept.look(HYPERVISOR, "", now, lambda: pve(**how), read_at)

    lab.hypervisor.observe = observe  # type: ignore[method-assign]
    lab.ceph.observe = lambda: kept.look(CEPH, "", now, ceph)  # type: ignore[method-assign]
    for node, bmc in lab.bmcs.items():
        bmc.observe = _hardware(kept, node.name, now, bmc.observe)  # type: ignore[method-assign]
    return kept


def _hardware(kept: Kept, node: str, now: Callable[[], datetime], real: Observe) -> Observe:
    async def observe(*, log: bool = True) -> HardwareState:
        if log:  # what was logged since it was last read: never the same twice
            return await real()
        return await kept.look(("bmc", "fans"), node, now, lambda: real(log=False))

    return observe


Observe = Callable[..., Awaitable[HardwareState]]
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
            kept.done()
    stamp, key = kept.stamp(line), (node, line)
    held: Completed | None = kept.held(key, stamp)
    if held is not None:
        return held
    done = await _plain_run(self, node, argv, timeout_s=timeout_s)
    if done.exit == 0 and stamp is not None and kept.stamp(line) == stamp:
        kept.answers[key] = (stamp, done)
    return done


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
        elif (stamp := kept.stamp(path, _bmc_of(address))) is not None:
            held: Answer | None = kept.held(key, stamp)
            if held is not None:
                return held
    limit_s = read_timeout_s if read_timeout_s is not None else self.server.read_timeout_s
    limit_s = limit_s if whole_s is None else min(limit_s, whole_s)
    try:
        async with asyncio.timeout(limit_s):
            answer = await _answered(app, method, path, address, query, form, json, told)
    except TimeoutError:
        raise AnswerLost("no answer within the time-out") from None
    finally:
        if kept is not None and method != "GET":
            kept.done()
    if stamp is not None and answer.status == 200 and kept is not None and kept.stamp(path, _bmc_of(address)) == stamp:
        kept.answers[key] = (stamp, answer)
    return answer


@lru_cache(maxsize=256)
def _bmc_of(address: tuple[str, int]) -> str:
    return address[0].partition(".")[0].removeprefix("bmc-")


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
