"""How well noout's witness measures: its own lateness, what it finds, and what it makes up.

    make bench-witness                      2,050 services, 300 trials and more, 24 virtual hours, 10 minutes under load
    make bench-witness BENCH=--quick        less of everything: a minute; figures that mean little
    make bench-witness BENCH="--minutes 2"  so long under load

The prober is noout's own and so is the ledger; the servers are real ones on this machine, in a process of their own.
``--tables FILE`` writes the tables into a page.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.watch.intervals import share
from benchmarks.witness.asking import Site, Trial, Watched, busy, false_interruptions, site, trials, watch
from benchmarks.witness.virtual import HOURS, Told, judged
from noout.cli.options import SWITCH_S

MARK = ("<!-- tables of make bench-witness -->", "<!-- end of the tables -->")
CALM, MOVING = 2000, 50
SILENCE_S = 0.3
LAG_MS_MAX, FOUND_MIN = 50.0, 0.99


def quantile(values: Sequence[float], part: float) -> float:
    return values[min(len(values) - 1, int(part * len(values)))] if values else float("nan")


async def observed(
    found: Site, seconds: float, silence_s: float | None
) -> tuple[Watched, list[tuple[int, float, float]]]:
    """Ask for so long; meanwhile the moving ones fall silent, if they are to."""
    if silence_s is None:
        return await watch(found, seconds), []
    found.command(f"silence {seconds:g} {silence_s:g}")
    seen = await watch(found, seconds)
    with ThreadPoolExecutor(1) as reading:
        line = await asyncio.get_running_loop().run_in_executor(reading, found.answer)
    return seen, [(int(i), float(a), float(b)) for i, a, b in json.loads(line)]


def lateness(name: str, seen: Watched) -> str:
    lags = seen.lags_ms()
    return (
        f"| {name} | {len(lags):,} | {quantile(lags, 0.5):.1f} | {quantile(lags, 0.99):.1f} | {lags[-1]:.1f} "
        f"| {100 * seen.cpu_share:.0f} % |"
    )


def trial_row(name: str, some: Sequence[Trial]) -> str:
    found = [each for each in some if each.told is not None]
    within = [each for each in found if each.within_one_sample]
    errors = sorted(each.error_ms for each in found if each.error_ms is not None)
    low, high = share(len(found), len(some))
    spread = f"{statistics.median(errors):+.0f} ({errors[0]:+.0f} to {errors[-1]:+.0f})" if errors else "–"
    return (
        f"| {name} | {len(some)} | {len(found)} | {100 * len(found) / max(1, len(some)):.1f} [{100 * low:.1f}–"
        f"{100 * high:.1f}] | {len(within)} of {len(found)} | {spread} |"
    )


def virtual_row(told: Told) -> str:
    return (
        f"| {told.name} | {told.services} x {HOURS} h | {told.samples:,} | {told.unmeasured_s / 60:.0f} min "
        f"| {told.disputed} | {told.found} of {told.services} | {told.false} |"
    )


def run(asked: argparse.Namespace) -> tuple[str, bool]:
    """The tables, and whether every figure that is promised was kept."""
    with site(CALM, MOVING) as found:
        calm_only = Site(found.process, found.calm, [])
        gc.freeze()  # as every command of noout begins that lasts
        sys.setswitchinterval(SWITCH_S)
        alone, _ = asyncio.run(observed(calm_only, asked.seconds, None))
        moving, kept = asyncio.run(observed(found, asked.seconds, SILENCE_S))
        made, besides = trials(found, moving, kept)
        load = 2 * (os.cpu_count() or 1)
        with busy(load):
            stressed, _ = asyncio.run(observed(found, asked.minutes * 60, None))
        false = false_interruptions(found, stressed)
    virtual = [judged(name, asked.services) for name in ("one place", "two places")]
    hits = sum(each.told is not None for each in made)
    within = sum(each.within_one_sample for each in made)
    promised = [
        (f"lateness of 2,000 a second, p99 <= {LAG_MS_MAX:g} ms", quantile(alone.lags_ms(), 0.99) <= LAG_MS_MAX),
        (f"silences of {SILENCE_S:g} s found, >= {100 * FOUND_MIN:g} %", bool(made) and hits >= FOUND_MIN * len(made)),
        ("both ends of all that were found within one sample", within == hits),
        (
            "nothing made up besides, in virtual time or under load",
            not besides + len(false) + sum(t.false for t in virtual),
        ),
        ("every planted outage found", all(each.found == each.services for each in virtual)),
    ]
    lines = [
        f"{os.cpu_count()} cores; the prober on one of them. {asked.seconds:g} s for each of the first rows.",
        "",
        "| asked | questions | lateness ms, median | p99 | largest | share of a core |",
        "|---|---|---|---|---|---|",
        lateness(f"{CALM:,} services each second", alone),
        lateness(f"the same, and {MOVING} guests every 0.1 s", moving),
        lateness(f"the same for {asked.minutes:g} min, {load} busy processes beside it", stressed),
        "",
        f"| silent for {SILENCE_S:g} s | trials | found | % [95 %] | both ends within a sample | told minus true, ms |",
        "|---|---|---|---|---|---|",
        trial_row("refused (TCP)", [each for each in made if not each.http]),
        trial_row("standing still (HTTP)", [each for each in made if each.http]),
        trial_row("all", made),
        "",
        f"Interruptions told besides these: {besides}. Under load, where no server fell silent: {len(false)} in "
        f"{asked.minutes:g} min of {CALM + MOVING:,} services.",
        "",
        "| in virtual time, from | services | samples | not measured | disputed | outages of 5 s found | false |",
        "|---|---|---|---|---|---|---|",
        *map(virtual_row, virtual),
        "",
        *(f"- {'kept' if ok else 'NOT kept'}: {what}" for what, ok in promised),
    ]
    for name, gap in false[:10]:
        sys.stderr.write(f"false: {name} {gap}\n")
    return "\n".join(lines), all(ok for _, ok in promised)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for the rows without load (default 60)")
    parser.add_argument("--minutes", type=float, default=10, help="under load (default 10)")
    parser.add_argument("--services", type=int, default=20, help="each with 24 virtual hours, twice (default 20)")
    parser.add_argument("--quick", action="store_true", help="10 seconds, 0.2 minutes, 2 services")
    parser.add_argument("--tables", type=Path, help="a page into which the tables are written")
    asked = parser.parse_args()
    if asked.quick:
        asked.seconds, asked.minutes, asked.services = 10.0, 0.2, 2
    text, kept = run(asked)
    sys.stdout.write(text + "\n")
    if asked.tables:
        before, _, after = asked.tables.read_text().partition(MARK[0])
        asked.tables.write_text(f"{before}{MARK[0]}\n{text}\n{MARK[1]}{after.partition(MARK[1])[2]}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
