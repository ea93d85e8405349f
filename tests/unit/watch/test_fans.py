"""Peers learned, standby fans learned, wear and erratic sensors told from load, wrong limits told from faults."""

from __future__ import annotations

import math
from random import Random

import pytest

from noout.watch.fan import FAILED_POLLS
from noout.watch.fans import FanWatch
from noout.watch.peers import learn
from noout.watch.rows import level

EVERY_S = 300
A_DAY = 86400 // EVERY_S


def watched(limits):
    fans = FanWatch()
    for i, limit in enumerate(limits):
        fans.limit(fans.add(f"FAN{i + 1}"), limit)
    return fans


def load(chance: Random, poll: int, phase: float = 0.0) -> float:
    """1 and more: the hour of day, and now and then a burst."""
    return 1.2 + 0.2 * math.sin(2 * math.pi * (poll / A_DAY + phase)) + 0.6 * (chance.random() < 0.02)


def two_zones(days: float, seed: int = 1):
    """Four fans under one control and two under another, each with its own bursts."""
    chance = Random(seed)
    for poll in range(int(days * A_DAY)):
        one, two = load(chance, poll), 0.7 * load(chance, poll, 0.2)
        yield (
            poll,
            [
                5000 * zone * share * chance.gauss(1, 0.008)
                for zone, share in zip((one, one, one, one, two, two), (1, 0.93, 1.04, 0.9, 1, 1.1), strict=True)
            ],
        )


def test_fans_under_two_controls_are_told_apart():
    fans = watched([1000] * 6)
    for poll, speeds in two_zones(4):
        fans.feed(poll * EVERY_S, speeds)
    assert sorted(fans.groups) == [(0, 1, 2, 3), (4, 5)]
    assert not any(fan.low or fan.degraded_since or fan.odd_since for fan in fans.fans)
    assert fans.fans[3].offset - fans.fans[0].offset == pytest.approx(math.log(0.9), abs=0.02)


def test_fans_that_never_vary_are_peers_and_one_row_says_nothing():
    rows = [[8.5 + 0.001 * (i % 3), 8.3, None] for i in range(20)]
    assert learn(rows, 3).groups == ((0, 1), (2,))
    assert learn(rows[:2], 3).groups == ((0,), (1,), (2,))


@pytest.mark.parametrize(("slower", "found"), [(0.03, False), (0.15, True)])
def test_a_fan_that_turns_slower_than_it_did_is_degraded(slower, found):
    fans = watched([1000] * 6)
    for poll, speeds in two_zones(6):
        if poll > 4 * A_DAY:
            speeds[1] *= 1 - slower
        fans.feed(poll * EVERY_S, speeds)
    assert [fan.name for fan in fans.fans if fan.degraded_since is not None] == (["FAN2"] if found else [])
    if found:
        assert fans.fans[1].degraded_since == pytest.approx(4 * 86400, abs=7200)


def test_a_tachometer_that_reads_at_random_is_erratic():
    fans, chance = watched([1000] * 6), Random(5)
    for poll, speeds in two_zones(6):
        if poll > 4 * A_DAY and chance.random() < 0.1:
            speeds[2] *= chance.choice((0.7, 1.5))
        fans.feed(poll * EVERY_S, speeds)
    assert [fan.name for fan in fans.fans if fan.erratic_since(6 * 86400.0) is not None] == ["FAN3"]


def test_a_reading_that_is_as_the_peers_were_a_poll_ago_is_no_fault():
    """The load leaps up, and one sensor of six is read a moment before."""
    fans = watched([300] * 6)
    for poll, speeds in two_zones(2):
        fans.feed(poll * EVERY_S, speeds)
    for poll in range(2 * A_DAY, 2 * A_DAY + 40):
        level = 12000 if poll % 8 == 0 else 4000
        speeds = [float(level)] * 4 + [4000.0, 4400.0]
        if level == 12000:
            speeds[1] = 4000.0
        fans.feed(poll * EVERY_S, speeds)
    assert not fans.fans[1].low


@pytest.mark.parametrize(("stops", "stands"), [(True, True), (False, False)])
def test_a_fan_without_a_limit_that_stood_still_in_its_first_days_stands_by(stops, stands):
    fans = watched([1000, 1000, 1000, 1000, 1000, 0])
    for poll, speeds in two_zones(5):
        calm = poll % A_DAY > A_DAY / 2
        if (stops and calm) or poll > 5 * A_DAY - 20:
            speeds[5] = 0.0
        fans.feed(poll * EVERY_S, speeds)
    last = fans.fans[5]
    assert last.standby is stands
    assert (last.run >= FAILED_POLLS) is not stands


