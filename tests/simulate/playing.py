"""One history from its seed: everything as it is, but for some waits (shorter) and what need not be reckoned twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from unittest import mock

from noout.domain.journal import Event
from noout.domain.maintenance import Maintenance
from noout.run import advance, record
from noout.steps import bring_back, evacuate
from tests.sim import story
from tests.simulate.fastwire import fast_wire
from tests.simulate.ordered import OrderedLoop
from tests.simulate.stage import END_S, Stage, Told
from tests.simulate.strikes import FAMILY
from tests.support.virtual import run_virtual

PACES_S = (5.0, 10.0, 15.0)  # between two looks while guests move, while the node boots; 5 is noout's own
BLOCKED_S = 15.0  # ... while nothing can be done
SOAK_S = 20.0  # of quiet fans before the node is trusted again


def history(seed: int, *, keeps: bool = True) -> Told:
    """The history of this seed, always the same. ``keeps`` False: nothing is kept of what was asked before."""
    family = seed // FAMILY
    return play(family, lambda: Stage(family, (seed,), lambda departing: True, keeps=keeps), lambda told: told)


def play(family: int, stage: Callable[[], Stage], ends: Callable[[Told], Told]) -> Told:
    """``ends`` is given what became of it while the loop still runs."""
    pace_s = Random(f"pace {family}").choice(PACES_S)

    fold, fold_one = _folded_once()

    async def to_the_end() -> Told:
        return ends(await stage().play())

    with (
        fast_wire(),
        mock.patch.object(story, "SOAK_S", SOAK_S),
        mock.patch.object(evacuate, "POLL_S", pace_s),
        mock.patch.object(bring_back, "POLL_S", pace_s),
        mock.patch.object(advance, "BLOCKED_S", BLOCKED_S),
        mock.patch.object(record, "fold", fold),
        mock.patch.object(record, "fold_one", fold_one),
    ):
        return run_virtual(to_the_end(), limit_s=2 * END_S, loop=OrderedLoop)


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
