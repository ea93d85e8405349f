"""Hours in which customers want their guests left alone: whose they are, what the plan says, and what lint wants."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from noout.domain.customers import Customer, quiet_hours
from noout.domain.windows import free_from
from noout.plan.lint import lint
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, node_id

WORK = "Mon-Fri 08:00-18:00"
HERE = f"{WORK} Europe/Amsterdam"
SHOP = Customer(
    "shop", "Shop", frozenset({"shop"}), timezone="Europe/Amsterdam",
    quiet_hours=(("db", (WORK,)), ("*", ("Fri 17:00-20:00",))),
)  # fmt: skip
POLICY = Policy(customers=(SHOP,))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "need_s", "free"),
    [
        ("2026-11-30T10:00", 1, "2026-11-30T17:00"),  # 18:00 in Amsterdam, in winter
        ("2026-11-30T17:00", 1, "2026-11-30T17:00"),
        ("2026-11-30T06:30", 1, "2026-11-30T06:30"),
        ("2026-11-30T06:30", 3600, "2026-11-30T17:00"),  # it would run on into them
        ("2026-12-04T12:00", 86400, "2026-12-04T17:00"),  # the weekend
        ("2026-11-30T10:00", 80 * 3600, None),  # no weekend is as long
    ],
)
def test_the_first_time_that_is_free_for_long_enough(at: str, need_s: float, free: str | None) -> None:
    assert free_from(utc(at), (HERE,), need_s) == (utc(free) if free else None)


def test_there_is_no_free_time_in_a_week_that_is_all_quiet() -> None:
    assert free_from(NOW, ("Mon-Sun 00:00-24:00 UTC",)) is None


TEXTS = ("Mon-Fri 08:00-18:00 Europe/Amsterdam", "Sat,Sun 22:00-04:00 UTC", "Tue 00:00-24:00 America/New_York")


@given(some.sets(some.sampled_from(TEXTS)), some.integers(0, 20_000), some.integers(1, 100_000))
def test_what_is_free_lies_outside_all_of_them_minute_by_minute(quiet: set[str], after_min: int, need_s: int) -> None:
    at = NOW + timedelta(minutes=after_min)
    found = free_from(at, tuple(quiet), need_s)
    if found is None:
        return
    for second in range(0, need_s, 300):
        moment = found + timedelta(seconds=second)
        assert all(free_from(moment, (text,)) == moment for text in quiet)


def test_a_tag_marks_whom_they_concern_and_a_star_all() -> None:
    tagged = a_guest(100, "a", pool="shop", tags=frozenset({"db"}))
    assert quiet_hours([SHOP], tagged) == (HERE, "Fri 17:00-20:00 Europe/Amsterdam")
    assert quiet_hours([SHOP], a_guest(101, "a", pool="shop")) == ("Fri 17:00-20:00 Europe/Amsterdam",)
    assert quiet_hours([SHOP], a_guest(102, "a", tags=frozenset({"db"}))) == ()  # somebody else's


def test_of_two_that_claim_a_guest_both_are_respected() -> None:
    other = replace(SHOP, key="other", quiet_hours=(("*", ("Sun 10:00-11:00",)),))
    found = quiet_hours([SHOP, other], a_guest(100, "a", pool="shop"))
    assert found == ("Fri 17:00-20:00 Europe/Amsterdam", "Sun 10:00-11:00 Europe/Amsterdam")


def a_world(**more: object):
    guests = [a_guest(100, "a", pool="shop", tags=frozenset({"db"}), **more), a_guest(101, "a")]
    return a_state([a_node(name) for name in "abc"], guests)


def test_the_plan_carries_them_there_and_back_and_says_from_when_it_goes() -> None:
    plan = make_plan(a_world(), None, node_id("a"), now=NOW, policy=POLICY)
    assert plan.feasible and not lint(plan, a_world(), POLICY)
    assert {move.guest.vmid: bool(move.quiet) for move in (*plan.moves, *plan.returns)} == {100: True, 101: False}
    assert all(HERE in move.quiet for move in (*plan.moves, *plan.returns) if move.guest.vmid == 100)
    (said,) = [each for each in plan.cautions if each.code == "guest.quiet-hours"]
    assert "not before 2026-11-30 18:00 Europe/Amsterdam" in said.message and WORK in said.message


def test_a_guest_that_is_off_during_the_repair_is_not_promised_anything() -> None:
    world = a_world(local_resources=("hostpci0",))
    plan = make_plan(world, None, node_id("a"), now=NOW, policy=replace(POLICY, shutdown_tag="db"))
    (said,) = [each for each in plan.cautions if each.code.startswith("guest.quiet")]
    assert said.code == "guest.quiet-hours-off" and "technician" in said.remedy


def test_a_move_that_fits_into_no_gap_is_named() -> None:
    nearly_always = replace(SHOP, quiet_hours=(("*", ("Mon-Sun 00:00-23:59",)),))
    policy = Policy(customers=(nearly_always,), nic_bytes_s=1e7)
    plan = make_plan(a_world(ram_gib=30), None, node_id("a"), now=NOW, policy=policy)
    (said,) = [each for each in plan.cautions if each.code.startswith("guest.quiet")]
    assert said.code == "guest.quiet-hours-short" and "no gap as long" in said.message


def test_lint_wants_them_in_the_plan() -> None:
    plan = make_plan(a_world(), None, node_id("a"), now=NOW, policy=POLICY)
    without = replace(plan, moves=tuple(replace(move, quiet=()) for move in plan.moves))
    assert any("is to be left alone Mon-Fri 08:00-18:00 (shop)" in each for each in lint(without, a_world(), POLICY))
