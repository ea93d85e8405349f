"""Play histories until stopped, or replay one.

python -m tests.simulate                  # until stopped; two processes
python -m tests.simulate --seconds 60     # for a minute
python -m tests.simulate --seed 4711      # that one, with its log
python -m tests.simulate --count 300 --until-broken   # until a promise is broken; says how many it took
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import signal
import sys
import time
import traceback
from collections import Counter

from tests.simulate.stage import Told, history
from tests.simulate.strikes import Coverage

tell = print
TELL_EVERY = 100


def _deaf() -> None:
    """Ctrl-C is for the one that counts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _one(seed: int) -> Told:
    try:
        return history(seed)
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - whatever it is, it is a finding
        last = traceback.format_exc().strip().splitlines()
        return Told(seed, "broke", [f"the history broke: {last[-1]}"], 0.0, log=last)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this history, and show its log")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--count", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--until-broken", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if given.seed is not None:
        told = _one(given.seed)
        tell("\n".join(told.log))
        tell(f"{told.outcome} after {told.virtual_s:.0f} s; troubles {dict(told.troubles)}; {told.crashes} crashes")
        tell("\n".join(f"BROKEN {each}" for each in told.broken))
        return bool(told.broken)
    began = time.monotonic()
    seen = Coverage(Counter(), Counter(), Counter(), Counter())
    outcomes: Counter[str] = Counter()
    broken = 0
    count = 0
    with multiprocessing.Pool(given.jobs, initializer=_deaf) as pool, contextlib.suppress(KeyboardInterrupt):
        for told in pool.imap(_one, range(given.first, given.first + given.count)):
            count += 1
            seen.add(told)
            outcomes[told.outcome] += 1
            for each in told.broken:
                broken += 1
                tell(f"seed {told.seed}: {each}  [{told.outcome}; {', '.join(sorted(told.troubles))}]", flush=True)
            passed = time.monotonic() - began
            if count % TELL_EVERY == 0:
                tell(f"{count} histories, {count / passed:.1f} a second, {broken} promises broken", flush=True)
            if passed > given.seconds or (given.until_broken and broken):
                break
    took = time.monotonic() - began
    tell(f"{count} histories, {count / took:.1f} a second, {broken} promises broken")
    tell("outcomes: " + ", ".join(f"{name} {n}" for name, n in outcomes.most_common()))
    tell("\n".join(seen.lines()))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
