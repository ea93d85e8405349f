"""HTTP without sockets: an httpx2 transport that calls ASGI apps in the running event loop.

    network = AsgiNetwork({("127.0.0.1", 8006): pve1, ("127.0.0.1", 8007): pve2})
    client = httpx2.AsyncClient(transport=network, base_url="https://127.0.0.1:8006")

* Requests go to an app by host and port; anything else is a ``ConnectError``, as is an app whose
  ``app.state.reachable()`` says False (a node without power).
* The read time-out is honoured by the loop's own clock, so it works under virtual time too. As with a real server, the
  app goes on when the caller has gone: it sees ``http.disconnect`` from ``receive()`` and is not cancelled.
* ``http.response.start`` may carry ``reason`` (bytes): it becomes ``response.reason_phrase``, as on the lab's sockets.
* ``{"type": "lab.disconnect"}`` closes the connection without (or in the middle of) an answer.
* An exception of the app is raised to the caller: in a test, the cause is worth more than a 500.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from typing import Any

import httpx2

App = Callable[..., Any]
Message = MutableMapping[str, Any]
_DEFAULT_PORTS = {"http": 80, "https": 443}


class AsgiNetwork(httpx2.AsyncBaseTransport):
    """Routes requests by ``(host, port)`` to ASGI apps. ``apps`` may be changed while it is in use."""

    def __init__(self, apps: Mapping[tuple[str, int], App] | None = None) -> None:
        self.apps: dict[tuple[str, int], App] = dict(apps or {})
        self.unplugged: set[tuple[str, int]] = set()
        self.requests: list[tuple[str, str]] = []  # (method, URL) of every request made, in order
        self._running: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        address = (url.host, url.port or _DEFAULT_PORTS[url.scheme])
        self.requests.append((request.method, str(url)))
        app = self.apps.get(address)
        if app is None or address in self.unplugged or not _reachable(app):
            raise httpx2.ConnectError(f"connection to {address[0]}:{address[1]} refused", request=request)
        body = await request.aread() if hasattr(request, "aread") else request.read()
        exchange = _Exchange(request, body)
        task = asyncio.ensure_future(exchange.run(app))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await exchange.response()


def _reachable(app: App) -> bool:
    reachable = getattr(getattr(app, "state", None), "reachable", None)
    return bool(reachable()) if callable(reachable) else True


class _Body(httpx2.AsyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._exchange.next_message()) is not None:
            if data := chunk.get("body", b""):
                yield bytes(data)
            if not chunk.get("more_body", False):
                return

    async def aclose(self) -> None:
        self._exchange.gone.set()


class _Exchange:
    """One request and its answer."""

    def __init__(self, request: httpx2.Request, body: bytes) -> None:
        self._request = request
        self._body: bytes | None = body
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._failure: BaseException | None = None
        self._read_timeout: float | None = request.extensions.get("timeout", {}).get("read")
        self.gone = asyncio.Event()  # the caller has left, or has everything

    async def run(self, app: App) -> None:
        try:
            await app(self._scope(), self._receive, self._send)
        except Exception as failure:  # noqa: BLE001 - handed to the caller, who would otherwise wait for ever
            self._failure = failure
        finally:
            self._messages.put_nowait(None)

    async def response(self) -> httpx2.Response:
        start = await self.next_message()
        assert start is not None
        extensions: dict[str, Any] = {"http_version": b"HTTP/1.1"}
        if reason := start.get("reason"):
            extensions["reason_phrase"] = reason
        return httpx2.Response(
            start["status"], headers=list(start.get("headers", [])), stream=_Body(self), extensions=extensions
        )

    async def next_message(self) -> Message | None:
        try:
            if self._messages.empty():
                async with asyncio.timeout(self._read_timeout):
                    message = await self._messages.get()
            else:
                message = self._messages.get_nowait()
        except TimeoutError:
            self.gone.set()
            raise httpx2.ReadTimeout("no answer within the read time-out", request=self._request) from None
        except asyncio.CancelledError:  # the caller gave up by a time-out of its own
            self.gone.set()
            raise
        if message is None or message["type"] == "lab.disconnect":
            self.gone.set()
            if self._failure is not None:
                raise self._failure
            raise httpx2.RemoteProtocolError("Server disconnected without sending a response.", request=self._request)
        return message

    async def _send(self, message: Message) -> None:
        if not self.gone.is_set():
            self._messages.put_nowait(message)

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    def _scope(self) -> dict[str, Any]:
        url, request = self._request.url, self._request
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port or _DEFAULT_PORTS[url.scheme]),
            "client": ("127.0.0.1", 50000),
            "root_path": "",
            "state": {},
        }


@contextlib.asynccontextmanager
async def asgi_client(app: App, base_url: str = "https://127.0.0.1:8006", **kwargs: Any) -> AsyncIterator[Any]:
    """A client of one app, for short tests."""
    url = httpx2.URL(base_url)
    network = AsgiNetwork({(url.host, url.port or _DEFAULT_PORTS[url.scheme]): app})
    async with httpx2.AsyncClient(transport=network, base_url=base_url, **kwargs) as client:
        yield client
