"""What the engine costs: a durable step, maintenances that wait, an evacuation's calls.

    make bench-engine                     2,000 steps a store, 300 maintenances for 16 minutes, 100 guests
    make bench-engine BENCH=--quick       less of everything: two minutes; figures that mean little
    make bench-engine BENCH="--only calls"

The PostgreSQL part needs Debian's PostgreSQL (scripts/install-real-parts); without it, it says so and is left out.
``--tables FILE`` writes the tables into a page.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.postgres import postgres_url

from benchmarks.engine import calls, steps, waiting

MARK = ("<!-- tables of make bench-engine -->", "<!-- end of the tables -->")
PARTS = ("steps", "waiting", "calls")
STEP_MS_MAX = {"SQLite": 5.0, "PostgreSQL": 8.0}
CPU_SHARE_MAX, RSS_MIB_MAX, CALLS_MAX = 0.05, 150.0, 8.0


def verdict(met: bool) -> str:
    return "met" if met else "**missed**"


@contextlib.contextmanager
def postgres() -> Iterator[str | None]:
    """A real server of its own; None, said on stderr, where it is not installed."""
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(postgres_url())
        except pytest.skip.Exception as why:
            sys.stderr.write(f"without PostgreSQL: {why}\n")
            yield None
        else:
            yield url


def step_table(found: Sequence[steps.Steps]) -> list[str]:
    lines = [
        "| store | steps | bare transaction | one event | durable step with one event | 95 % | CPU a step | aim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in found:
        aim = STEP_MS_MAX[each.store]
        lines.append(
            f"| {each.store} | {each.count:,} | {each.bare_ms:.2f} ms | {each.event_ms:.2f} ms | {each.step_ms:.2f} ms "
            f"| {each.step_p95_ms:.2f} ms | {each.cpu_ms:.2f} ms | ≤ {aim:g} ms: {verdict(each.step_ms <= aim)} |"
        )
    return lines


def waiting_table(found: waiting.Waiting) -> list[str]:
    return [
        "| maintenances that wait | for | CPU, of one core | the process without any | looks | CPU a look | memory |",
        "|---|---|---|---|---|---|---|",
        f"| {found.maintenances} | {found.seconds:.0f} s | {100 * found.cpu_share:.1f} % "
        f"(≤ {100 * CPU_SHARE_MAX:.0f} %: {verdict(found.cpu_share <= CPU_SHARE_MAX)}) "
        f"| {100 * found.idle_share:.1f} % | {found.looks} | {found.look_ms:.0f} ms "
        f"| {found.rss_mib:.0f} MiB, of which {found.base_mib:.0f} before the first "
        f"(≤ {RSS_MIB_MAX:.0f} MiB: {verdict(found.rss_mib <= RSS_MIB_MAX)}) |",
    ]


def calls_table(found: calls.Evacuation) -> list[str]:
    each = found.calls / found.guests
    lines = [
        f"{found.guests} guests, {found.ha} of them managed by HA, {found.took_s / 60:.0f} virtual minutes: "
        f"{found.calls:,} calls, **{each:.1f} a guest** (≤ {CALLS_MAX:g}: {verdict(each <= CALLS_MAX)}); before it, "
        f"to see the cluster and plan, {found.before}; beside it {found.shell:,} commands over SSH for Ceph.",
        "",
        "| call | a guest |",
        "|---|---|",
    ]
    return lines + [f"| `{kind}` | {count / found.guests:.2f} |" for kind, count in found.by_kind.most_common()]


def into(path: Path, tables: str) -> None:
    """Put the tables between the marks of a page."""
    page = path.read_text(encoding="utf-8")
    head, found, rest = page.partition(MARK[0])
    _, ended, tail = rest.partition(MARK[1])
    if not found or not ended:
        raise SystemExit(f"{path} has no place for the tables ({MARK[0]} ... {MARK[1]})")
    path.write_text(f"{head}{MARK[0]}\n\n{tables}\n\n{MARK[1]}{tail}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be repeated")
    parser.add_argument("--steps", type=int, help="durable steps for each store")
    parser.add_argument("--maintenances", type=int, help="how many wait")
    parser.add_argument("--seconds", type=float, help="how long they are measured; every one looks once in 15 minutes")
    parser.add_argument("--guests", type=int, help="how many are evacuated")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument("--tables", type=Path, metavar="FILE", help="write the tables into this page")
    asked = parser.parse_args()
    parts = asked.only or PARTS
    count = asked.steps or (200 if asked.quick else 2000)
    many = asked.maintenances or (30 if asked.quick else 300)
    seconds = asked.seconds or (60.0 if asked.quick else 960.0)
    guests = asked.guests or (10 if asked.quick else 100)
    document: dict[str, Any] = {}
    tables = [f"Measured on {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}."]
    if "steps" in parts:
        found = [steps.measure(count)]
        with postgres() as url:
            found += [steps.measure(count, url)] if url is not None else []
        document["steps"] = [asdict(each) for each in found]
        tables += ["", *step_table(found)]
    if "waiting" in parts:
        waited = waiting.wait_for_hands(many, seconds)
        document["waiting"] = asdict(waited)
        tables += ["", *waiting_table(waited)]
    if "calls" in parts:
        emptied = calls.evacuate(guests)
        document["calls"] = asdict(emptied) | {"by_kind": dict(emptied.by_kind)}
        tables += ["", *calls_table(emptied)]
    text = "\n".join(tables)
    sys.stdout.write(f"{json.dumps(document, indent=2) if asked.json else text}\n")
    if asked.tables is not None:
        into(asked.tables, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
