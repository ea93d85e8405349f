"""The lab's wire without a client library and a web framework around it: the same paths, bodies and status codes.

A history makes some thousands of requests; most of what one costs is neither noout's nor the lab's. Here the adapters'
``Channel.ask`` hands each request to the lab's own handler. What the sockets and libraries do is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json as jsonlib
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, MutableMapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Receive

from noout.adapters.bmc import RedfishBmc
from noout.adapters.bmc import client as bmc_client
from noout.adapters.ceph import cluster as ceph_cluster
from noout.adapters.http import Answer, AnswerLost, Channel, NotSent
from noout.adapters.pve import client as pve_client
from noout.adapters.pve import observe as pve_observe
from noout.adapters.pve import parse as pve_parse
from noout.adapters.pve.client import PveClient
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.hardware import HardwareState
from noout.lab.wire.http import NoResponse
from noout.ports import Completed
from tests.simulate.asked import Asked
from tests.simulate.eager import going_on, together
from tests.simulate.kept import API, CEPH, HYPERVISOR, Answers, Kept, Shown
from tests.simulate.memories import OfAttributes, OfObserver
from tests.support import labsite
from tests.support.asgi import AsgiNetwork
from tests.support.labsite import PVE_PORT, LabShell, LabSite

_PORTS = {"http": 80, "https": 443}
_API = "/api2/json/"


@contextlib.contextmanager
def fast_wire() -> Iterator[None]:
    """While it lasts, channels whose server has an ``AsgiNetwork`` for a transport ask its apps directly.

    ``keep`` an answer for a lab and its shell only where every hand on the world says so (``Kept.touched``).
    """
    with (
        mock.patch.object(Channel, "ask", _ask),
        mock.patch.multiple(PveClient, get=_get, get_whole=_get_whole),
        mock.patch.object(LabShell, "run", _run),
        mock.patch.multiple(pve_parse, **{name: _once(getattr(pve_parse, name)) for name in PURE}),
        mock.patch.object(pve_observe, "_all", together),
        mock.patch.object(ceph_cluster, "asyncio", SimpleNamespace(gather=together)),
        mock.patch.object(labsite, "asyncio", SimpleNamespace(sleep=_sleep, get_running_loop=asyncio.get_running_loop)),
        mock.patch.object(pve_client, "_json", _parsed(pve_client._json, lambda answer: answer.body)),
        mock.patch.object(bmc_client, "_document", _parsed(bmc_client._document, lambda answer: answer.body)),
        mock.patch.object(ceph_cluster, "_json", _parsed(ceph_cluster._json, lambda node, argv, done: done.stdout)),
    ):
        yield


async def _sleep(seconds: float) -> None:
    """No turn is given away where nothing is waited for: a look sees one instant, however it is answered."""
    if seconds > 0:
        await asyncio.sleep(seconds)


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
PURE = (
    "membership", "node", "votes", "qdevice_votes", "corosync_addresses", "zones", "storages",
    "storages_from_resources", "migration_network", "migration_type", "crs", "ha_services", "ha_armed",
    "ha_node_states", "ha_requests", "rules", "pools", "resource_guests", "running_tasks",
)  # fmt: skip


def _once(parse: Callable[..., Any]) -> Callable[..., Any]:
    """A function of documents, which are the same object where they say the same: each is read once."""
    known: dict[tuple[object, ...], tuple[Any, tuple[object, ...]]] = {}

    def parsed(*args: Any) -> Any:
        key = tuple([each if isinstance(each, str) else id(each) for each in args])
        found = known.get(key)
        if found is None:
            if len(known) >= PARSED_MAX:
                known.clear()
            found = known[key] = parse(*args), args  # whose objects live as long as their numbers stand for them
        return found[0]

    return parsed


def keep(lab: LabSite, answers: Answers | None) -> Kept:
    """Keep the lab's answers as long as they hold; call ``touched`` for whatever else is done to its world.

    ``answers``: those of an earlier history of the same family; None: ask for each anew, however often.
    """
    kept = Kept(lab.laws, lab.cluster, answers or Answers(), off=answers is None)
    for address, app in lab.network.apps.items():
        if address[1] == PVE_PORT:
            kept.doors[address] = app.routes[-1].endpoint.__self__.faults._last
    lab.network.kept = kept  # type: ignore[attr-defined]
    lab.shell.kept = kept  # type: ignore[attr-defined]
    now, observer, ceph = lab.clock.now, lab.hypervisor._observer, lab.ceph.observe
    pve, known = observer.observe, OfObserver(lab.client, observer, kept.answers)

    async def observe(keep_s: float | None = None) -> ClusterState:
        known.at, known.keep_s = now(), keep_s or observer.keep_s
        return await kept.look(HYPERVISOR, "", now, lambda: pve(keep_s), known)

    observer.observe = observe  # type: ignore[method-assign]
    order = OfAttributes(lab.ceph, "_nodes")
    lab.ceph.observe = lambda: kept.look(CEPH, "", now, ceph, order)  # type: ignore[method-assign]
    for node, bmc in lab.bmcs.items():
        bmc.observe = _hardware(kept, node.name, now, bmc)  # type: ignore[method-assign]
    return kept


def _hardware(kept: Kept, node: str, now: Callable[[], datetime], bmc: RedfishBmc) -> Observe:
    real, paths = bmc.observe, OfAttributes(bmc, "_paths")

    async def observe(*, log: bool = True) -> HardwareState:
        if log:  # what was logged since it was last read: never the same twice
            return await real()
        return await kept.look(("bmc", "fans"), node, now, lambda: real(log=False), paths)

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
        kept.hold(key, stamp, done)
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
        elif (stamp := kept.stamp(_question(path, query), _bmc_of(address))) is not None:
            held: Shown | None = kept.held(key, stamp)
            if held is not None:
                return kept.show(key, held).answer
    limit_s = read_timeout_s if read_timeout_s is not None else self.server.read_timeout_s
    limit_s = limit_s if whole_s is None else min(limit_s, whole_s)
    try:
        answer = await _within(limit_s, _answered(app, method, path, address, query, form, json, told))
    finally:
        if kept is not None and method != "GET":
            kept.done()
    if (
        stamp is not None
        and answer.status == 200
        and kept is not None
        and kept.stamp(_question(path, query), _bmc_of(address)) == stamp
    ):
        shown = Shown(answer, *_shown(kept, address, path, query, told))
        kept.hold(key, stamp, shown)
        kept.show(key, shown)
    return answer


def _shown(
    kept: Kept, address: tuple[str, int], path: str, query: Mapping[str, str] | None, told: Mapping[str, str]
) -> Any:
    """Which door has shown it, and what it keeps under which name, for stale answers."""
    if not path.startswith(_API):
        return None, "", None
    question = urlencode(query) if query else ""
    name = f"GET /{path.removeprefix(_API)}?{question}#{told.get('Authorization', '')}"
    return address, name, kept.doors[address].get(name)


def _question(path: str, query: Mapping[str, Any] | None) -> str:
    """The path, but for lists of what is over: those tell of more than what is kept of the world."""
    return f"{path}?" if path.endswith("/tasks") and (query or {}).get("source") != "active" else path


_plain_get_whole = PveClient.get_whole


async def _get_whole(self: PveClient, path: str, **query: Any) -> Mapping[str, Any]:
    """What was read before, of the entry point that would be asked."""
    good = self._good
    kept: Kept | None = getattr(self._channels[good].server.transport, "kept", None)
    stamp = kept.stamp(_question(API + path, query)) if kept is not None else None
    if kept is None or stamp is None:
        return await _plain_get_whole(self, path, **query)
    key = (good, path, *query.items())
    held: tuple[Mapping[str, Any], tuple[object, ...], Shown] | None = kept.held(key, stamp)
    if held is not None:
        kept.show(held[1], held[2])
        return held[0]
    began, before = kept.laws.now, len(kept.shows)
    found = await _plain_get_whole(self, path, **query)
    whose = kept.shows[-1] if len(kept.shows) == before + 1 else None  # it was asked once, and nobody else asked
    if whose is not None and good == self._good and kept.laws.now == began:
        kept.hold(key, stamp, (found, *whose))
    return found


async def _get(self: PveClient, path: str, **query: Any) -> Any:
    return (await _get_whole(self, path, **query)).get("data")


async def _within(limit_s: float, answered: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        waits_for = answered.send(None)
    except StopIteration as done:  # without waiting, as nearly always
        return done.value  # type: ignore[no-any-return]
    try:
        return await asyncio.wait_for(going_on(answered, waits_for), limit_s)  # type: ignore[no-any-return]
    except TimeoutError:
        raise AnswerLost("no answer within the time-out") from None


@lru_cache(maxsize=256)
def _bmc_of(address: tuple[str, int]) -> str:
    return address[0].partition(".")[0].removeprefix("bmc-")


async def _answered(
    app: Any, method: str, path: str, address: tuple[str, int], query: Mapping[str, str] | None,
    form: Mapping[str, str] | None, json: Any, told: Mapping[str, str],
) -> Answer:  # fmt: skip
    question = urlencode(query) if query else ""
    if json is None and path.startswith(_API) and not app.user_middleware:
        fields = dict(parse_qsl(urlencode(form), keep_blank_values=True)) if form else {}
        asked = Asked(method, path.removeprefix(_API), query or {}, question, fields, told)
        return await _said(await app.routes[-1].endpoint(asked))
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
