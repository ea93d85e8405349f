"""Guessing is slow, from one place; nobody is kept out by what happens elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest

from noout.app.access.tries import OF_ONE_NAME, OF_ONE_PLACE, PLACES_MAX, WITHIN, Tries, place_of
from noout.domain.errors import Refused
from tests.unit.steps.scene import T0

HERE, THERE = "192.0.2.7", "198.51.100.9"


def wrong(tries: Tries, times: int, *, name: str = "anna", address: str = HERE) -> None:
    for _ in range(times):
        tries.check(name, address, T0)
        tries.wrong(name, address, T0)


def test_after_some_wrong_tries_of_one_name_there_is_a_pause() -> None:
    tries = Tries()
    wrong(tries, OF_ONE_NAME)
    with pytest.raises(Refused, match="too many") as caught:
        tries.check("anna", HERE, T0 + timedelta(minutes=5))
    assert caught.value.remedy == "try again in 10 min"
    tries.check("anna", HERE, T0 + WITHIN)


def test_somebody_elses_tries_keep_nobody_out() -> None:
    tries = Tries()
    wrong(tries, OF_ONE_NAME)
    tries.check("anna", THERE, T0)
    tries.check("piet", HERE, T0)


def test_trying_many_names_is_trying_too() -> None:
    tries = Tries()
    for number in range(OF_ONE_PLACE):
        wrong(tries, 1, name=f"user{number}")
    with pytest.raises(Refused):
        tries.check("anna", HERE, T0)


def test_being_right_ends_the_counting_of_that_name() -> None:
    tries = Tries()
    wrong(tries, OF_ONE_NAME - 1)
    tries.right("anna", HERE)
    wrong(tries, OF_ONE_NAME - 1)
    tries.check("anna", HERE, T0)


def test_a_network_of_one_owner_is_one_place() -> None:
    assert place_of("2001:db8:1:2::1") == place_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert place_of("2001:db8:1:3::1") != place_of("2001:db8:1:2::1")
    assert place_of("::ffff:192.0.2.7") == HERE


def test_it_does_not_grow_without_end() -> None:
    tries = Tries()
    for number in range(PLACES_MAX):
        tries.wrong("anna", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", T0)
    assert len(tries._wrong) <= PLACES_MAX