@pytest.mark.parametrize(
    "first",
    [
        pytest.param((9000.0, 9000.0, 1200.0), id="one of them is read as it starts"),
        pytest.param((3500.0, 9000.0, 9900.0), id="the one that always turns is read late"),
    ],
)
def test_nobody_is_slow_as_standby_fans_start(first):
    fans = watched([1000, 1000, 1000, 1000, 0, 0])
    for poll, speeds in two_zones(2):
        speeds[3] = 0.9 * speeds[5]
        fans.feed(poll * EVERY_S, [*speeds[:4], 0.0, 0.0] if poll % A_DAY > 0.6 * A_DAY else speeds)
    assert (3, 4, 5) in fans.groups and fans.fans[5].stands
    for i, speeds in enumerate([(3500.0, 0.0, 0.0), first, *[(8900.0, 9000.0, 9900.0)] * 2]):
        fans.feed((2 * A_DAY + i) * EVERY_S, [5000.0, 4650.0, 5200.0, *speeds])
    assert not any(fan.low or fan.odd for fan in fans.fans)


def test_ten_minutes_of_which_a_fan_stood_still_in_some_say_nothing_of_its_proportion_to_others():
    """A standby fan turns in the busy part of them only, its neighbour in the calm part too."""
    assert level([0.0, 0.0, 9000.0]) is None
    assert level([None, 9000.0, 3000.0]) == pytest.approx(math.log(6000))


def test_the_neighbours_of_a_dead_fan_are_not_erratic():
    fans = watched([1000] * 6)
    for poll, speeds in two_zones(4):
        if poll > 2 * A_DAY:
            speeds[4] = 0.0
        fans.feed(poll * EVERY_S, [*speeds[:3], 0.9 * speeds[5], *speeds[4:]])
    assert fans.fans[4].run >= FAILED_POLLS and (3, 4, 5) in fans.groups
    assert not any(fan.odd or fan.low for i, fan in enumerate(fans.fans) if i != 4)
    for share in (0.45, 1.0):
        fans.feed((poll := poll + 1) * EVERY_S, [*speeds[:3], 0.9 * share * speeds[5], *speeds[4:]])
    assert fans.fans[3].low  # and it does not vouch for the others either


def test_a_fan_that_was_swapped_starts_anew():
    fans = watched([1000] * 6)
    for poll, speeds in two_zones(8):
        if poll > 4 * A_DAY:
            speeds[1] *= 0.85  # a model that turns slower
        if 0 <= poll - 4 * A_DAY < 6:
            speeds[1] = None
        fans.feed(poll * EVERY_S, speeds)
    assert fans.fans[1].degraded_since is None and fans.fans[1].offset is not None
    assert not fans.fans[1].low


def swapped(day: float, *, away: int, share: float, days: float = 9):
    """FAN5 of the two is pulled out and another put in, that turns slower; the night after it is calm."""
    fans = watched([1000] * 6)
    swap = int(day * A_DAY)
    for poll, speeds in two_zones(days):
        if 0 <= poll - swap < A_DAY * 0.3:
            speeds = [5000.0, 4650.0, 5200.0, 4500.0, 3500.0, 3850.0]
        if poll >= swap:
            speeds[4] *= share
        if poll == swap:
            speeds[4] = 0.0
        elif 0 < poll - swap <= away:
            speeds[4] = None
        fans.feed(poll * EVERY_S, speeds)
        assert not [fan.name for fan in fans.fans if fan.degraded_since is not None or fan.odd_since is not None], poll
    return fans


def test_a_fan_that_was_swapped_in_a_calm_night_stays_under_its_control():
    """In a calm night all fans turn alike, and the greater group is not the likelier one."""
    fans = swapped(4, away=6, share=0.95)
    assert sorted(fans.groups) == [(0, 1, 2, 3), (4, 5)]
    assert fans.fans[4].offset - fans.fans[5].offset == pytest.approx(math.log(0.95 / 1.1), abs=0.02)


def test_a_fan_that_was_swapped_within_a_minute_or_two_starts_anew():
    swapped(4, away=1, share=0.85)


def test_a_fan_that_was_swapped_before_anything_was_learned_starts_anew():
    fans = swapped(2.4, away=6, share=0.89)
    assert fans.fans[4].offset - fans.fans[5].offset == pytest.approx(math.log(0.89 / 1.1), abs=0.02)


def test_a_new_rhythm_of_polls_is_taken_up():
    fans = watched([1000, 1000])
    for i in range(20):
        fans.feed(60 * i, [5000.0, 5000.0])
    for i in range(20):
        fans.feed(3600 + 900 * i, [5000.0, 0.0])
    assert fans.silent == "" and fans.fans[1].run >= FAILED_POLLS
