"""Play histories until stopped, or replay one.

python -m tests.simulate                  # until stopped; two processes
python -m tests.simulate --seconds 60     # for a minute
python -m tests.simulate --seed 4711      # that one, with its log
python -m tests.simulate --count 300 --until-broken   # until a promise is broken; says how many it took
python -m tests.simulate --histories 100000 --counts FILE   # so many in all; begun again, it goes on where it was
python -m tests.simulate --compare 40     # each alone, and with nothing kept: are they the same?
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.simulate.family import alone, histories
from tests.simulate.stage import Told
from tests.simulate.strikes import FAMILY
from tests.simulate.tally import Tally

tell = print
TELL_EVERY_S = 10.0


def _worker() -> None:
    """Ctrl-C is for the one that counts; what is there before the first history stays, and is never looked through."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    gc.disable()  # in a child it would touch, and so copy, all of the memory that the child has from its parent


def _family(number: int) -> list[Told]:
    told = histories(number)
    gc.collect()
    return told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this history, and show its log")
    parser.add_argument("--compare", type=int, metavar="N", help="play N also alone, and with nothing kept")
    parser.add_argument("--first", type=int, help="first seed (1, or the one after the last in FILE)")
    parser.add_argument("--count", type=int, default=10**9, help="stop after so many more")
    parser.add_argument("--histories", type=int, default=10**9, help="stop when there are so many, with those in FILE")
    parser.add_argument("--counts", type=Path, metavar="FILE", help="add up there what was seen, run after run")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--until-broken", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if given.seed is not None:
        return _replay(given.seed)
    if given.compare is not None:
        return _compare(given.first or 1, given.compare)
    return _play(given)


def _replay(seed: int) -> int:
    told = alone(seed)
    tell("\n".join(told.log))
    tell(f"{told.outcome} after {told.virtual_s:.0f} s; troubles {dict(told.troubles)}; {told.crashes} crashes")
    tell("\n".join(f"BROKEN {each}" for each in told.broken))
    return bool(told.broken)


def _compare(first: int, count: int) -> int:
    """What saves time must change nothing: not a bit of the journal, not a word of the verdict."""
    others = 0
    for told in itertools.islice(_in_order(first), count):
        for how, again in (("alone", alone(told.seed)), ("with nothing kept", alone(told.seed, keeps=False))):
            if again != told:
                others += 1
                tell(f"seed {told.seed} is another history {how}: {told.outcome} {told.digest[:8]} {told.broken}, "
                     f"then {again.outcome} {again.digest[:8]} {again.broken}")  # fmt: skip
    tell(f"{count} histories compared, {others} differences")
    return bool(others)


def _in_order(first: int) -> Iterator[Told]:
    for family in itertools.count(first // FAMILY):
        yield from (told for told in histories(family) if told.seed >= first)


def _play(given: argparse.Namespace) -> int:
    so_far = Tally.read(given.counts) if given.counts else Tally()
    first = given.first if given.first is not None else so_far.next_seed
    began = told_at = time.monotonic()
    before, took_before = so_far.histories, so_far.took_s
    pool = multiprocessing.Pool(given.jobs, _worker, maxtasksperchild=100)
    with pool, contextlib.suppress(KeyboardInterrupt):
        for told in itertools.chain.from_iterable(pool.imap(_family, itertools.count(first // FAMILY))):
            if told.seed < first:
                continue
            so_far.add(told)
            for each in told.broken:
                tell(f"seed {told.seed}: {each}  [{told.outcome}; {', '.join(sorted(told.troubles))}]", flush=True)
            now = time.monotonic()
            so_far.took_s = took_before + now - began
            new = so_far.histories - before
            if now - told_at > TELL_EVERY_S:
                told_at = now
                tell(so_far.line(new / (now - began)), flush=True)
                so_far.write(given.counts)
            if now - began > given.seconds or new >= given.count or so_far.histories >= given.histories:
                break
            if given.until_broken and told.broken:
                break
    so_far.write(given.counts)
    tell(so_far.line((so_far.histories - before) / (time.monotonic() - began)))
    tell("\n".join(so_far.lines()))
    return bool(so_far.broken)


if __name__ == "__main__":
    sys.exit(main())
