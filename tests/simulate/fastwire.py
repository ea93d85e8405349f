"""The lab's wire without a client library and a web framework around it: the same paths, bodies and status codes.

A history makes some thousands of requests; most of what one costs is neither noout's nor the lab's. Here the adapters'
``Channel.ask`` hands each request to the lab's own handler. What the sockets and libraries do is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json as jsonlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any
from unittest import mock
from urllib.parse import quote_plus, urlencode, urlsplit

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Receive

from noout.adapters.http import Answer, AnswerLost, Channel, NotSent
from noout.lab.wire.http import NoResponse
from tests.support.asgi import AsgiNetwork

_PORTS = {"http": 80, "https": 443}


@contextlib.contextmanager
def fast_wire() -> Iterator[None]:
    """While it lasts, channels whose server has an ``AsgiNetwork`` for a transport ask its apps directly."""
    with mock.patch.object(Channel, "ask", _ask):
        yield


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
) -> Answer:
    network = self.server.transport
    assert isinstance(network, AsgiNetwork)
    url = urlsplit(self.server.url)
    address = (url.hostname or "", url.port or _PORTS[url.scheme])
    app = network.apps.get(address)
    if app is None or address in network.unplugged or not _reachable(app):
        raise NotSent("connection refused")
    body, kind = b"", b""
    if form is not None:
        body, kind = urlencode(form, quote_via=quote_plus).encode(), b"application/x-www-form-urlencoded"
    elif json is not None:
        body, kind = jsonlib.dumps(json).encode(), b"application/json"
    told = {**self._make_headers(), **(headers or {})}
    raw = [(key.lower().encode(), value.encode()) for key, value in told.items()]
    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": url.scheme, "path": path,
        "raw_path": path.encode(), "query_string": urlencode(query).encode() if query else b"",
        "headers": [*raw, (b"content-type", kind)] if kind else raw,
        "server": address, "client": ("127.0.0.1", 50000), "root_path": "", "state": {}, "app": app,
    }  # fmt: skip
    limit_s = read_timeout_s if read_timeout_s is not None else self.server.read_timeout_s
    try:
        async with asyncio.timeout(limit_s):
            return await (_through(app, scope, body) if app.user_middleware else _handled(app, scope, body))
    except TimeoutError:
        raise AnswerLost("no answer within the time-out") from None


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
            response = await route.endpoint(Request(scope, _body(body)))
            if isinstance(response, NoResponse):
                if response._wait:
                    await asyncio.Event().wait()
                raise AnswerLost("Server disconnected without sending a response.")
            reason = getattr(response, "reason", None) or ""
            return _answer(response.status_code, reason, response.raw_headers, bytes(response.body))
    raise AssertionError(f"no route for {scope['method']} {scope['path']}")


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
