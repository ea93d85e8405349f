"""One history from its seed: everything as it is, but for some waits (shorter) and what need not be reckoned twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from random import Random
from unittest import mock

from noout.domain.journal import Event
from noout.domain.maintenance import Maintenance
from noout.run import fold as fold_module
from noout.run import fold_messages, record
from tests.sim import story
from tests.sim.engine import MemoryEngine
from tests.simulate.fastwire import fast_wire
from tests.simulate.kept import Answers
from tests.simulate.ordered import OrderedLoop
from tests.simulate.quick import changed
from tests.simulate.stage import END_S, Stage, Told
from tests.simulate.strikes import FAMILY
from tests.support.virtual import run_virtual

# A busy noout looks again no sooner, unless somebody tells it something.
PACES_S = (0.0, 5.0, 10.0, 15.0, 15.0, 20.0, 20.0, 20.0)
SOAK_S = 20.0  # of quiet fans before the node is trusted again


def history(seed: int, *, keeps: bool = True) -> Told:
    """The history of this seed, always the same. ``keeps`` False: nothing is kept of what was asked before."""
    family = seed // FAMILY
    return play(
        family, lambda: Stage(family, (seed,), lambda departing: True, Answers() if keeps else None), lambda told: told
    )


def play(family: int, stage: Callable[[], Stage], ends: Callable[[Told], Told]) -> Told:
    """``ends`` is given what became of it while the loop still runs."""
    pace_s = Random(f"pace {family}").choice(PACES_S)

    fold, fold_one = _folded_once()

    async def to_the_end() -> Told:
        return ends(await stage().play())

    with (
        fast_wire(),
        mock.patch.object(story, "SOAK_S", SOAK_S),
        mock.patch.object(MemoryEngine, "inbox", _inbox(pace_s)),
        mock.patch.object(fold_module, "replace", changed),
        mock.patch.object(fold_messages, "replace", changed),
        mock.patch.object(record, "fold", fold),
        mock.patch.object(record, "fold_one", fold_one),
    ):
        return run_virtual(to_the_end(), limit_s=2 * END_S, loop=OrderedLoop)


def _inbox(pace_s: float) -> Callable[[MemoryEngine, str, datetime | None], Awaitable[None]]:
    async def inbox(self: MemoryEngine, maintenance: str, until: datetime | None) -> None:
        if until is None:
            return
        woken = self._wakes.setdefault(maintenance, asyncio.Event())
        left_s = max(pace_s, (until - self.clock.now()).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await woken.wait()
        woken.clear()

    return inbox


def _folded_once() -> tuple[Callable[[Iterable[Event]], Maintenance], Callable[[Maintenance, Event], Maintenance]]:
    """``fold`` and ``fold_one``, which are pure: what follows from the same events is reckoned once, whoever asks."""
    fold, fold_one = record.fold, record.fold_one
    known: dict[str, Maintenance] = {}  # by the digest of the last event, which stands for all before it

    def whole(events: Iterable[Event]) -> Maintenance:
        events = list(events)
        if not events or events[-1].digest not in known:
            m = fold(events)
            known[events[-1].digest] = m
        return known[events[-1].digest]

    def one(m: Maintenance, event: Event) -> Maintenance:
        if event.digest not in known:
            known[event.digest] = fold_one(m, event)
        return known[event.digest]

    return whole, one
