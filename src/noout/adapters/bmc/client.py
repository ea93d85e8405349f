"""Requests to one Redfish BMC, bounded in every direction: a BMC may answer anything, slowly, or for ever."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from noout.adapters.bmc.parse import Document, documents, table
from noout.adapters.http import Answer, AnswerLost, Channel, NotSent, Server
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, NooutError, Refused, Retryable, UnknownOutcome

ROOT = "/redfish/v1"
LOGOUT_S = 3.0
READ_TIMEOUT_S = 10.0  # a BMC that takes longer is taken for mute
WHOLE_S = 20.0  # a whole answer, however many bytes come one by one
BODY_BYTES_MAX = 16 << 20  # a log of 10,000 entries takes 6 MiB
_REACH = "check the management network and the BMC itself"


class RedfishClient:
    """One BMC. Reading raises Retryable, Refused or Broken; an effect whose answer is lost raises UnknownOutcome."""

    def __init__(self, node: NodeId, server: Server, user: str, password: str, *, session: bool) -> None:
        self.node = node
        self._user = user
        self._password = password
        self._session = session
        self._token: str | None = None
        self._session_path: str | None = None
        self._logins: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._channel = Channel(server)

    async def close(self) -> None:
        """Log out, should there be a session: a BMC has few. One that does not answer forgets it by itself."""
        if self._token is not None and self._session_path is not None:
            with suppress(NotSent, AnswerLost, NooutError):
                headers = {"X-Auth-Token": self._token}
                await self._channel.ask("DELETE", self._session_path, headers=headers, read_timeout_s=LOGOUT_S)
            self._token = None
        await self._channel.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None, *, missing_ok: bool = False) -> Document:
        document, _ = await self.read(path, query, missing_ok=missing_ok)
        return document

    async def read(
        self, path: str, query: Mapping[str, str] | None = None, *, missing_ok: bool = False
    ) -> tuple[Document, str]:
        """(document, ETag). A null or empty body is an empty document, and so is a 404 where ``missing_ok``."""
        try:
            answer = await self._ask("GET", path, query=query)
        except (NotSent, AnswerLost) as error:
            raise Retryable(f"the BMC of {self.node} does not answer: {error}", remedy=_REACH) from error
        if answer.status == 404 and missing_ok:
            return {}, ""
        if answer.status != 200:
            raise self._failure("GET", path, answer)
        return _document(answer), answer.headers.get("etag", "")

    async def effect(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> str:
        """Where what was made is, for a POST that makes something; "" where the BMC does not say."""
        try:
            answer = await self._ask(method, path, json=body, headers=headers)
        except NotSent as error:
            raise Retryable(f"the BMC of {self.node} does not answer: {error}", remedy=_REACH) from error
        except AnswerLost as error:
            raise UnknownOutcome(
                f"{method} {path} was sent to the BMC of {self.node}; no answer came ({error})",
                remedy="look at the node's power and LED before doing it again",
            ) from error
        if answer.status >= 300:
            raise self._failure(method, path, answer)
        return urlsplit(answer.headers.get("location") or str(_document(answer).get("@odata.id") or "")).path

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        local = _local(path)
        wait_s = min(READ_TIMEOUT_S, self._channel.server.read_timeout_s)
        for last in (False, True):
            sent = {**await self._login(), **(headers or {})}
            answer = await self._channel.ask(
                method, local, query=query, json=json, headers=sent, read_timeout_s=wait_s, whole_s=WHOLE_S,
                body_bytes_max=BODY_BYTES_MAX,
            )  # fmt: skip
            if answer.status == 401 and self._session and not last:
                if self._token == sent.get("X-Auth-Token"):  # else another look has logged in again already
                    self._token = None  # the session ended: nothing was done
                continue
            return answer
        raise AssertionError("unreachable")

    async def _login(self) -> dict[str, str]:
        if not self._session:
            pair = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        async with self._logins.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if self._token is None:  # of two that look at once, one logs in for both
                self._token = await self._open_session()
        return {"X-Auth-Token": self._token}

    async def _open_session(self) -> str:
        path = f"{ROOT}/SessionService/Sessions"
        login = {"UserName": self._user, "Password": self._password}
        answer = await self._channel.ask(
            "POST", path, json=login, read_timeout_s=READ_TIMEOUT_S, whole_s=WHOLE_S, body_bytes_max=BODY_BYTES_MAX
        )
        token = answer.headers.get("x-auth-token")
        if answer.status not in (200, 201) or not token:
            raise self._failure("POST", path, answer)
        told = urlsplit(answer.headers.get("location") or str(_document(answer).get("@odata.id") or "")).path
        self._session_path = told if told.startswith(f"{path}/") else None
        return token

    def _failure(self, method: str, path: str, answer: Answer) -> NooutError:
        what = f"the BMC of {self.node}: {method} {path}: {answer.status} {_told(answer)}".rstrip()
        if answer.status in (401, 403):
            return Broken(what, remedy="check the BMC's user, password file and role")
        if answer.status in (400, 404, 405, 409, 412):
            return Refused(what)
        return Retryable(what, remedy=_REACH) if method == "GET" else UnknownOutcome(what, remedy="look at the node")


def _local(link: str) -> str:
    """A link's path on this BMC. It may be absolute, or pretend to lead elsewhere: the login goes to this BMC only."""
    try:
        parts = urlsplit(link)
    except ValueError:
        raise Refused(f"the BMC gives a link that is none: {link[:80]!r}") from None
    return f"/{parts.path.lstrip('/')}" + (f"?{parts.query}" if parts.query else "")


def _document(answer: Answer) -> Document:
    """What is no JSON object (a web page, null, half a body) is an empty document."""
    try:
        return table(json.loads(answer.body))
    except (ValueError, RecursionError):
        return {}


def _told(answer: Answer) -> str:
    """A BMC's own words for an error."""
    error = table(_document(answer).get("error"))
    info = documents(error.get("@Message.ExtendedInfo"))
    return str((info[0].get("Message") if info else None) or error.get("message") or answer.reason)
