"""What the lab's apps say beyond ASGI, and the uvicorn protocol that understands it.

PVE carries the cause of an error in the HTTP reason phrase, which ASGI cannot express. The lab's apps therefore use two
small extensions, understood alike by the lab's sockets (``LabH11Protocol``) and by in-process test transports:

* ``http.response.start`` may carry ``reason`` (bytes): the reason phrase to send instead of the usual one;
* a message ``{"type": "lab.disconnect"}`` closes the connection, without an answer or in the middle of one.

An app whose node has no power says so by ``app.state.reachable() -> bool``: a server should then not even accept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import h11
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

Message = MutableMapping[str, Any]
DISCONNECT: Message = {"type": "lab.disconnect"}


class ReasonedResponse(Response):
    """A response with a reason phrase of its own (one line; None for the usual one)."""

    def __init__(
        self, content: bytes, status_code: int, headers: dict[str, str] | None = None, reason: str | None = None
    ) -> None:
        super().__init__(content, status_code, headers)
        self.reason = reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        if self.reason is not None:
            start["reason"] = self.reason.encode("latin-1", "replace")
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


class NoResponse(Response):
    """Closes the connection unanswered; with ``wait``, only once the caller has given up waiting."""

    def __init__(self, wait: bool = False) -> None:
        super().__init__()
        self._wait = wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._wait:
            while (await receive())["type"] != "http.disconnect":
                pass
        await send(DISCONNECT)


class _Connection(h11.Connection):
    """An h11 connection whose next response gets ``reason``."""

    reason: bytes | None = None

    def send(self, event: h11.Event) -> bytes | None:  # type: ignore[override]
        if self.reason is not None and isinstance(event, h11.Response):
            event = h11.Response(status_code=event.status_code, headers=event.headers, reason=self.reason)
            self.reason = None
        return super().send(event)


class LabH11Protocol(H11Protocol):
    """uvicorn's protocol plus the two extensions above. Pass as ``uvicorn.Config(http=LabH11Protocol)``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = self._connection = _Connection(h11.SERVER)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
            cycle = self.cycle

            async def lab_send(message: Any) -> None:
                if message["type"] == "lab.disconnect":
                    cycle.disconnected = True
                    self.transport.close()
                    return
                self._connection.reason = message.get("reason", self._connection.reason)
                await send(message)

            await inner(scope, receive, lab_send)

        self.app = app
