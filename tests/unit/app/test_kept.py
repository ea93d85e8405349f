"""A look serves everybody who asks within some seconds."""

from __future__ import annotations

import asyncio

import pytest

from noout.app.kept import Kept
from noout.domain.errors import Broken
from tests.support.virtual import run_virtual


class Looker:
    def __init__(self) -> None:
        self.looked: list[str] = []
        self.broken = False

    async def look(self, key: str) -> int:
        self.looked.append(key)
        await asyncio.sleep(1.0)
        if self.broken:
            raise Broken("it does not answer")
        return len(self.looked)


def test_many_who_ask_cost_one_look_for_each_key_until_it_is_old() -> None:
    async def story() -> None:
        looker = Looker()
        kept = Kept(looker.look, 10.0)
        await asyncio.gather(*(kept.of("a") for _ in range(5)), kept.of("b"))
        assert looker.looked == ["a", "b"]
        await asyncio.sleep(8.0)
        await kept.of("a")
        assert looker.looked == ["a", "b"]
        await asyncio.sleep(2.0)
        await kept.of("a")
        assert looker.looked == ["a", "b", "a"]

    run_virtual(story())


def test_a_look_that_failed_is_told_to_all_who_waited_and_not_kept() -> None:
    async def story() -> None:
        looker = Looker()
        kept = Kept(looker.look, 10.0)
        looker.broken = True
        told = await asyncio.gather(*(kept.of("a") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(each, Broken) for each in told) and looker.looked == ["a"]
        looker.broken = False
        assert await kept.of("a") == 2

    run_virtual(story())


def test_one_who_gives_up_leaves_the_others_their_answer() -> None:
    async def story() -> None:
        kept = Kept(Looker().look, 10.0)
        first, second = asyncio.create_task(kept.of("a")), asyncio.create_task(kept.of("a"))
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == 1
        with pytest.raises(asyncio.CancelledError):
            await first

    run_virtual(story())
