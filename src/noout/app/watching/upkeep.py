"""Events that BMCs send by themselves: each BMC's subscription is made, looked after, and ended at the end.

An event is only believed with the context that its subscription was made with: a secret of each BMC's own, which
travels in the event's body and in no address. Where a BMC cannot subscribe, its log is read with every look anyway.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError, Refused
from noout.ports import Clock, EventSource

log = logging.getLogger(__name__)

LOOK_AFTER_S = 600.0
AT_ONCE = 20
END_WALL_S = 5.0


@dataclass(slots=True)
class Upkeep:
    """``destination``: where the BMCs reach noout. Contexts live as long as this process: they are written nowhere."""

    sources: Mapping[NodeId, EventSource]
    destination: str
    clock: Clock
    _contexts: dict[NodeId, str] = field(default_factory=dict, repr=False)
    _nodes: dict[bytes, NodeId] = field(default_factory=dict)  # digest of a context -> whose it is
    _places: dict[NodeId, str] = field(default_factory=dict)
    _cannot: set[NodeId] = field(default_factory=set)

    def __post_init__(self) -> None:
        for node in self.sources:
            self._contexts[node] = secrets.token_urlsafe(24)
            self._nodes[_digest(self._contexts[node])] = node

    def node_of(self, context: str) -> NodeId | None:
        """Whose events come with this context. Found by its digest: the time it takes tells nothing of it."""
        return self._nodes.get(_digest(context))

    async def run(self) -> None:
        """Look after the subscriptions until cancelled, then end them."""
        try:
            while True:
                await self.look_after()
                await self.clock.sleep(LOOK_AFTER_S)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(END_WALL_S):
                    await asyncio.gather(*(self._end(node) for node in self._places))

    async def look_after(self) -> None:
        """Make the subscriptions that are missing."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(node: NodeId) -> None:
            async with places:
                await self._one(node)

        await asyncio.gather(*(one(node) for node in self.sources if node not in self._cannot))

    async def _one(self, node: NodeId) -> None:
        try:
            self._places[node] = await self.sources[node].subscribed(
                self.destination, self._contexts[node], self._places.get(node, "")
            )
        except Refused as error:
            self._cannot.add(node)
            log.info("watch: %s sends no events, its log is read instead: %s", node, error.message)
        except NooutError as error:
            log.info("watch: %s: no subscription yet: %s", node, error.message)

    async def _end(self, node: NodeId) -> None:
        with suppress(NooutError):
            await self.sources[node].unsubscribe(self._places[node])


def _digest(context: str) -> bytes:
    return hashlib.sha256(context.encode(errors="replace")).digest()
