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
    assert "set by others" in str(next(fact.detail for fact in found.facts if fact.key == "data"))
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


async def test_data_that_heals_elsewhere_is_not_called_held(world: World) -> None:
    world.noout = False
    world.m = replace(world.m, healing=True)
    found = verdict(world.m, await world.look(world.m), world.now())
    assert (found.touch, str(found.title)) == (Touch.NODE_OFF, "NODE OFF")


async def test_another_server_that_goes_away_while_hands_are_at_work_is_red_whatever_else_is_so(world: World) -> None:
    sight = replace(await world.look(world.m), gone=("ams1/pve4",))
    found = verdict(world.m, sight, world.now())
    assert (found.touch, str(found.title)) == (Touch.DO_NOT_TOUCH, "DO NOT TOUCH, WRONG SERVER?")
    assert str(found.says) == "pve4 went away while you work on pve3" and found.gone == ("ams1/pve4",)
    closing = replace(world.m, closing_up="pve4 is no longer online", urgent=True)
    assert verdict(closing, sight, world.now()).touch is Touch.DO_NOT_TOUCH
    written = replace(world.m, facts={"wrong-server": ["rtm1/pve9"]})
    assert str(verdict(written, await world.look(world.m), world.now()).says).startswith("rtm1/pve9 went away")
    before = replace(world.m, hands_on_at=None)
    assert verdict(before, sight, world.now()).gone == ()


async def test_the_verdict_says_nothing_of_electrical_safety(world: World) -> None:
    found = verdict(world.m, await world.look(world.m), world.now())
    assert str(found.says) == "pve3, and only pve3: PULL ALL POWER CORDS"
    assert "says nothing of electrical safety" in str(found.note)
    for language in ("en", "nl", "es"):
        told = " ".join(each.told(language).lower() for each in (found.title, found.says, found.note))
        assert not any(word in told for word in ("safe to", "veilig om", "es seguro"))
