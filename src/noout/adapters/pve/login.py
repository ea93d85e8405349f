"""Who noout is to Proxmox VE: an API token, or a user whose password is exchanged for tickets.

Both go to a server only after its certificate was accepted (adapters/tls.py), in headers and bodies, never in a URL.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import quote
from weakref import WeakKeyDictionary

from noout.adapters.http import Answer, AnswerLost, Channel, NotSent
from noout.domain.errors import Broken, Retryable
from noout.ports import Clock

TICKET_PATH = "/api2/json/access/ticket"
TICKET_LASTS = timedelta(hours=2)  # Proxmox VE's own limit
RENEW_AFTER = timedelta(hours=1)
UNUSED_FOR = timedelta(minutes=2)  # an older ticket than TICKET_LASTS less this is not tried any more
LEFT_ALONE = timedelta(minutes=1)  # after a refused password: others would take more tries for an attack


class Login(Protocol):
    """What a client puts into its requests."""

    what: str  # in a sentence: "ams1 did not accept ..."
    refusal_remedy: str  # what to check when the cluster does not accept it

    async def headers(self, channel: Channel, method: str) -> Mapping[str, str]:
        """Headers for one request on ``channel``. Raises NotSent, AnswerLost (nobody to log in at) or Broken."""

    def refused(self, used: Mapping[str, str]) -> bool:
        """A request with the headers ``used`` was answered 401: is it worth asking once more, with new ones?"""


@dataclass(frozen=True)
class TokenLogin:
    """``token`` is ``user@realm!name=uuid``."""

    token: str = field(repr=False)
    what = "the API token"
    refusal_remedy = "check the token file: user@realm!name=secret, not expired, user enabled"

    async def headers(self, channel: Channel, method: str) -> Mapping[str, str]:
        return {"Authorization": f"PVEAPIToken={self.token}"}

    def refused(self, used: Mapping[str, str]) -> bool:
        return False


@dataclass(frozen=True)
class _Ticket:
    text: str
    csrf: str
    at: datetime  # when it was asked for


class TicketLogin:
    """``user`` is ``user@realm``. One ticket is good on every node of a cluster; it is renewed by itself, and where
    that fails the password is used again. Several requests at once wait for one login."""

    what = "the ticket it gave"
    refusal_remedy = "check user and password_file: user@realm, the password, not expired, user enabled"

    def __init__(self, cluster: str, user: str, password: str, clock: Clock) -> None:
        self.cluster = cluster
        self.user = user
        self._password = password
        self._clock = clock
        self._ticket: _Ticket | None = None
        self._refused: tuple[datetime, Broken] | None = None
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def headers(self, channel: Channel, method: str) -> Mapping[str, str]:
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            ticket = self._ticket = await self._good(channel)
        headers = {"Cookie": f"PVEAuthCookie={quote(ticket.text, safe='')}"}
        return headers if method == "GET" else headers | {"CSRFPreventionToken": ticket.csrf}

    def refused(self, used: Mapping[str, str]) -> bool:
        """The ticket is no good any more (the cluster's key was changed, say): the next request logs in anew."""
        if self._ticket is not None and quote(self._ticket.text, safe="") in used.get("Cookie", ""):
            self._ticket = None
        return True

    async def _good(self, channel: Channel) -> _Ticket:
        held = self._ticket
        age = self._clock.now() - held.at if held else TICKET_LASTS
        if held is None or age >= TICKET_LASTS - UNUSED_FOR:
            return await self._by_password(channel)
        if age < RENEW_AFTER:
            return held
        try:
            return await self._ask(channel, held.text)
        except (NotSent, AnswerLost, Retryable):
            return held  # it is good for a while yet
        except Broken:
            return await self._by_password(channel)

    async def _by_password(self, channel: Channel) -> _Ticket:
        if self._refused and self._clock.now() - self._refused[0] < LEFT_ALONE:
            raise self._refused[1]
        self._refused = None
        try:
            return await self._ask(channel, self._password)
        except Broken as error:
            self._refused = (self._clock.now(), error)
            raise

    async def _ask(self, channel: Channel, password: str) -> _Ticket:
        """A login changes nothing in the cluster: whoever does not get its answer may ask again."""
        at = self._clock.now()
        answer = await channel.ask("POST", TICKET_PATH, form={"username": self.user, "password": password})
        if answer.status == 401:
            raise Broken(
                f"{self.cluster} did not accept the password of {self.user} ({answer.reason or 'no reason given'})",
                remedy=self.refusal_remedy,
            )
        if answer.status != 200:
            raise Retryable(f"{self.cluster}: logging in as {self.user}: {answer.status} {answer.reason}".rstrip())
        data = _data(answer)
        ticket, csrf = str(data.get("ticket") or ""), str(data.get("CSRFPreventionToken") or "")
        if data.get("NeedTFA") or ticket.startswith("PVE:!tfa!"):
            raise Broken(
                f"{self.cluster} wants a second factor from {self.user}, which noout cannot give",
                remedy="make an API token for that user and set token_file",
            )
        if not ticket or not csrf:
            raise Retryable(f"{self.cluster}: the login of {self.user} was answered without a ticket")
        return _Ticket(ticket, csrf, at)


def _data(answer: Answer) -> Mapping[str, object]:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return {}
    data = document.get("data") if isinstance(document, dict) else None
    return data if isinstance(data, dict) else {}
