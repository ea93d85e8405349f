"""Green only when everything says so, seen just now; every doubt is a DO NOT TOUCH."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from noout.app.touch import Sight, verdict
from noout.domain.hardware import Power
from noout.domain.journal import Message, MessageKind
from noout.domain.maintenance import Phase
from noout.domain.workorder import Touch
from tests.web.world import START, World


@pytest.fixture
def world() -> World:
    world = World()
    world.make_safe()
    return world


async def touch(world: World) -> Touch:
    return verdict(world.m, await world.look(world.m), world.now(), world.messages_).touch


async def test_off_held_and_seen_just_now_is_green(world: World) -> None:
    assert await touch(world) is Touch.NODE_OFF


@pytest.mark.parametrize("age_s, expected", [(15.0, Touch.NODE_OFF), (15.1, Touch.UNKNOWN), (600.0, Touch.UNKNOWN)])
async def test_a_verdict_older_than_15_s_is_grey(world: World, age_s: float, expected: Touch) -> None:
    world.look_age_s = age_s
    assert await touch(world) is expected


async def test_a_silent_bmc_is_grey_and_power_on_is_red(world: World) -> None:
    world.reachable = False
    assert await touch(world) is Touch.UNKNOWN
    world.reachable = True
    for power in (Power.ON, Power.CHANGING):
        world.power = power
        assert await touch(world) is Touch.DO_NOT_TOUCH
    world.power = Power.UNKNOWN
    assert await touch(world) is Touch.UNKNOWN


async def test_without_noout_seen_on_the_host_it_is_never_green(world: World) -> None:
    world.noout = False
    assert await touch(world) is Touch.DO_NOT_TOUCH  # a stranger took it away
    sight = await world.look(world.m)
    assert verdict(world.m, Sight(sight.hardware, None), world.now()).touch is Touch.UNKNOWN
    world.noout = True
    world.m = replace(world.m, owned=())
    assert await touch(world) is Touch.NODE_OFF  # others had set it before us: the run rests on it, and so does this
    found = verdict(world.m, await world.look(world.m), world.now())
    assert "set by others" in next(fact.detail for fact in found.facts if fact.key == "data")
    world.noout = False
    assert await touch(world) is Touch.DO_NOT_TOUCH


async def test_a_node_without_osds_has_no_data_to_hold(world: World) -> None:
    world.make_safe()
    world.noout = False
    world.m = replace(world.m, owned=())
    sight = replace(await world.look(world.m), host="", has_ceph=False)
    assert verdict(world.m, sight, world.now()).touch is Touch.NODE_OFF


@pytest.mark.parametrize(
    "phase", [Phase.PLANNED, Phase.EVACUATING, Phase.EVACUATED, Phase.HOLDING, Phase.REINTEGRATING, Phase.ABORTING]
)
async def test_only_the_repair_is_green(world: World, phase: Phase) -> None:
    world.m = replace(world.m, phase=phase)
    assert await touch(world) is Touch.DO_NOT_TOUCH


async def test_a_sign_off_or_an_abort_turns_it_red_at_once(world: World) -> None:
    off = Message("k", MessageKind.SIGN_OFF, "technician:ruben", START)
    sight = await world.look(world.m)
    assert verdict(world.m, sight, world.now(), [off]).touch is Touch.DO_NOT_TOUCH
    read_and_refused = replace(world.m, messages_seen=frozenset({"k"}))
    assert verdict(read_and_refused, sight, world.now(), [off]).touch is Touch.NODE_OFF
    assert verdict(replace(world.m, aborting=True), sight, world.now()).touch is Touch.DO_NOT_TOUCH


async def test_the_technician_may_leave_when_the_guests_return(world: World) -> None:
    world.m = replace(world.m, phase=Phase.RETURNING, signed_off_at=START)
    assert await touch(world) is Touch.YOU_MAY_LEAVE
    world.m = replace(world.m, phase=Phase.DONE, closed_at=START + timedelta(hours=1), outcome="done")
    assert await touch(world) is Touch.YOU_MAY_LEAVE
