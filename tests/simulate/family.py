"""The histories of a family, played together as far as they are alike.

They have their cluster and their people in common, and each its own troubles, of which the first waits for some action.
Up to there nothing tells them apart, and it is played once: where one departs, the process parts in two. The child
plays that history to its end and tells what became of it; then the parent goes on with the others.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulate.kept import Answers
from tests.simulate.playing import history, play
from tests.simulate.stage import Stage, Told
from tests.simulate.strikes import FAMILY


@dataclass
class Parting:
    told: list[Told] = field(default_factory=list)
    seed: int | None = None  # the one that this process, a child, plays
    _pipe: int | None = None

    def __call__(self, seed: int) -> bool:
        """True in the process that plays ``seed`` from here on."""
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self.seed, self._pipe = seed, writing
            asyncio._set_running_loop(loop)  # it is known by the process that it runs in
            return True
        os.close(writing)
        with open(reading, "rb") as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        self.told.append(pickle.loads(said) if said else broken(seed, "its process died"))
        return False

    def ends(self, told: Told) -> Told:
        """A child tells, and is gone."""
        if self._pipe is None:
            return told
        with open(self._pipe, "wb") as pipe:
            pickle.dump(told, pipe)
        os._exit(0)


def broken(seed: int, why: str) -> Told:
    return Told(seed, "broke", [f"the history broke: {why}"], 0.0)


def alone(seed: int, *, keeps: bool = True) -> Told:
    """One history by itself, from the beginning."""
    try:
        return history(seed, keeps=keeps)
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - whatever it is, it is a finding
        return _of_its_error(seed)


def _of_its_error(seed: int) -> Told:
    last = traceback.format_exc().strip().splitlines()
    told = broken(seed, last[-1])
    told.log = last
    return told


def histories(family: int, seeds: Iterable[int] | None = None) -> list[Told]:
    """Those of the family (of ``seeds``, where given) whose moment came, in the order of their seeds."""
    first = family * FAMILY
    wanted = range(first, first + FAMILY) if seeds is None else list(seeds)
    parting = Parting()
    answers = Answers()
    try:
        # Nobody departs yet: what is asked in this cluster, and answered, the others need not ask again.
        play(family, lambda: Stage(family, (), parting, answers), lambda told: told)
        told = play(family, lambda: Stage(family, wanted, parting, answers), parting.ends)
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - whatever it is, it is a finding
        told = parting.ends(_of_its_error(parting.seed or first))
    finally:
        if parting.seed is not None:  # a child that was interrupted
            os._exit(1)
    return sorted([*parting.told, *([told] if first in wanted else [])], key=lambda each: each.seed)
