"""The whole story over the lab's wire, in virtual time: as it should go, and with everything that may come between."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from noout.domain.cluster import GuestId
from noout.domain.journal import Event, Kind, MessageKind
from noout.domain.maintenance import Maintenance, Mode, Phase
from noout.run.touched import guests_of
from tests.sim.promises import (
    Before,
    Safety,
    honest_journal,
    no_guest_moved_for_nothing,
    nothing_left_behind,
    only_ordered_migrations,
)
from tests.sim.story import MID, NODE, Sim, simulation
from tests.support.virtual import run_virtual


def story(scenario: str = "default", *, seed: int = 1, guests: int = 8, nodes: int = 4) -> Sim:
    return simulation(scenario, seed=seed, guests=guests, nodes=nodes)


async def finished(sim: Sim, *beside: Coroutine[None, None, object]) -> Maintenance:
    """Carry it to the end and hold every promise on the way."""
    await sim.open()
    before, safety = Before.of(sim), Safety(sim)
    watching = asyncio.create_task(safety.watch())
    m = await sim.to_the_end(*beside)
    watching.cancel()
    assert m.phase is Phase.DONE, m.outcome
    assert safety.broken == []
    nothing_left_behind(sim, before, m)
    honest_journal(await sim.events())
    return m


def kinds(events: list[Event], *wanted: Kind) -> list[dict[str, Any]]:
    return [dict(event.data) for event in events if event.kind in wanted]


def did(events: list[Event]) -> list[str]:
    """The keys of effects in the order they were intended."""
    return [event.data["key"] for event in events if event.kind == Kind.INTENT]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_a_maintenance_leaves_the_world_as_it_was(seed: int) -> None:
    async def play() -> None:
        sim = story(seed=seed)
        m = await finished(sim)
        events = await sim.events()
        no_guest_moved_for_nothing(sim, events)
        only_ordered_migrations(sim, events)
        assert m.outcome == "done" and m.probation_until is not None
        assert [name for name, _ in m.steps_done] == [
            "evacuate", "dispatch", "hold-data", "repair", "reintegrate", "return",
        ]  # fmt: skip

    run_virtual(play())


def test_data_is_held_in_the_measured_order() -> None:
    async def play() -> None:
        sim = story()
        await finished(sim)
        events = await sim.events()
        held = [key for key in did(events) if key.startswith(("hold-data/", "repair/"))]
        osds = [key for key in held if "/stop-osd/" in key]
        assert held == [
            "hold-data/shutdown-guest/ams1/106",
            "hold-data/onboot-off/ams1/106",
            "hold-data/set-noout/pve3",
            "hold-data/stop-mon/mon.pve3",
            *osds,
            "hold-data/set-noup/pve3",
            "repair/shutdown-node/ams1/pve3",
        ]
        back = [key for key in did(events) if key.startswith("reintegrate/")]
        assert back.index("reintegrate/unset-noup/pve3") < back.index("reintegrate/unset-noout/pve3")
        assert back[-1] == "reintegrate/led-off/ams1/pve3"

    run_virtual(play())


def test_nothing_is_given_up_before_hands_are_on() -> None:
    async def play() -> None:
        sim = story()
        await sim.open()
        run = asyncio.create_task(sim.carry())
        await sim.until(lambda m: m.needs == "technician")
        await asyncio.sleep(1200)
        ceph = sim.lab.cluster.ceph
        assert ceph is not None and not any(ceph.crush_node_flags.values())
        assert all(osd.up for osd in ceph.osds.values())
        assert sim.lab.cluster.guests[106].status == "running", "the guest that may be down is up until then"
        run.cancel()

    run_virtual(play())


def test_the_wrong_machine_is_refused() -> None:
    async def play() -> None:
        sim = story()
        await sim.open()
        run = asyncio.create_task(sim.carry())
        await sim.until(lambda m: m.needs == "technician")
        await sim.say(MessageKind.HANDS_ON, "technician:ruben", serial="ANOTHER")
        m = await sim.until(lambda m: bool(m.messages_seen))
        assert m.hands_on_by is None and m.needs == "technician"
        assert "another machine" in kinds(await sim.events(), Kind.MESSAGE)[0]["refused"]
        run.cancel()

    run_virtual(play())


def test_a_migration_that_fails_once_is_tried_again() -> None:
    async def play() -> None:
        sim = story("migration-fails")
        await finished(sim)
        failed = kinds(await sim.events(), Kind.FAILED)
        assert [each["key"] for each in failed] == ["evacuate/migrate/ams1/104"]

    run_virtual(play())


def test_a_migration_that_stands_still_is_sent_elsewhere_and_at_last_blocks_the_run() -> None:
    async def play() -> None:
        sim = story("migration-stalls")
        await sim.open()
        run = asyncio.create_task(sim.carry())
        m = await sim.blocked("guest.no-other-target")
        blocker = m.blockers[0]
        failed = [each["why"] for each in kinds(await sim.events(), Kind.FAILED)]
        assert set(failed) == {"cancelled, as it stands still"}
        tried = blocker.evidence["tried"].split(", ")
        assert blocker.subject == "ams1/104" and len(tried) == len(failed) > 1, "each target once"
        assert sim.lab.cluster.guests[104].status == "running" and sim.lab.cluster.guests[104].node == NODE.name
        assert len(kinds(await sim.events(), Kind.PLANNED)) == len(tried), "a new plan for each other target"
        assert not any(osd.up is False for osd in sim.lab.cluster.ceph.osds.values())  # type: ignore[union-attr]
        sim.lab.laws.clear_fault(sim.lab.cluster, "migration", vmid=104)
        await sim.say(MessageKind.RESUME)
        await sim.until(lambda m: m.needs == "technician")
        run.cancel()

    run_virtual(play())


@pytest.mark.slow
def test_lost_answers_and_a_failing_api_change_nothing_but_the_time() -> None:
    async def play() -> None:
        sim = story("api-troubles")
        await finished(sim)
        no_guest_moved_for_nothing(sim, await sim.events())
        assert any("unknown" in each for each in kinds(await sim.events(), Kind.STARTED))

    run_virtual(play())


def test_guests_that_others_bring_or_take_are_recorded_and_planned_for() -> None:
    async def others(sim: Sim) -> int:
        await sim.until(lambda m: bool(m.moved), every_s=1)
        laws, cluster = sim.lab.laws, sim.lab.cluster
        laws.advance()
        stranger = next(g for g in cluster.guests.values() if g.node != NODE.name and g.vmid > 110)
        laws.operator_moves(cluster, stranger.vmid, NODE.name)
        return stranger.vmid

    async def play() -> None:
        sim = story(guests=16)
        await sim.open()
        run = asyncio.create_task(sim.carry())
        vmid = await others(sim)
        m = await sim.until(lambda m: m.needs == "technician")
        assert str(GuestId("ams1", vmid)) in {each["guest"] for each in kinds(await sim.events(), Kind.OBSERVED)}
        assert sim.lab.cluster.guests[vmid].node != NODE.name
        assert m.plan is not None
        away = {moved.guest for moved in m.moved}
        assert away <= {move.guest for move in m.plan.returns}, "the new plan brings home those who left before it"
        assert GuestId("ams1", vmid) in {guest.id for guest in guests_of(m)}, "so it is probed and told of as well"
        run.cancel()

    run_virtual(play())


def test_a_guest_that_answers_no_more_stops_the_run_until_somebody_says_so() -> None:
    async def play() -> None:
        sim = story()
        await sim.open()
        run = asyncio.create_task(sim.carry())
        m = await sim.until(lambda m: bool(m.moved), every_s=1)
        guest = m.moved[0].guest
        sim.silent.add(guest)
        m = await sim.blocked("guest.silent")
        assert str(guest) == m.blockers[0].subject
        flying = len(m.pending)
        moved = len((await sim.state()).moved)
        await asyncio.sleep(600)
        assert len((await sim.state()).moved) <= moved + flying, "nothing new is begun"
        sim.silent.clear()
        await sim.until(lambda m: not m.blockers)
        sim.silent.add(guest)
        await sim.blocked("guest.silent")
        await sim.say(MessageKind.RESUME)
        await sim.until(lambda m: m.needs == "technician")
        run.cancel()

    run_virtual(play())


@pytest.mark.slow
def test_noout_of_others_serves_but_is_not_ours() -> None:
    async def play() -> None:
        sim = story()
        sim.lab.laws.advance()
        sim.lab.laws.ceph_group_flags(sim.lab.cluster, NODE.name, {"noout"}, True, "piet")
        m = await finished(sim)
        assert "hold-data/set-noout/pve3" not in did(await sim.events())
        assert "ceph.foreign-noout" in {caution.code for caution in m.cautions}

    run_virtual(play())


def test_noout_cleared_by_a_stranger_is_set_again_while_the_node_is_off() -> None:
    async def stranger(sim: Sim) -> None:
        await sim.until(lambda m: m.node_off_at is not None)
        sim.lab.laws.advance()
        sim.lab.laws.ceph_group_flags(sim.lab.cluster, NODE.name, {"noout"}, False, "piet")

    async def play() -> None:
        sim = story()
        await sim.open()
        before = Before.of(sim)
        m = await sim.to_the_end(stranger(sim))
        assert "repair/set-noout/pve3" in did(await sim.events())
        nothing_left_behind(sim, before, m)

    run_virtual(play())


def test_a_stranger_who_clears_noout_before_the_power_goes_is_noticed_in_the_acting_step() -> None:
    async def play() -> None:
        sim = story()
        await sim.open()
        before = Before.of(sim)
        hands = asyncio.create_task(sim.technician())
        run = asyncio.create_task(sim.carry())
        await sim.until(lambda m: any(each.action.verb == "set-noup" for each in m.pending), every_s=0.1)
        sim.lab.laws.advance()
        sim.lab.laws.ceph_group_flags(sim.lab.cluster, NODE.name, {"noout"}, False, "piet")
        safety = Safety(sim)
        m = await run
        safety.look()
        hands.cancel()
        assert [key for key in did(await sim.events()) if "set-noout" in key and "unset" not in key] == [
            "hold-data/set-noout/pve3"
        ] * 2
        nothing_left_behind(sim, before, m)

    run_virtual(play())


@pytest.mark.slow
def test_an_osd_that_does_not_return_keeps_noout_and_names_itself() -> None:
    async def play() -> None:
        sim = story()
        osd = next(o.id for o in sim.lab.cluster.ceph.osds.values() if o.host == NODE.name)  # type: ignore[union-attr]
        sim.lab.laws.fault(sim.lab.cluster, "osd-will-not-return", osd=osd)
        await sim.open()
        before = Before.of(sim)
        hands = asyncio.create_task(sim.technician())
        run = asyncio.create_task(sim.carry())
        m = await sim.blocked("ceph.osd-not-back")
        assert m.blockers[0].subject == f"osd.{osd}"
        ceph = sim.lab.cluster.ceph
        assert ceph is not None and "noout" in ceph.crush_node_flags[NODE.name]
        assert all(sim.lab.cluster.guests[moved.guest.vmid].node != NODE.name for moved in m.moved if moved.target)
        sim.lab.laws.clear_fault(sim.lab.cluster, "osd-will-not-return", osd=osd)
        await sim.say(MessageKind.RESUME)
        nothing_left_behind(sim, before, await run)
        hands.cancel()

    run_virtual(play())


def test_a_mute_bmc_stops_the_run_before_anything_is_given_up() -> None:
    async def play() -> None:
        sim = story("bmc-mute")
        await sim.open()
        hands = asyncio.create_task(sim.technician())
        run = asyncio.create_task(sim.carry())
        await sim.blocked("bmc.unreachable")
        ceph = sim.lab.cluster.ceph
        assert ceph is not None and not any(ceph.crush_node_flags.values()) and all(o.up for o in ceph.osds.values())
        run.cancel()
        hands.cancel()

    run_virtual(play())


def test_a_second_host_that_fails_stops_the_run_before_power_off() -> None:
    async def play() -> None:
        sim = simulation(guests=8)
        await sim.open()
        hands = asyncio.create_task(sim.technician())
        run = asyncio.create_task(sim.carry())
        await sim.until(lambda m: m.hands_on_by is not None, every_s=0.1)
        sim.lab.laws.fault(sim.lab.cluster, "node-dies", node="pve6")
        m = await sim.blocked()
        assert sim.lab.cluster.nodes[NODE.name].power
        assert {each.code for each in m.blockers} & {"ceph.osd-down", "ceph.not-clean", "ceph.not-ok-to-stop"}
        run.cancel()
        hands.cancel()

    run_virtual(play())


def test_a_fan_that_still_flaps_fails_the_acceptance_and_keeps_the_guests_away() -> None:
    async def play() -> None:
        sim = story()
        fault = {"node": NODE.name, "fan": "FAN3B", "per_hour": 300, "seconds": 4, "cause": "connector"}
        sim.lab.laws.fault(sim.lab.cluster, "fan-flapping", **fault)  # cleaning does not help
        await sim.open()
        hands = asyncio.create_task(sim.technician())
        run = asyncio.create_task(sim.carry())
        m = await sim.blocked("acceptance.failed")
        assert "FAN3B" in m.blockers[0].message
        assert not any(moved.homeward for moved in m.moved)
        ceph = sim.lab.cluster.ceph
        assert ceph is not None and ceph.crush_node_flags[NODE.name] >= {"noout", "noup"}
        run.cancel()
        hands.cancel()

    run_virtual(play())


def test_step_mode_does_nothing_that_was_not_confirmed() -> None:
    async def operator(sim: Sim) -> None:
        while (await sim.until(lambda m: m.needs == "confirmation" or not m.open)).open:
            intents = len(did(await sim.events()))
            await asyncio.sleep(20)
            assert len(did(await sim.events())) == intents
            wanted = (await sim.state()).facts["to_confirm"]
            await sim.say(MessageKind.CONFIRM, action=wanted)
            await sim.until(lambda m, wanted=wanted: m.facts["to_confirm"] != wanted or not m.needs)  # type: ignore[misc]

    async def play() -> None:
        sim = story()
        await sim.open(Mode.STEP)
        before = Before.of(sim)
        m = await sim.to_the_end(operator(sim))
        nothing_left_behind(sim, before, m)
        said = [each["data"]["action"] for each in kinds(await sim.events(), Kind.MESSAGE) if each["kind"] == "confirm"]
        assert set(did(await sim.events())) <= set(said)

    run_virtual(play())


def test_pause_lets_what_flies_land_and_starts_nothing() -> None:
    async def play() -> None:
        sim = story()
        await sim.open()
        run = asyncio.create_task(sim.carry())
        await sim.until(lambda m: len(m.pending) == 2, every_s=0.5)
        await sim.say(MessageKind.PAUSE)
        m = await sim.until(lambda m: m.paused and not m.pending)
        intents = len(did(await sim.events()))
        await asyncio.sleep(600)
        assert len(did(await sim.events())) == intents and m.open
        await sim.say(MessageKind.RESUME)
        await sim.until(lambda m: m.needs == "technician")
        run.cancel()

    run_virtual(play())


ABORTS = {
    "in the evacuation": lambda m: len(m.moved) >= 2,
    "waiting for the technician": lambda m: m.needs == "technician",
    "when noout is set": lambda m: any(own.kind == "noout" for own in m.owned),
    "when OSDs are down": lambda m: any(own.kind == "osd-stopped" for own in m.owned),
    "when the node is off": lambda m: m.node_off_at is not None,
    "in the acceptance": lambda m: m.node_on_at is not None,
    "on the way home": lambda m: any(moved.homeward and moved.target for moved in m.moved),
    # ... and while an effect was asked for and is not seen yet: it may still come.
    "while the guest by consent shuts down": lambda m: pending(m, "shutdown-guest"),
    "while maintenance mode is set": lambda m: pending(m, "cordon"),
    "while the mon is stopped": lambda m: pending(m, "stop-mon"),
    "while an OSD is stopped": lambda m: pending(m, "stop-osd"),
    "while noout is set": lambda m: pending(m, "set-noout"),
    "while the node shuts down": lambda m: pending(m, "shutdown-node"),
}


def pending(m: Maintenance, verb: str) -> bool:
    return any(each.action.verb == verb for each in m.pending)


QUICK = ("when the node is off",)


@pytest.mark.parametrize(
    "when", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in ABORTS]
)
def test_an_abort_gives_everything_back(when: str) -> None:
    async def play() -> None:
        sim = story()
        await sim.open()
        before, safety = Before.of(sim), Safety(sim)
        watching = asyncio.create_task(safety.watch())
        hands = asyncio.create_task(sim.technician())
        run = asyncio.create_task(sim.carry())
        await sim.until(ABORTS[when], every_s=0.5)
        await sim.say(MessageKind.ABORT, reason="something else comes first")
        m = await asyncio.wait_for(run, 6 * 3600)
        hands.cancel()
        watching.cancel()
        assert m.phase is Phase.ABORTED and m.outcome == "aborted: something else comes first"
        assert safety.broken == []
        # Guests that left stay where they are safe; apart from that all is as it was.
        before.homes = {vmid: guest.node for vmid, guest in sim.lab.cluster.guests.items()}
        nothing_left_behind(sim, before, m)
        honest_journal(await sim.events())

    run_virtual(play())


@pytest.mark.slow
def test_a_guest_that_shuts_down_after_an_abort_is_started_again() -> None:
    """Its shutdown was taken for failed and the maintenance aborted; a quarter of an hour it is still ours."""

    async def play() -> None:
        sim = story()
        sim.lab.laws.fault(sim.lab.cluster, "shutdown-ignored", vmid=106)
        await sim.open()
        before = Before.of(sim)
        hands = asyncio.create_task(sim.technician())
        run = asyncio.create_task(sim.carry())
        await sim.until(lambda m: bool(m.doubted))
        await sim.say(MessageKind.ABORT)
        await asyncio.sleep(120)
        sim.lab.laws.advance()
        sim.lab.laws.stop_guest(sim.lab.cluster, 106, "root@pam")
        m = await asyncio.wait_for(run, 6 * 3600)
        hands.cancel()
        assert m.phase is Phase.ABORTED
        before.homes = {vmid: guest.node for vmid, guest in sim.lab.cluster.guests.items()}
        nothing_left_behind(sim, before, m)
        assert sim.lab.cluster.guests[106].status == "running"

    run_virtual(play())


@pytest.mark.slow
def test_two_runs_of_one_maintenance_do_nothing_twice() -> None:
    """A zombie of an older process: both observe, but only who writes the intent may act."""

    async def play() -> None:
        sim = story()
        await sim.open()
        before = Before.of(sim)
        hands = asyncio.create_task(sim.technician())
        zombie = sim.begin()
        await zombie.start(MID)
        m = await sim.carry()
        await zombie.tasks[MID]
        hands.cancel()
        nothing_left_behind(sim, before, m)
        events = await sim.events()
        honest_journal(events)
        no_guest_moved_for_nothing(sim, events)

    run_virtual(play())
