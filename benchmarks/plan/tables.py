"""The figures as rows of words, each with how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.plan.measure import BANDS, DIRTY, NETWORKS, NOOUT, SOLVER, Played, Row
from benchmarks.plan.run import Results
from benchmarks.plan.stats import bootstrap, mean, quantile, wilson


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(results: Results) -> list[Table]:
    found = [_feasible(results), _spare(results), *_networks(results), _bytes(results)]
    return [*found, _times(results), _rolling(results), _others_better(results)]


def planners(rows: Sequence[Row] | Sequence[Played]) -> list[str]:
    return list(dict.fromkeys(row.planner for row in rows))


def _share(hits: int, of: int) -> str:
    if not of:
        return "–"
    low, high = wilson(hits, of)
    return f"{100 * hits / of:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def _mean(values: Sequence[float], digits: int = 2) -> str:
    if not values:
        return "–"
    low, high = bootstrap(values)
    return f"{mean(values):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _feasible(results: Results) -> Table:
    rows = []
    for planner in planners(results.rows):
        cells: list[str] = []
        for band in BANDS:
            some = [row for row in results.rows if row.planner == planner and row.band == band]
            cells += [
                _share(sum(row.ram_safe for row in some), len(some)),
                _share(sum(r.sound for r in some), len(some)),
            ]
        rows.append((planner, *cells))
    head = [f"{band} full: {what}" for band in BANDS for what in ("RAM", "RAM and rules")]
    count = {band: len({row.instance for row in results.rows if row.band == band}) for band in BANDS}
    notes = [
        "Share of clusters in which everybody left and, at every instant, no node had more RAM promised than it has; "
        "and in which no strict rule was broken either. In brackets the 95 % interval (Wilson). Every cluster can be "
        f"emptied. Clusters: {', '.join(f'{n} ({band})' for band, n in count.items())}; seeds from {results.seed} on."
    ]
    if results.absent:
        notes.append(f"ProxLB and proxlb-solver are not in this table: {results.absent}.")
    notes += _refusals(results)
    return Table("Does the plan fit?", ("planner", *head), tuple(rows), tuple(notes))


def _refusals(results: Results) -> list[str]:
    """Who had no plan at all, how often, and what it said."""
    notes = []
    for planner in planners(results.rows):
        mine = [row for row in results.rows if row.planner == planner]
        none = [row for row in mine if row.refused]
        if none and not all(row.why.startswith("no room") for row in none):
            said = Counter(row.why or "nothing" for row in none).most_common(3)
            words = "; ".join(f"{why[:90]} ({times})" for why, times in said)
            notes.append(f"{planner} gave no plan in {len(none)} of {len(mine)} clusters: {words}.")
    asked = [row for row in results.rows if row.planner == SOLVER]
    if asked:
        longest = max(row.plan_s for row in asked)
        notes.append(
            f"{SOLVER} was asked {len(asked)} times and thought for up to {longest:.0f} s (ProxLB allows it 30 s of "
            "search)."
        )
    return notes


def _spare(results: Results) -> Table:
    rows = []
    for planner in planners(results.rows):
        cells = []
        for band in BANDS:
            some = [r for r in results.rows if r.planner == planner and r.band == band and r.spare is not None]
            cells.append(_share(sum(row.spare is True for row in some), len(some)))
        rows.append((planner, *cells))
    note = (
        "Share of clusters in which, with the node empty, any further node's guests would find room too; of those in "
        "which the sum of all RAM does not forbid it. A plan that does not fit keeps nothing."
    )
    return Table("Is N+1 kept?", ("planner", *(f"{band} full" for band in BANDS)), tuple(rows), (note,))


def _networks(results: Results) -> list[Table]:
    found = []
    for network in NETWORKS:
        for dirty in DIRTY:
            rows = []
            some = [each for each in results.played if each.network == network.name and each.dirty == dirty]
            for planner in planners(some):
                mine = [each for each in some if each.planner == planner]
                rows.append(
                    (
                        planner,
                        str(len(mine)),
                        _mean([each.seconds / each.best_s for each in mine]),
                        f"{mean([each.seconds / each.once_s for each in mine]):.2f}",
                        f"{mean([each.single_s for each in mine]):.0f} s",
                        f"{mean([each.single_to_alone for each in mine]):.2f}",
                        _mean([each.throttled for each in mine], 1),
                        f"{1000 * mean([each.blackout_s for each in mine]):.0f} ms",
                    )
                )
            head = ("planner", "evacuations", "time / bound", "time / memory once", "mean single migration",
                    "to the same alone", "guests slowed down", "worst pause")  # fmt: skip
            title = f"How long, and what guests feel: {network.name}, rewritten {dirty}"
            found.append(Table(title, head, tuple(rows)))
    note = (
        "Bound: all bytes that leave, what is rewritten meanwhile included, through the node's link and one set-up, or "
        'the longest single migration. "Memory once" counts nothing that is rewritten, which no pre-copy can reach. '
        "An evacuation is counted whether or not the plan fits; one that its planner refused is not."
    )
    last = found[-1]
    return [*found[:-1], Table(last.title, last.head, last.rows, (note,))]


def _bytes(results: Results) -> Table:
    mine = [row for row in results.rows if row.planner == NOOUT and row.sound and row.hosts <= 16]
    none = [row for row in mine if row.aside_gib == 0]
    proved = [each for each in results.proved if each.least_gib is not None]
    over = [
        100 * (each.aside_gib - (each.least_gib or 0.0)) / (each.leaving_gib + (each.least_gib or 0.0))
        for each in proved
    ]
    # Where nobody stepped aside the least was moved; the others were drawn from those in which somebody did.
    weight = (len(mine) - len(none)) / len(proved) if proved else 0.0
    everywhere = mean(over) * len(proved) * weight / len(mine) if mine else 0.0
    rows = (
        ("clusters of at most 16 nodes with a plan that fits", str(len(mine))),
        ("nobody of another node moves: the least there is", _share(len(none), len(mine))),
        ("somebody does: the least proved by CP-SAT", f"{len(proved)} of {len(results.proved)} tried"),
        ("over the least where somebody does, mean", f"{_mean(over)} %"),
        ("over the least where somebody does, p95", f"{quantile(over, 0.95):.1f} %"),
        ("over the least in all, mean", f"{everywhere:.2f} %"),
    )
    note = "The least is that of any final placement that RAM and rules allow, whether or not an order leads there."
    notes = (
        note,
        *((f"Nothing was proved: CP-SAT comes with proxlb-solver ({results.absent}).",) if results.absent else ()),
    )
    return Table("How much more than necessary is moved?", ("noout", ""), rows, notes)


def _times(results: Results) -> Table:
    rows = []
    for hosts in dict.fromkeys(each.hosts for each in results.timed):
        some = [each for each in results.timed if each.hosts == hosts]
        seconds = [each.seconds for each in some]
        guests = f"{mean([each.guests for each in some]):,.0f}"
        shown = [f"{value:.3f} s" for value in (quantile(seconds, 0.5), quantile(seconds, 0.95), max(seconds))]
        rows.append((f"{hosts:,}", guests, str(len(some)), *shown))
    note = (
        "CPU time of one plan on this machine: way out, way home, N+1 and the lint. Clusters 86 to 94 % full, those of "
        "1,000 nodes about half full."
    )
    head = ("nodes", "guests", "plans", "p50", "p95", "most")
    return Table("How long does planning take?", head, tuple(rows), (note,))


def _rolling(results: Results) -> Table:
    rows = []
    for hosts in dict.fromkeys(each.hosts for each in results.rolled):
        some = [each for each in results.rolled if each.hosts == hosts]
        least = [(each.moves - each.refill_moves) / each.least_moves for each in some]
        every = [each.moves / each.guests for each in some]
        back = [each.there_and_back_moves / each.guests for each in some]
        stages = sum(each.stages for each in some)
        rows.append(
            (
                str(hosts), str(len(some)), f"{mean(least):.3f}", f"{mean(every):.3f}", f"{mean(back):.2f}",
                f"{stages} of {stages + sum(each.blocked for each in some)}",
                f"{sum(each.sound for each in some)} of {len(some)}",
                f"{sum(each.spare_kept for each in some)} / {sum(each.spare_alone_kept for each in some)}",
                f"{max(each.seconds for each in some):.1f} s",
            )
        )  # fmt: skip
    head = ("nodes", "clusters", "moves / least", "moves per guest, refill included", "there and back", "nodes emptied",
            "without a fault", "turns with N+1 kept / there and back", "CPU time at most")  # fmt: skip
    note = "Clusters 85 % full while a node is empty. Least: every guest once, and those of the first node twice."
    return Table("Every node in turn", head, tuple(rows), (note,))


def _others_better(results: Results) -> Table:
    """Cluster by cluster: where somebody else did at least as well."""
    mine = {row.instance: row for row in results.rows if row.planner == NOOUT}
    rows = []
    for planner in planners(results.rows):
        if planner == NOOUT:
            continue
        pairs = [(row, mine[row.instance]) for row in results.rows if row.planner == planner]
        both = [(row, own) for row, own in pairs if row.sound and own.sound]

        def count(better: Callable[[Row, Row], bool], some: Sequence[tuple[Row, Row]]) -> str:
            return f"{sum(better(row, own) for row, own in some)} of {len(some)}"

        rows.append(
            (
                planner,
                count(lambda row, own: row.sound and not own.sound, pairs),
                count(lambda row, own: row.moved_gib < own.moved_gib - 0.01, both),
                count(lambda row, own: abs(row.moved_gib - own.moved_gib) <= 0.01, both),
                count(lambda row, own: row.evacuation_s < own.evacuation_s, both),
                count(lambda row, own: row.spare is True and own.spare is False, pairs),
                count(lambda row, own: row.plan_s < own.plan_s, pairs),
            )
        )
    head = ("planner", "fits, noout's does not", "moves less", "moves as much", "is empty sooner",
            "keeps N+1, noout not", "has planned sooner")  # fmt: skip
    note = "Less, as much and sooner: of the clusters in which both plans hold. Sooner on 10G, rewritten as drawn."
    return Table("Where another is as good or better", head, tuple(rows), (note,))
