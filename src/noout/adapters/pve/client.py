"""The HTTP of Proxmox VE: entry points, the token, retries for reading, and errors in our own words.

Reading is repeated within bounds and on every entry point. An effect is asked for once: it goes to another entry
point only when the first cannot have done anything, and a lost answer is UnknownOutcome.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from noout.adapters.http import Answer, AnswerLost, Channel, NotSent, Server
from noout.domain.errors import Broken, Forbidden, NooutError, Refused, Retryable, UnknownOutcome
from noout.ports import Clock

API = "/api2/json"
NOT_REACHED = 595  # pveproxy had no connection to the node the call is about: nothing was done
LOST_BEHIND = (596, 597, 599)  # ... it had one, and lost it

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
    (re.compile(r"pveceph configuration not initialized"), "Ceph is not set up through Proxmox VE on this cluster"),
)


class Gone(Refused):
    """The guest (or task) is not where it was asked for."""


class PveClient:
    """Calls to one cluster through any of its ``servers`` (entry points), the last good one first.

    ``token`` is ``user@realm!name=uuid``; it goes into one header and nowhere else. ``retries``: how often reading
    is tried again over all entry points, waiting ``pause_s`` (doubling) in between.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[Server],
        token: str,
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
        headers = {"Authorization": f"PVEAPIToken={token}"}
        self._channels = [Channel(server, headers.copy) for server in servers]
        self._good = 0  # index of the entry point that answered last

    async def get(self, path: str, **query: Any) -> Any:
        """``data`` of a GET. Raises Retryable, Refused, Forbidden or Broken."""
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
        for channel in self._in_order():
            try:
                answer = await channel.ask(method, API + path, form=_params(form) or None)
            except NotSent as error:
                not_reached.append(f"{channel.server.address}: {error}")
                continue
            except AnswerLost as error:
                raise self._unknown(method, path, f"{channel.server.address}: {error}") from error
            self._good = self._channels.index(channel)
            if answer.status == NOT_REACHED:
                not_reached.append(f"{channel.server.address}: {answer.reason}")
                continue
            return self._effect_data(method, path, answer)
        raise Retryable(
            f"{self.name}: {method} {path} was not done: no entry point reached it ({'; '.join(not_reached)})",
            remedy="check the network to the nodes and that pveproxy runs",
        )

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    # --- inside ------------------------------------------------------------------------------------------

    def _in_order(self) -> list[Channel]:
        return self._channels[self._good :] + self._channels[: self._good]

    async def _read_anywhere(self, path: str, query: Mapping[str, str]) -> Any:
        failures: list[str] = []
        for channel in self._in_order():
            try:
                answer = await channel.ask("GET", API + path, query=query)
            except (NotSent, AnswerLost) as error:
                failures.append(f"{channel.server.address}: {error}")
                continue
            if answer.status == NOT_REACHED or answer.status in LOST_BEHIND:
                failures.append(f"{channel.server.address}: {answer.status} {answer.reason}".rstrip())
                continue
            self._good = self._channels.index(channel)
            return self._read_data(path, answer)
        raise Retryable(
            f"{self.name}: no entry point answered GET {path} ({'; '.join(failures)})",
            remedy="check the network to the nodes and that pveproxy runs",
        )

    def _read_data(self, path: str, answer: Answer) -> Any:
        if answer.status == 200:
            data = _json(answer)
            if data is None:
                raise Retryable(f"{self.name}: GET {path} was answered with something that is not JSON")
            return data.get("data")
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
                f"{self.name} did not accept the API token ({message or 'no reason given'})",
                remedy="check the token file: user@realm!name=secret, not expired, user enabled",
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
            remedy=f"give the token (and its user) {privilege} on {path}" if privilege else "check the token's role",
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
