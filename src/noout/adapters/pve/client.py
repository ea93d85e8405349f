"""The HTTP of Proxmox VE: entry points, logging in, retries for reading, and errors in our own words.

Reading is repeated within bounds and on every entry point. An effect is asked for once: it goes to another entry
point only when the first cannot have done anything, and a lost answer is UnknownOutcome. An answer of 401 comes before
anything is looked at, so after it one new login may be tried, for an effect too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from noout.adapters.http import Answer, AnswerLost, Channel, NotSent, Server
from noout.adapters.pve.login import Login, TokenLogin
from noout.domain.errors import Broken, Forbidden, NooutError, Refused, Retryable, UnknownOutcome
from noout.ports import Clock

API = "/api2/json"
NOT_REACHED = 595  # pveproxy had no connection to the node the call is about: nothing was done
LOST_BEHIND = (596, 597, 599)  # ... it had one, and lost it

# Said before anything is written, by a node that has lost the rest of its cluster.
_NO_QUORUM = re.compile(r"cluster not ready - no quorum")
_PERMISSION = re.compile(r"Permission check failed(?: \((?P<path>[^,()]+), (?P<privilege>[^()]+)\))?")
# 500 messages after which the call may still have been carried out.
_MAYBE_DONE = re.compile(r"time(d )?[ -]?out|broken pipe|connection (reset|closed)|input/output error|internal", re.I)
# 500 messages, and what to do about them.
_REMEDIES = (
    (re.compile(r"is locked"), "wait for that task to end, or see who holds the lock (qm config, pct config)"),
    (re.compile(r"no quorum|not quorate"), "mend the cluster's quorum first (pvecm status)"),
    (re.compile(r"Configuration file .* does not exist"), "look where the guest is now; it may have moved"),
    (re.compile(r"without --online"), "ask for a live migration; the guest runs"),
    (re.compile(r"no such cluster node|hostname lookup"), "check the node's name"),
    (re.compile(r"not HA managed"), "migrate it directly, without HA"),
    # No guest agent answers the sooner for being asked again: each time costs a worker of the node some seconds.
    (re.compile(r"guest agent (is not running|configured)|'guest-[a-z-]+' failed"), "see to its qemu-guest-agent"),
    (re.compile(r"^VM \d+ is not running"), "start it"),
    (re.compile(r"pveceph configuration not initialized"), "Ceph is not set up through Proxmox VE on this cluster"),
)


class Gone(Refused):
    """The guest (or task) is not where it was asked for."""


class _NotLoggedIn(Exception):
    """Nobody to log in at here: the request itself was never made."""


class PveClient:
    """Calls to one cluster through any of its ``servers`` (entry points), the last good one first.

    ``login``: how noout makes itself known; a text is an API token, ``user@realm!name=uuid``. ``retries``: how often
    reading is tried again over all entry points, waiting ``pause_s`` (doubling) in between.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[Server],
        login: str | Login,
        clock: Clock,
        *,
        retries: int = 2,
        pause_s: float = 1.0,
    ) -> None:
        if not servers:
            raise ValueError("a cluster needs at least one entry point")
        self.name = name
        self.clock = clock
        self._retries = retries
        self._pause_s = pause_s
        self._login: Login = TokenLogin(login) if isinstance(login, str) else login
        self._channels = [Channel(server) for server in servers]
        self._good = 0  # index of the entry point that answered last

    async def get(self, path: str, **query: Any) -> Any:
        """``data`` of a GET. Raises Retryable, Refused, Forbidden or Broken."""
        return (await self.get_whole(path, **query)).get("data")

    async def get_whole(self, path: str, **query: Any) -> Mapping[str, Any]:
        """As ``get``, with what some answers say beside ``data`` (``changes`` of a node's network)."""
        pause_s = self._pause_s
        for attempt in range(self._retries + 1):
            try:
                return await self._read_anywhere(path, _params(query))
            except Retryable:
                if attempt == self._retries:
                    raise
            await self.clock.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("unreachable")

    async def effect(self, method: str, path: str, /, **form: Any) -> Any:
        """``data`` of a POST, PUT or DELETE, asked for once. Raises UnknownOutcome when the answer was lost."""
        not_reached: list[str] = []
        refusal: NooutError | None = None
        for channel in self._in_order():
            try:
                answer = await self._ask(channel, method, path, form=_params(form) or None)
            except (NotSent, _NotLoggedIn) as error:
                not_reached.append(f"{channel.server.address}: {error}")
                continue
            except AnswerLost as error:
                raise self._unknown(method, path, f"{channel.server.address}: {error}") from error
            if answer.status == NOT_REACHED:
                not_reached.append(f"{channel.server.address}: {answer.reason}")
                continue
            if answer.status == 500 and _NO_QUORUM.search(_message(answer)):
                refusal = self._refusal(method, path, answer, _message(answer))
                continue
            self._good = self._channels.index(channel)
            return self._effect_data(method, path, answer)
        raise refusal or Retryable(
            f"{self.name}: {method} {path} was not done: no entry point reached it ({'; '.join(not_reached)})",
            remedy="check the network to the nodes and that pveproxy runs",
        )

    async def find_quorum(self) -> bool:
        """Turn to an entry point whose node is in the quorate part of the cluster; False when none says so.

        A node that was cut off goes on answering, from what it knew when it was.
        """
        for channel in self._in_order():
            try:
                answer = await self._ask(channel, "GET", "/cluster/status")
            except (NotSent, AnswerLost, _NotLoggedIn):
                continue
            rows = (_json(answer) or {}).get("data") if answer.status == 200 else None
            told = [row for row in rows or () if isinstance(row, dict) and row.get("type") == "cluster"]
            if any(str(row.get("quorate")) == "1" for row in told):
                self._good = self._channels.index(channel)
                return True
        return False

    async def try_each(self, path: str) -> Mapping[str, str]:
        """GET ``path`` once of every entry point: its address -> why it gave no answer, "" for those that did."""
        return {channel.server.address: await self._try(channel, path) for channel in self._channels}

    async def _try(self, channel: Channel, path: str) -> str:
        try:
            answer = await self._ask(channel, "GET", path)
        except (NotSent, AnswerLost, _NotLoggedIn) as error:
            return str(error)
        except NooutError as error:
            return error.message
        return "" if answer.status == 200 else f"{answer.status} {_message(answer)}".rstrip()

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    # --- inside ------------------------------------------------------------------------------------------

    def _in_order(self) -> list[Channel]:
        return self._channels[self._good :] + self._channels[: self._good]

    async def _ask(
        self,
        channel: Channel,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, logged in; a second one after a 401 where a new login may help."""
        headers = await self._headers(channel, method)
        answer = await channel.ask(method, API + path, query=query, form=form, headers=headers)
        if answer.status == 401 and self._login.refused(headers):
            headers = await self._headers(channel, method)
            answer = await channel.ask(method, API + path, query=query, form=form, headers=headers)
        return answer

    async def _headers(self, channel: Channel, method: str) -> Mapping[str, str]:
        try:
            return await self._login.headers(channel, method)
        except (NotSent, AnswerLost, Retryable) as error:
            raise _NotLoggedIn(f"no login: {error}") from error

    async def _read_anywhere(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        failures: list[str] = []
        for channel in self._in_order():
            try:
                answer = await self._ask(channel, "GET", path, query=query)
            except (NotSent, AnswerLost, _NotLoggedIn) as error:
                failures.append(f"{channel.server.address}: {error}")
                continue
            if answer.status == NOT_REACHED or answer.status in LOST_BEHIND:
                failures.append(f"{channel.server.address}: {answer.status} {answer.reason}".rstrip())
                continue
            self._good = self._channels.index(channel)
            try:
                return self._read_data(path, answer)
            except Retryable:  # its daemons may be at fault: another node is asked when it is tried again
                self._good = (self._good + 1) % len(self._channels)
                raise
        raise Retryable(
            f"{self.name}: no entry point answered GET {path} ({'; '.join(failures)})",
            remedy="check the network to the nodes and that pveproxy runs",
        )

    def _read_data(self, path: str, answer: Answer) -> Mapping[str, Any]:
        if answer.status == 200:
            data = _json(answer)
            if data is None:
                raise Retryable(f"{self.name}: GET {path} was answered with something that is not JSON")
            return data
        message = _message(answer)
        known = any(pattern.search(message) for pattern, _ in _REMEDIES)
        if answer.status >= 500 and answer.status != 501 and not (known and answer.status == 500):
            raise Retryable(f"{self.name}: GET {path}: {answer.status} {message}".rstrip())
        raise self._refusal("GET", path, answer, message)

    def _effect_data(self, method: str, path: str, answer: Answer) -> Any:
        message = _message(answer)
        if answer.status == 200:
            data = _json(answer)
            if data is None:
                raise self._unknown(method, path, "the answer was not JSON")
            return data.get("data")
        if answer.status >= 500 and answer.status != 501 and (_MAYBE_DONE.search(message) or answer.status != 500):
            raise self._unknown(method, path, f"{answer.status} {message}".rstrip())
        raise self._refusal(method, path, answer, message)

    def _unknown(self, method: str, path: str, why: str) -> UnknownOutcome:
        return UnknownOutcome(
            f"{self.name}: {method} {path} was sent and its outcome is not known ({why})",
            remedy="look at the cluster before doing anything else",
        )

    def _refusal(self, method: str, path: str, answer: Answer, message: str) -> NooutError:
        """Statuses after which nothing was done."""
        what = f"{self.name}: {method} {path}"
        if answer.status == 401:
            return Broken(
                f"{self.name} did not accept {self._login.what} ({message or 'no reason given'})",
                remedy=self._login.refusal_remedy,
            )
        if answer.status == 403:
            return self._forbidden(what, message)
        if answer.status == 400:
            errors = (_json(answer) or {}).get("errors") or {}
            told = "; ".join(f"{key}: {str(text).strip()}" for key, text in sorted(errors.items())) or message
            kind = Gone if "no such task" in told else Refused
            return kind(f"{what}: Proxmox VE refused the parameters ({told})")
        if answer.status == 501:
            return Broken(f"{what}: {message}", remedy="this Proxmox VE version has no such method; upgrade it")
        remedy = next((text for pattern, text in _REMEDIES if pattern.search(message)), "")
        if answer.status == 500:
            kind = Gone if re.search(r"Configuration file .* does not exist", message) else Refused
            return kind(f"{what}: {message or 'refused without a reason'}", remedy=remedy)
        return Broken(f"{what}: unexpected answer {answer.status} {message}".rstrip())

    def _forbidden(self, what: str, message: str) -> Forbidden:
        found = _PERMISSION.search(message)
        path = (found and found["path"]) or ""
        privilege = ((found and found["privilege"]) or "").strip()
        return Forbidden(
            f"{what}: {message}",
            privilege=privilege,
            path=path,
            remedy=f"give noout's user (and its token) {privilege} on {path}" if privilege else "check the role",
        )


def _params(values: Mapping[str, Any]) -> dict[str, str]:
    """Booleans become 0/1, None is left out; ``_`` in a name becomes ``-`` (``with_local_disks``)."""
    return {
        key.replace("_", "-"): str(int(value)) if isinstance(value, bool) else str(value)
        for key, value in values.items()
        if value is not None
    }


def _json(answer: Answer) -> dict[str, Any] | None:
    try:
        data = json.loads(answer.body)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _message(answer: Answer) -> str:
    """The body's message where there is one, else the reason phrase."""
    body = _json(answer)
    told = body.get("message") if body else None
    return str(told or answer.reason or "").strip()
