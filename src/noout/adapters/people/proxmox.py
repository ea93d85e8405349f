"""Accounts of a Proxmox VE cluster, of any realm that takes a password, with or without a second factor.

``POST /access/ticket`` with the user's password; an account with a second factor is answered with ``NeedTFA`` and a
challenge, which goes back as ``tfa-challenge`` with ``password`` "totp:CODE" or "recovery:KEY" (Proxmox VE's API
documentation; not recorded on a real cluster). The ticket itself is thrown away: noout acts by its own token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from noout.adapters.http import Answer, AnswerLost, Channel, NotSent, Server
from noout.domain.errors import Retryable

TICKET_PATH = "/api2/json/access/ticket"
_TOTP = re.compile(r"\d{6,8}")
_RECOVERY = re.compile(r"[0-9a-fA-F]{4}(-[0-9a-fA-F]{4}){3}")
CHALLENGE_CHARS_MAX = 4000


@dataclass(frozen=True, slots=True)
class Challenge:
    """The password was right; a second factor is wanted. ``text`` goes back with it."""

    user: str
    text: str = field(repr=False)


class Accounts:
    """The accounts of one cluster, asked at its entry points in turn until one answers."""

    def __init__(self, cluster: str, servers: Sequence[Server]) -> None:
        self.cluster = cluster
        self._channels = [Channel(server) for server in servers]

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def enter(self, user: str, password: str) -> str | Challenge | None:
        """The user as the cluster names it (``user@realm``), a challenge, or None: not with that password.

        Raises Retryable when no entry point answers.
        """
        return _verdict(await self._ask({"username": user, "password": password}))

    async def answer(self, user: str, challenge: str, code: str) -> str | None:
        """The second factor: digits of an authenticator, or a recovery key."""
        kind = "totp" if _TOTP.fullmatch(code) else "recovery" if _RECOVERY.fullmatch(code) else None
        if kind is None or len(challenge) > CHALLENGE_CHARS_MAX:
            return None
        form = {"username": user, "password": f"{kind}:{code}", "tfa-challenge": challenge}
        found = _verdict(await self._ask(form))
        return found if isinstance(found, str) else None

    async def _ask(self, form: dict[str, str]) -> Answer:
        why = "no entry point"
        for channel in self._channels:
            try:
                return await channel.ask("POST", TICKET_PATH, form=form)
            except (NotSent, AnswerLost) as error:  # signing in changes nothing there
                why = str(error)
        raise Retryable(f"{self.cluster} does not answer: {why}", remedy="try again, or sign in as a local user")


def _verdict(answer: Answer) -> str | Challenge | None:
    if answer.status in (400, 401, 403):
        return None
    data = answer.document().get("data")
    if answer.status != 200 or not isinstance(data, dict):
        raise Retryable(f"the sign-in was answered {answer.status} {answer.reason}".rstrip())
    user, ticket = str(data.get("username") or ""), str(data.get("ticket") or "")
    if not user or not ticket:
        return None
    if data.get("NeedTFA") or ticket.startswith("PVE:!tfa!"):
        return Challenge(user, ticket)
    return user
