"""HTTP as the adapters need it: one client per server and event loop, and a plain word for what went wrong.

``NotSent``: the request never reached the server, so nothing was done. ``AnswerLost``: it may have. No proxies, no
redirects, no environment.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpx2

from noout.domain.errors import NooutError, Untrusted

URLS_MAX = 1000


class NotSent(Exception):
    """No connection: nothing was asked, nothing was done."""


class AnswerLost(Exception):
    """The request went out and no (whole) answer came back."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    headers: Mapping[str, str]  # keys in lower case
    body: bytes

    def document(self) -> dict[str, Any]:
        """The JSON object in the body; empty where it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Server:
    """One server: its base URL (no path), how it is trusted, how long to wait for it (seconds).

    ``tls``: the context, or what makes it when it is first needed. ``transport`` replaces the network (tests); ``tls``
    is then unused.
    """

    url: str
    tls: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None
    transport: httpx2.AsyncBaseTransport | None = None
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0

    @property
    def address(self) -> str:
        """``host:port``, for sentences."""
        return urlsplit(self.url).netloc

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


class Channel:
    """Requests to one server. A client lives in one event loop, so there is one for each loop that uses this."""

    def __init__(self, server: Server, make_headers: Callable[[], Mapping[str, str]] = dict) -> None:
        self.server = server
        self._make_headers = make_headers
        self._base = httpx2.URL(server.url)
        self._urls: dict[str, httpx2.URL] = {}  # by path: taking a URL apart costs more than all the rest of a request
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = WeakKeyDictionary()

    def _client(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None or client.is_closed:
            server = self.server
            tls = server.tls() if callable(server.tls) else server.tls
            client = self._clients[loop] = httpx2.AsyncClient(
                base_url=server.url,
                verify=tls if tls is not None else server.transport is None,
                transport=server.transport,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(server.read_timeout_s, connect=server.connect_timeout_s),
                limits=httpx2.Limits(max_connections=10, max_keepalive_connections=5, keepalive_expiry=15.0),
            )
        return client

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout_s: float | None = None,
        whole_s: float | None = None,
        body_bytes_max: int | None = None,
    ) -> Answer:
        """One request, once. Raises NotSent, AnswerLost or Untrusted; any HTTP status is an answer.

        ``whole_s``: the most that everything together may take; ``body_bytes_max``: the longest answer that is read.
        """
        extra: dict[str, Any] = {}
        if read_timeout_s is not None:
            extra["timeout"] = httpx2.Timeout(read_timeout_s, connect=self.server.connect_timeout_s)
        if form is not None:
            extra["data"] = dict(form)
        if json is not None:
            extra["json"] = json
        if body is not None:
            extra["content"] = body
        sent = {**self._make_headers(), **(headers or {})}
        try:
            async with asyncio.timeout(whole_s):
                request = self._client().build_request(
                    method, self._url(path), params=dict(query) if query else None, headers=sent, **extra
                )
                response = await self._client().send(request, stream=True)
                try:
                    told = await _read(response, body_bytes_max)
                finally:
                    await response.aclose()
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
            raise _untrusted(error, self.server.address) or NotSent(_words(error)) from error
        except httpx2.InvalidURL as error:
            raise NotSent(f"{path[:80]!r} is no address") from error
        except TimeoutError:
            raise AnswerLost(f"no whole answer within {whole_s:.0f} s") from None
        except httpx2.HTTPError as error:
            raise _untrusted(error, self.server.address) or AnswerLost(_words(error)) from error
        return Answer(
            response.status_code,
            response.reason_phrase,
            {key.lower(): value for key, value in response.headers.items()},
            told,
        )

    def _url(self, path: str) -> httpx2.URL:
        url = self._urls.get(path)
        if url is None:
            if len(self._urls) >= URLS_MAX:  # paths of tasks never come back
                self._urls.clear()
            url = self._urls[path] = self._base.join(f"{self._base.path.rstrip('/')}{path}")
        return url

    async def close(self) -> None:
        """Close this loop's connections."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


async def _read(response: httpx2.Response, bytes_max: int | None) -> bytes:
    if bytes_max is None:
        return await response.aread()
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > bytes_max:
            raise AnswerLost(f"its answer is longer than {bytes_max >> 20} MiB")
    return bytes(body)


def _untrusted(error: BaseException, address: str) -> NooutError | None:
    """Our own error from within the handshake, should a library have wrapped it; or the CA's verdict, which no other
    try will change."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NooutError):
            return cause
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Untrusted(
                f"{address} showed a certificate that is not trusted: {cause.verify_message}; nothing was sent",
                remedy="name the CA that signed it (ca) or pin its fingerprint in the configuration",
            )
        cause = cause.__cause__ or cause.__context__
    return None


def _words(error: Exception) -> str:
    name = type(error).__name__
    told = {
        "ConnectTimeout": "no connection within the time-out",
        "ReadTimeout": "no answer within the time-out",
        "WriteTimeout": "the request could not be sent within the time-out",
        "PoolTimeout": "too many requests at once",
    }
    return told.get(name) or str(error) or name
