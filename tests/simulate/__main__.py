"""Play histories until stopped, or replay one.

python -m tests.simulate                  # until stopped; two processes
python -m tests.simulate --seconds 60     # for a minute
python -m tests.simulate --seed 4711      # that one, with its log
python -m tests.simulate --count 300 --until-broken   # until a promise is broken; says how many it took
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
from collections import Counter
from collections.abc import Iterator

from tests.simulate.family import alone, histories
from tests.simulate.stage import Told
from tests.simulate.strikes import FAMILY, Coverage

tell = print
TELL_EVERY_S = 10.0


def _worker() -> None:
    """Ctrl-C is for the one that counts; what is there before the first history stays, and is never looked through."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this history, and show its log")
    parser.add_argument("--compare", type=int, metavar="N", help="play N also alone, and with nothing kept")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--count", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--until-broken", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if given.seed is not None:
        return _replay(given.seed)
    if given.compare is not None:
        return _compare(given.first, given.compare)
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
    began = time.monotonic()
    told_at = began
    seen = Coverage(Counter(), Counter(), Counter(), Counter())
    outcomes: Counter[str] = Counter()
    broken = 0
    count = 0
    with multiprocessing.Pool(given.jobs, initializer=_worker) as pool, contextlib.suppress(KeyboardInterrupt):
        for told in itertools.chain.from_iterable(pool.imap(histories, itertools.count(given.first // FAMILY))):
            if told.seed < given.first:
                continue
            count += 1
            seen.add(told)
            outcomes[told.outcome] += 1
            for each in told.broken:
                broken += 1
                tell(f"seed {told.seed}: {each}  [{told.outcome}; {', '.join(sorted(told.troubles))}]", flush=True)
            now = time.monotonic()
            if now - told_at > TELL_EVERY_S:
                told_at = now
                tell(f"{count} histories, {count / (now - began):.1f} a second, {broken} promises broken", flush=True)
            if now - began > given.seconds or count >= given.count or (given.until_broken and broken):
                break
    took = time.monotonic() - began
    tell(f"{count} histories, {count / took:.1f} a second, {broken} promises broken")
    tell("outcomes: " + ", ".join(f"{name} {n}" for name, n in outcomes.most_common()))
    tell("\n".join(seen.lines()))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
