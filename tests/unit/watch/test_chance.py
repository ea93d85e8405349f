"""What a quiet soak proves: the chance with its interval, against tables, against chance itself, and at its edges."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noout.domain.hardware import Condition, Episode, Fault, Urgency, Verdict
from noout.watch.chance import chance, gamma_quantile, gamma_share, rate_interval, says, soak_s
from tests.unit.watch.traces import PVE3, START


def fault(hours: list[float], lasting: bool = False) -> Fault:
    starts = [START + timedelta(hours=each) for each in hours]
    episodes = tuple(Episode("FAN3B", at, None if lasting else at + timedelta(seconds=4), "stall") for at in starts)
    verdict = Verdict(PVE3, "FAN3B", Condition.FLAPPING, START, "It flaps.", episodes)
    return Fault(PVE3, "fans", ("FAN3B",), Urgency.SCHEDULE, "It flaps.", (verdict,))


@pytest.mark.parametrize(
    ("shape", "share", "x"),
    # chi-square tables: the quantile of Gamma(k/2) is half that of chi-square with k degrees of freedom
    [(0.5, 0.95, 1.92073), (1.0, 0.95, 2.99573), (2.5, 0.05, 0.57274), (5.0, 0.95, 9.15352), (15.0, 0.05, 9.24633)],
)
def test_the_quantiles_are_those_of_the_tables(shape: float, share: float, x: float) -> None:
    assert gamma_quantile(shape, share) == pytest.approx(x, rel=1e-4)


@given(st.floats(0.5, 300), st.floats(0.001, 0.999))
@settings(max_examples=50)
def test_quantile_and_share_undo_each_other(shape: float, share: float) -> None:
    assert gamma_share(shape, gamma_quantile(shape, share)) == pytest.approx(share, abs=1e-6)


def test_the_interval_holds_the_true_rate_nine_times_in_ten() -> None:
    chances, rate = random.Random(7), 1 / 3600
    held = 0
    for _ in range(1000):
        count, at = 0, chances.expovariate(rate)
        while at < 8 * 3600:
            count, at = count + 1, at + chances.expovariate(rate)
        low, high = rate_interval(count, 8 * 3600)
        held += low <= rate <= high
    assert 870 <= held <= 940


def test_an_hourly_fault_in_ten_minutes_and_in_three_hours() -> None:
    told = chance(fault([0, 1, 2, 3, 4]), 600)
    assert told.best == pytest.approx(1 - math.exp(-1 / 6))
    assert 0.06 < told.low < told.best < told.high < 0.35
    assert "a chance of 15 % (90 % interval" in says(told, 600) and "5 episodes in 4 h" in says(told, 600)
    assert chance(fault([0, 1, 2, 3, 4]), 3 * 3600).best > 0.95


def test_more_episodes_say_it_more_surely() -> None:
    few, many = chance(fault([0, 1, 2]), 3600), chance(fault([float(i) for i in range(40)]), 3600)
    assert few.best == pytest.approx(many.best) and few.high - few.low > 2 * (many.high - many.low)


def test_what_is_not_known_is_not_said() -> None:
    for unknown in (None, fault([]), fault([1.0]), fault([1.0, 1.0])):
        told = chance(unknown, 600)
        assert (told.best, told.low, told.high) == (0.0, 0.0, 1.0) and "not known" in says(told, 600)
    lasting = chance(fault([1.0], lasting=True), 600)
    assert (lasting.low, lasting.high) == (1.0, 1.0) and "all the time" in says(lasting, 600)


def test_the_soak_is_as_long_as_the_share_wants_within_its_limits() -> None:
    hourly = fault([0, 1, 2, 3, 4])
    assert soak_s(hourly, 600, 0.0, 14400) == 600
    assert soak_s(hourly, 600, 0.95, 14400) == pytest.approx(3600 * -math.log(0.05))
    assert chance(hourly, soak_s(hourly, 600, 0.9, 14400)).best == pytest.approx(0.9)
    assert soak_s(fault([0, 30]), 600, 0.95, 14400) == 14400
    assert soak_s(fault([0, 0.01, 0.02]), 600, 0.95, 14400) == 600
    for unknown in (None, fault([1.0]), fault([0, 1], lasting=True)):
        assert soak_s(unknown, 600, 0.95, 14400) == 600
