"""Each target of the planner, what was measured, and whether it is met. A figure that is missing is said to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.plan.measure import BANDS, NETWORKS, NOOUT, Played
from benchmarks.plan.precopy import TEN
from benchmarks.plan.run import Results
from benchmarks.plan.stats import mean, quantile, wilson

FOUR = "PVE HA (static)"


def reached(results: Results) -> list[str]:
    return [*_times(results), *_fits(results), *_bytes(results), *_felt(results), *_rolling(results), *_spare(results)]


def _line(what: str, figure: float | None, limit: float, unit: str = "", *, least: bool = False, more: str = "") -> str:
    sign = "≥" if least else "≤"
    if figure is None:
        return f"{what} {sign} {limit:g}{unit}: not measured in this run"
    met = figure >= limit if least else figure <= limit
    return f"{what} {sign} {limit:g}{unit}: {figure:.3g}{unit}{more}: {'met' if met else 'NOT MET'}"


def _times(results: Results) -> Iterator[str]:
    for hosts, limit in ((32, 0.5), (100, 1.0), (1000, 3.0)):
        seconds = [each.seconds for each in results.timed if each.hosts == hosts]
        yield _line(f"plan time p95, {hosts:,} nodes", quantile(seconds, 0.95) if seconds else None, limit, " s")


def _fits(results: Results) -> Iterator[str]:
    for band, limit in ((list(BANDS)[1], 100.0), (list(BANDS)[2], 99.0)):
        some = [row for row in results.rows if row.planner == NOOUT and row.band == band]
        hits = sum(row.sound for row in some)
        low, high = wilson(hits, len(some))
        more = f" ({hits} of {len(some)}, {100 * low:.1f}–{100 * high:.1f})"
        yield _line(
            f"feasible, {band} full", 100 * hits / len(some) if some else None, limit, " %", least=True, more=more
        )
    carried = [row for row in results.rows if row.planner == NOOUT and not row.refused]
    yield _line("plans with a violation at any instant", float(sum(not row.sound for row in carried)), 0)


def _bytes(results: Results) -> Iterator[str]:
    over = [
        100 * (each.aside_gib - each.least_gib) / (each.leaving_gib + each.least_gib)
        for each in results.proved
        if each.least_gib is not None
    ]
    yield _line(
        "moved GiB over the proven least where somebody steps aside, mean", mean(over) if over else None, 3, " %"
    )
    yield _line("the same, p95", quantile(over, 0.95) if over else None, 10, " %")


def _felt(results: Results) -> Iterator[str]:
    for network in NETWORKS:
        for dirty, limit in (("as drawn", 1.05), ("ten times", 1.15)):
            mine = _of(results.played, NOOUT, network.name, dirty)
            named = f"{network.name}, rewritten {dirty}"
            yield _line(f"evacuation / bound, {named}", _mean([e.seconds / e.best_s for e in mine]), limit)
            yield _line(f"single migration / alone, {named}", _mean([e.single_to_alone for e in mine]), 1.2)
    mine = _of(results.played, NOOUT, TEN.name, "ten times")
    four = _mean([each.throttled for each in _of(results.played, FOUR, TEN.name, "ten times")])
    slowed = _mean([each.throttled for each in mine])
    share = slowed / four if four and slowed is not None else None
    yield _line("guests slowed down / those of four in parallel, 10G, rewritten ten times", share, 0.5)


def _rolling(results: Results) -> Iterator[str]:
    least = [(each.moves - each.refill_moves) / each.least_moves for each in results.rolled]
    yield _line("rolling: moves / least", _mean(least), 1.02)
    for hosts, limit in ((5, 1.25), (16, 1.08)):
        every = [each.moves / each.guests for each in results.rolled if each.hosts == hosts]
        yield _line(f"rolling: moves per guest, {hosts} nodes, refill included", _mean(every), limit)
    for hosts, limit in ((32, 5.0), (100, 15.0)):
        seconds = [each.seconds for each in results.rolled if each.hosts == hosts]
        yield _line(f"rolling plan time, {hosts} nodes", max(seconds) if seconds else None, limit, " s")
    kept, alone = sum(e.spare_kept for e in results.rolled), sum(e.spare_alone_kept for e in results.rolled)
    yield _line("rolling: turns with N+1 kept less those of there and back", float(kept - alone), 0, least=True)


def _spare(results: Results) -> Iterator[str]:
    shares: dict[str, float] = {}
    for planner in dict.fromkeys(row.planner for row in results.rows):
        some = [row for row in results.rows if row.planner == planner and row.spare is not None]
        if len(some) == len([row for row in results.rows if row.planner == NOOUT and row.spare is not None]):
            shares[planner] = 100 * sum(row.spare is True for row in some) / max(1, len(some))
    best = max((share, name) for name, share in shares.items() if name != NOOUT)
    yield _line(f"N+1 kept, beside the best of the others ({best[1]})", shares[NOOUT], best[0], " %", least=True)


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None


def _of(played: Sequence[Played], planner: str, network: str, dirty: str) -> list[Played]:
    return [e for e in played if e.planner == planner and e.network == network and e.dirty == dirty]
