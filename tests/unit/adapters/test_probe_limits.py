"""How often anybody is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noout.adapters.probe.limits import HEADROOM, Guard, Limits, stretches


@given(
    times=st.lists(st.floats(0, 5, allow_nan=False), max_size=80).map(sorted),
    per_s=st.integers(1, 6),
    per_host_per_s=st.integers(1, 4),
    hosts=st.lists(st.sampled_from(["a", "b", "c"]), min_size=80, max_size=80),
)
def test_in_no_second_is_more_asked_than_the_limits(
    times: list[float], per_s: int, per_host_per_s: int, hosts: list[str]
) -> None:
    guard = Guard(Limits(per_s, per_host_per_s))
    let = [(at, host) for at, host in zip(times, hosts, strict=False) if guard.lets(host, at)]
    for start, _ in let:
        within = [host for at, host in let if start <= at and at - start < 1]
        assert len(within) <= per_s
        assert all(within.count(host) <= per_host_per_s for host in within)


def test_without_limits_everybody_is_asked() -> None:
    guard = Guard(Limits(None, None))
    assert all(guard.lets("a", 0.0) for _ in range(5000))


def test_those_behind_one_limit_give_way_alike_and_others_do_not() -> None:
    hosts = ["a"] * 36 + ["b"]
    assert stretches(hosts, 1.0, Limits(None, 20), {}) == {"a": pytest.approx(36 / (20 * HEADROOM)), "b": 1.0}
    assert stretches(hosts, 1.0, Limits(10, None), {"z": 8.0}) == {
        "a": pytest.approx(45 / (10 * HEADROOM)),
        "b": pytest.approx(45 / (10 * HEADROOM)),
    }
    assert stretches(hosts, 1.0, Limits(None, None), {}) == {"a": 1.0, "b": 1.0}
