"""``make bench-plan``: how good noout's plans are, beside what others would do, on clusters that can be emptied.

    make bench-plan                                all of it, without the others' programs
    make bench-plan BENCH="--rivals --write"       with ProxLB and its solver; the page and its picture are written
    make bench-plan BENCH=--quick                  a minute's check that everything still works
    make bench-plan BENCH=--profile                where the time goes with 1,000 nodes

Figures, not a test: nothing fails here. Seeds are fixed; what is reported was never tuned on.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import os
import pstats
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.plan import others, page, run
from benchmarks.plan.instances import REPORT_SEEDS, make
from benchmarks.plan.measure import planned


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def profiled(hosts: int) -> str:
    """Where the time of one plan of a large cluster goes."""
    instance = make(REPORT_SEEDS, hosts, *run.LARGE)
    profile = cProfile.Profile()
    profile.enable()
    plan, seconds = planned(instance)
    profile.disable()
    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats("cumulative").print_stats(30)
    here = str(Path(__file__).parents[2])
    head = f"{hosts} nodes, {len(instance.state.guests)} guests: {len(plan.moves)} moves, feasible: {plan.feasible}"
    return f"{head}, {seconds:.1f} s under the profiler\n{text.getvalue().replace(here + os.sep, '')}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-plan", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rivals", action="store_true", help="install ProxLB and its solver in an environment of their own"
    )
    parser.add_argument("--quick", action="store_true", help="a minute's check instead of the whole")
    parser.add_argument("--profile", action="store_true", help="only: where the time goes with 1,000 nodes")
    parser.add_argument("--hosts", type=int, default=1000, help="nodes of the cluster that is profiled")
    parser.add_argument("--write", action="store_true", help="write the tables and the picture into docs/explanation")
    parser.add_argument("--json", type=Path, help="write every single figure here")
    parser.add_argument("--grid", type=int, help="clusters of each number of nodes, mix and fill, where not the usual")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seed", type=int, default=REPORT_SEEDS, help="of the first instance of each kind")
    options = parser.parse_args()
    if options.profile:
        say(profiled(options.hosts))
        return
    absent = others.install() if options.rivals else ("" if others.installed() else "not installed: give --rivals")
    began = time.monotonic()
    sizes = run.QUICK if options.quick else run.FULL
    sizes = replace(sizes, grid=options.grid) if options.grid else sizes
    results = run.everything(sizes, absent, options.workers, options.seed, say)
    results.took_s = time.monotonic() - began
    say()
    say(page.text(results))
    if options.json:
        options.json.write_text(json.dumps(asdict(results), indent=1) + "\n")
    if options.write:
        for written in page.write(results):
            say(f"written: {written}")


if __name__ == "__main__":
    main()
