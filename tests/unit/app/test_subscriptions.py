"""Subscriptions to BMCs' events: kept up while noout runs, ended when it ends, each with a secret of its own."""

from __future__ import annotations

import asyncio

from noout.adapters.store.memory import MemoryStore
from noout.app.watching.upkeep import LOOK_AFTER_S, Upkeep
from noout.domain.errors import Refused, Retryable
from noout.ports import Clock
from tests.support.board import NODE, OTHER, virtually

HERE = "https://noout.example/api/v1/redfish-events"


class Source:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.standing = ""
        self.asked: list[tuple[str, str, str]] = []
        self.ended: list[str] = []

    async def subscribed(self, destination: str, context: str, known: str) -> str:
        self.asked.append((destination, context, known))
        if self.error is not None:
            raise self.error
        self.standing = self.standing or f"/{len(self.asked)}"
        return self.standing

    async def unsubscribe(self, known: str) -> None:
        self.ended.append(known)


def test_a_lost_one_is_made_anew_a_refusal_is_final_and_all_end_with_noout() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        good, cannot = Source(), Source()
        cannot.error, good.error = Refused("no event service"), Retryable("no answer")
        upkeep = Upkeep({NODE: good, OTHER: cannot}, HERE, clock)
        running = asyncio.create_task(upkeep.run())
        await asyncio.sleep(LOOK_AFTER_S - 1)
        good.error = None
        await asyncio.sleep(2 * LOOK_AFTER_S)
        good.standing = ""  # the BMC was reset
        await asyncio.sleep(LOOK_AFTER_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert [known for _, _, known in good.asked] == ["", "", "/2", "/2"]
        assert good.ended == ["/4"]
        assert (len(cannot.asked), cannot.ended) == (1, [])
        [context] = {context for _, context, _ in good.asked}
        assert (upkeep.node_of(context), upkeep.node_of(cannot.asked[0][1])) == (NODE, OTHER)
        assert [upkeep.node_of(each) for each in ("", context[:-1], "\udc80")] == [None] * 3
        assert len(context) >= 32
        assert context not in repr(upkeep)

    virtually(main)
