"""The figures' own arithmetic, and the table that they end in."""

from __future__ import annotations

import pytest
from benchmarks.plan import page, run
from benchmarks.plan.instances import make
from benchmarks.plan.measure import NOOUT, compared
from benchmarks.plan.rivals import SIMPLE
from benchmarks.plan.stats import bootstrap, mean, quantile, wilson


def test_intervals_hold_what_they_are_about() -> None:
    low, high = wilson(49, 100)
    assert low == pytest.approx(0.394, abs=0.001) and high == pytest.approx(0.587, abs=0.001)
    assert wilson(10, 10)[1] == 1.0 and wilson(10, 10)[0] == pytest.approx(0.722, abs=0.001)
    assert wilson(0, 10)[0] == 0.0
    values = [float(each) for each in range(20)]
    low, high = bootstrap(values)
    assert low < mean(values) < high and bootstrap(values) == (low, high)
    assert [quantile(values, share) for share in (0.5, 0.95, 1.0)] == [9.0, 18.0, 19.0]


@pytest.mark.parametrize("name", SIMPLE)
def test_the_simple_planners_move_each_guest_of_the_node_once_and_nobody_else(name: str) -> None:
    instance = make(5, 8, "hosting", 0.75)
    [jobs] = SIMPLE[name](instance).steps
    here = {guest.id for guest in instance.state.guests_on(instance.leaving)}
    assert sorted(job.guest for job in jobs) == sorted(here)
    assert all(job.source == instance.leaving != job.target for job in jobs)


def test_a_comparison_becomes_a_page() -> None:
    results = run.Results("not asked", 1, rows=compared(1, 5, "enterprise", "85-95 %", None))
    [mine] = [row for row in results.rows if row.planner == NOOUT]
    assert mine.sound and mine.moved_gib >= mine.leaving_gib > 0 and mine.evacuation_s > 0
    told = page.text(results)
    assert "not in this table: not asked" in told
    assert "plan time p95, 32 nodes ≤ 0.5 s: not measured in this run" in told
    assert all(f"| {row.planner} |" in page.markdown(results) for row in results.rows)
