"""The tables of ``make bench-watch``: false alarms, recall and delay, each with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.watch.detectors import DETECTORS
from benchmarks.watch.intervals import middle, poisson, share
from benchmarks.watch.traces import DAYS, EVERY_S, FANS, POLLS

MARK = ("<!-- tables of make bench-watch -->", "<!-- end of the tables -->")
ORACLE_STOP = 3  # one stop may be an accident, and so may two; the third is a pattern
STOP_APART_S = 90.0  # stops closer together are one: no detector is asked to count them apart
AGAIN_S = 86400.0  # alarms of one fan within a day of each other are one
YEARS = DAYS / 365
MONTHS = DAYS / (365 / 12)
FAULTS = ("flap", "mild", "wear", "dead", "erratic")
BASE_RATES = (0.02, 0.1)  # faulty fans a node and year
Results = Sequence[dict[str, Any]]


def report(results: Results, seeds: str) -> str:
    healthy = [r for r in results if r["job"][2] == "none"]
    lines = [
        f"Seeds for {seeds}. {len(results)} traces of {DAYS} days, {FANS} fans, a poll every {EVERY_S} s: "
        f"{len(results) * POLLS * FANS / 1e6:,.0f} million readings. 95 % intervals in brackets.",
        "",
        *_false_alarms(healthy),
        "",
        *_found([r for r in results if r["job"][2] != "none" and r["job"][1] == "plain"]),
        "",
        *_other_boards([r for r in results if r["job"][2] != "none" and r["job"][1] != "plain"]),
        "",
        *_base_rate(results),
        "",
        *_cost(results),
    ]
    return "\n".join(lines)


def merged(alarms: Sequence[Sequence[float]]) -> list[tuple[float, int]]:
    """Alarms of one fan within a day of the one before are the same alarm."""
    found: list[tuple[float, int]] = []
    last: dict[int, float] = {}
    for at, fan in sorted((at, int(fan)) for at, fan in alarms):
        if at - last.get(fan, -math.inf) > AGAIN_S:
            found.append((at, fan))
        last[fan] = at
    return found


def _rate(count: int, exposure: float) -> str:
    if not exposure:
        return "–"
    low, high = poisson(count)
    return f"{count / exposure:.2f} [{low / exposure:.2f}–{high / exposure:.2f}]"


def _false_alarms(healthy: Results) -> list[str]:
    plain = [r for r in healthy if r["job"][1] in ("plain", "percent")]
    boards = {name: [r for r in healthy if r["job"][1] == name] for name in ("standby", "misconfigured")}
    lines = [
        "### False alarms on healthy nodes",
        "",
        f"{len(plain) * YEARS:.0f} node-years (one in ten tells percent only), {len(boards['standby']) * MONTHS:.0f} "
        f"node-months with standby fans, {len(boards['misconfigured']) * MONTHS:.0f} with limits set too high. "
        f"noout with readings only: {_asked(plain, 'noout, readings only') * YEARS:.0f} of the node-years.",
        "",
        "| detector | a node-year | a node-month, standby fans | a node-month, limits too high |",
        "|---|---|---|---|",
    ]
    for name in DETECTORS:
        cells = [_rate(_alarms(plain, name), _asked(plain, name) * YEARS)]
        cells += [_rate(_alarms(some, name), _asked(some, name) * MONTHS) for some in boards.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _alarms(results: Results, name: str) -> int:
    return sum(len(merged(result["alarms"].get(name, ()))) for result in results)


def _asked(results: Results, name: str) -> int:
    return sum(name in result["alarms"] for result in results)


def delay_s(result: dict[str, Any], name: str) -> float:
    """From the onset to the first alarm of the faulty fan after it; infinite when there is none."""
    return min(
        (
            at - result["onset_s"]
            for at, fan in result["alarms"][name]
            if fan == result["fault"] and at >= result["onset_s"]
        ),
        default=math.inf,
    )


def oracle_s(result: dict[str, Any]) -> float:
    """From the onset to the true stop of number ``ORACLE_STOP``; infinite when there were fewer."""
    apart: list[float] = []
    for since in result["stops"]:
        if not apart or since - apart[-1] > STOP_APART_S:
            apart.append(since)
    return apart[ORACLE_STOP - 1] - result["onset_s"] if len(apart) >= ORACLE_STOP else math.inf


def _found(faulty: Results) -> list[str]:
    by_kind = {kind: [r for r in faulty if r["job"][2] == kind] for kind in FAULTS}
    counts = ", ".join(f"{len(some)} {kind}" for kind, some in by_kind.items())
    lines = [
        "### Faults found, and how soon",
        "",
        f"{counts}. The oracle knows every stop and speaks at the {ORACLE_STOP}rd.",
        "",
        f"| detector | {' | '.join(f'recall {kind}' for kind in FAULTS)} | median delay flap (h) | mild (h) | wear (d) "
        "| dead (min) | erratic (h) |",
        "|---|" + "---|" * 10,
    ]
    for name in DETECTORS:
        delays = {kind: [delay_s(r, name) for r in some] for kind, some in by_kind.items()}
        recalls = [_recall(some) for some in delays.values()]
        lines.append(f"| {name} | {' | '.join(recalls)} | {' | '.join(_medians(delays))} |")
    oracle = {kind: [oracle_s(r) for r in by_kind[kind]] for kind in ("flap", "mild")}
    cells = [_median(oracle[kind], 3600) for kind in ("flap", "mild")]
    lines.append(f"| oracle: stop number {ORACLE_STOP} | – | – | – | – | – | {' | '.join(cells)} | – | – | – |")
    for kind, some in by_kind.items():
        if kind in oracle and some:
            mine, best = middle([delay_s(r, "noout") for r in some])[0], middle(oracle[kind])[0]
            lines += ["", f"{kind}: noout's median delay is {mine / best:.2f} x the oracle's."]
    return lines


def _medians(delays: dict[str, list[float]]) -> list[str]:
    units = {"flap": 3600.0, "mild": 3600.0, "wear": 86400.0, "dead": 60.0, "erratic": 3600.0}
    return [_median(some, units[kind]) for kind, some in delays.items()]


def _median(seconds: Sequence[float], unit_s: float) -> str:
    value, low, high = (each / unit_s for each in middle(seconds))
    return "–" if not math.isfinite(value) else f"{value:.1f} [{low:.1f}–{high:.1f}]"


def _recall(delays: Sequence[float]) -> str:
    found = sum(math.isfinite(each) for each in delays)
    low, high = share(found, len(delays))
    return f"{found / len(delays):.2f} [{low:.2f}–{high:.2f}]" if delays else "–"


def _other_boards(faulty: Results) -> list[str]:
    lines = [
        "### The same on other boards (recall of noout, median delay)",
        "",
        "| board | fault | recall | median delay (h) |",
    ]
    lines.append("|---|---|---|---|")
    for board, kind in dict.fromkeys((r["job"][1], r["job"][2]) for r in faulty):
        delays = [delay_s(r, "noout") for r in faulty if r["job"][1] == board and r["job"][2] == kind]
        lines.append(f"| {board} | {kind} | {_recall(delays)} | {_median(delays, 3600)} |")
    return lines


def _base_rate(results: Results) -> list[str]:
    healthy = [r for r in results if r["job"][2] == "none" and r["job"][1] in ("plain", "percent")]
    lines = ["### What an alarm is worth", ""]
    for name in ("rpm < limit at once", "noout"):
        years = len(healthy) * YEARS
        count = _alarms(healthy, name)
        for rate in BASE_RATES:
            right = rate / (rate + count / years) if years and rate + count else 1.0
            worst = rate / (rate + poisson(count)[1] / years) if years else 0.0
            lines.append(
                f"- {name}: where {100 * rate:g} of 100 nodes have a faulty fan in a year, {100 * right:.0f} of 100 "
                f"alarms are true (at least {100 * worst:.0f}, at the upper end of the interval)."
            )
    lines += [
        "",
        "The rate of faults is an assumption, and so is every constant of the generator; real fleets differ. Rare "
        "faults make even a good detector's alarms doubtful: read the evidence before ordering a fan.",
    ]
    return lines


def _cost(results: Results) -> list[str]:
    whole = [r for r in results if r["polls"]]
    cpu_s = sum(r["cpu_s"]["noout"] for r in whole)
    rate = sum(r["polls"] for r in whole) / cpu_s if cpu_s else 0.0
    return [f"noout's detection took {1e6 / rate:.1f} µs of CPU a poll of {FANS} fans ({rate:,.0f} polls a second)."]
