"""Programs' tokens: a fold over the record of access, which holds what each may do and a digest, never the secret."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from noout import codec
from noout.app.access import audit
from noout.app.access.secret import digest
from noout.domain.access import Grant, Person, Token
from noout.domain.errors import Refused, UsageError
from noout.ports import Clock, Journal

PREFIX = "noout_"  # so that scanners of published text know one when they see it
DAYS_MAX = 400.0


class Tokens:
    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock
        self._read_to = 0
        self._tokens: dict[str, Token] = {}

    async def make(self, name: str, grants: Sequence[Grant], days: float, by: str) -> str:
        """The secret, which is shown now and never again. Refused while a token of that name is good."""
        if not 0 < days <= DAYS_MAX:
            raise UsageError(f"a token lives for more than 0 and at most {DAYS_MAX:g} days, not {days:g}")
        if any(each.name == name for each in await self.all()):
            raise Refused(f"there is a token {name}", remedy="revoke it first, or take another name")
        made = PREFIX + secrets.token_urlsafe(32)
        expires = self._clock.now() + timedelta(days=days)
        token = Token(name, digest(made), tuple(grants), expires, by)
        await audit.write(self._journal, audit.TOKEN_MADE, {"token": codec.encode(token)}, by)
        return made

    async def revoke(self, name: str, by: str) -> None:
        """Refused when there is no such token (any more)."""
        if not any(each.name == name for each in await self.all()):
            raise Refused(f"there is no token {name}", remedy="`noout token list` shows them")
        await audit.write(self._journal, audit.TOKEN_REVOKED, {"name": name}, by)

    async def all(self) -> list[Token]:
        """Those that are good now."""
        await self._catch_up()
        return [token for token in self._tokens.values() if token.expires > self._clock.now()]

    async def person(self, secret: str) -> Person | None:
        """Whose token it is; None for one that is unknown, revoked or expired."""
        if not secret.startswith(PREFIX):
            return None
        wanted = digest(secret)
        token = next((each for each in await self.all() if secrets.compare_digest(each.digest, wanted)), None)
        return token.person if token else None

    async def _catch_up(self) -> None:
        for event in await self._journal.read(audit.STREAM, self._read_to):
            self._read_to = event.seq
            if event.kind == audit.TOKEN_MADE:
                token = codec.decode(Token, event.data["token"])
                self._tokens[token.name] = token
            elif event.kind == audit.TOKEN_REVOKED:
                self._tokens.pop(str(event.data["name"]), None)
