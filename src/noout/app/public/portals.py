"""Customers' portals on the public process: from the documents that control told, and reports by asking it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from noout.app.portal import digest_of
from noout.app.public.shelf import Shelf
from noout.domain.errors import UsageError
from noout.domain.notices import Door, Purpose


class FarPortals:
    """The same as ``Portals`` has on the spot, for pages."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def now(self) -> datetime:
        return self._shelf.now()

    @property
    def silent(self) -> bool:
        return self._shelf.silent

    async def document(self, name: str) -> dict[str, Any] | None:
        return cast("dict[str, Any] | None", self._shelf.document(name))

    async def door(self, token: str) -> Door | None:
        known = await self.document("doors") or {}
        found = known.get(digest_of(token))
        if found is None:
            return None
        until = datetime.fromisoformat(found["until"])
        door = Door(digest_of(token), str(found["customer"]), Purpose(found["purpose"]), until)
        return door if until > self.now() else None

    async def acknowledge(self, token: str, notice: str) -> None:
        """Control checks the link again. UsageError where there is no such message, Retryable while it is silent."""
        outcome = await self._shelf.ask("portal.acknowledge", token, "", {"notice": notice})
        if outcome.error:
            raise UsageError("there is no such message")

    async def bundle(self, token: str, notice: str) -> dict[str, Any]:
        """Control checks the link again. UsageError where there is no such report, Retryable while it is silent."""
        outcome = await self._shelf.ask("portal.bundle", token, "", {"notice": notice})
        if outcome.value is None:
            raise UsageError("there is no such report")
        return cast("dict[str, Any]", outcome.value)
