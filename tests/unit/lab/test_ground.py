"""Power, boards, the technician's hands and every fault."""

from __future__ import annotations

import pytest

from noout.lab.scenarios import ScenarioError, build, load, names
from noout.lab.world.after import AFTER
from noout.lab.world.faults import MIGRATION_KINDS
from noout.lab.world.kernel import LawError
from noout.lab.world.laws import Laws
from tests.unit.lab.play import USER, Play


def fan_stops(play: Play, node: str = "pve3") -> int:
    return len(play.told(f"of {node} stood still"))


# --- power ---


def test_a_shutdown_takes_the_guests_down_with_it_and_onboot_brings_them_back() -> None:
    play = Play()
    play.laws.node_shutdown(play.c, "pve3")
    play.until(lambda: not play.c.nodes["pve3"].power, 120)
    assert play.guest(104).status == "stopped" and not play.laws.probe(play.c, 104, play.laws.now)
    play.laws.bmc_reset(play.c, "pve3", "On")
    play.until(lambda: play.c.nodes["pve3"].online, 200)
    play.until(lambda: all(o.up for o in play.ceph.osds.values()), 60)
    play.until(lambda: play.laws.probe(play.c, 104, play.laws.now), 120)
    assert play.guest(104).node == "pve3"


def test_onboot_guests_and_osds_start_before_anybody_accepted_the_repair() -> None:
    play = Play()
    play.guest(107).onboot = False
    play.laws.power_cut(play.c, "pve3")
    play.laws.power_on(play.c, "pve3")
    play.forward(300)
    assert play.guest(108).status == "running" and play.guest(107).status == "stopped"


def test_accepting_a_reset_promises_nothing() -> None:
    play = Play()
    play.laws.fault(play.c, "bmc-lies", node="pve3", about="reset")
    play.laws.bmc_reset(play.c, "pve3", "ForceOff")
    play.forward(30)
    assert play.laws.power_state(play.c, "pve3") == "On"
    play.laws.clear_fault(play.c, "bmc-lies", node="pve3")
    play.laws.bmc_reset(play.c, "pve3", "ForceOff")
    assert play.laws.power_state(play.c, "pve3") == "On"  # not yet
    play.forward(5)
    assert play.laws.power_state(play.c, "pve3") == "Off"
    with pytest.raises(LawError):
        play.laws.bmc_reset(play.c, "pve3", "Nmi")


def test_half_of_the_nodes_is_no_quorum() -> None:
    play = Play()
    for node in ("pve4", "pve5", "pve6"):
        play.laws.power_cut(play.c, node)
    assert not play.c.quorate
    task = play.laws.start_guest(play.c, 108, USER)
    play.forward(5)
    assert task.exitstatus != "OK"


# --- the boards ---


def test_readings_are_the_same_for_the_same_instant_and_near_their_speed() -> None:
    one, two = Play(), Play()
    for play in (one, two):
        play.forward(3600)
    assert one.laws.fan_readings(one.c, "pve3") == two.laws.fan_readings(two.c, "pve3")
    readings = one.laws.fan_readings(one.c, "pve3")
    assert len(readings) == 6 and all(6500 < (rpm or 0) < 9500 for rpm in readings.values())
    assert all(15 < (t or 0) < 70 for t in one.laws.temperatures(one.c, "pve3").values())


def test_a_flapping_fan_reads_zero_while_it_stands_and_writes_six_records_a_stop() -> None:
    play = Play()
    before = len(play.laws.bmc_log(play.c, "pve3"))
    play.laws.fault(play.c, "fan-flapping", node="pve3", fan="FAN3B", per_hour=20, seconds=5, cause="dust")
    zeros = 0
    for _ in range(4 * 3600):
        play.forward(1)
        zeros += play.laws.fan_readings(play.c, "pve3")["FAN3B"] == 0
    stops = fan_stops(play)
    assert 20 < stops < 200
    assert 0.5 < zeros / sum(b - a for a, b in play.c.bmcs["pve3"].fans["FAN3B"].stops) < 1.5
    records = play.laws.bmc_log(play.c, "pve3")[before:]
    assert len(records) in range(6 * stops - 3, 6 * stops + 1)
    assert [r.id for r in play.laws.bmc_log(play.c, "pve3")] == sorted(
        {r.id for r in play.laws.bmc_log(play.c, "pve3")}
    )
    assert fan_stops(play, "pve4") == 0


def test_no_fan_turns_and_none_flaps_while_the_node_is_off() -> None:
    play = Play()
    play.laws.fault(play.c, "fan-flapping", node="pve3", fan="FAN3B", per_hour=60)
    play.laws.power_cut(play.c, "pve3")
    play.forward(7200)
    assert fan_stops(play) == 0
    assert set(play.laws.fan_readings(play.c, "pve3").values()) == {0.0}
    play.laws.hands(play.c, "pve3", "pull_cords")
    assert play.laws.fan_readings(play.c, "pve3") == {} and not play.laws.bmc_reachable(play.c, "pve3")


# --- hands ---


@pytest.mark.parametrize(
    ("cause", "repair"), [("dust", "clean_fans"), ("connector", "reseat_connector"), ("bearing", "replace_fan")]
)
def test_hands_repair_only_what_is_the_cause(cause: str, repair: str) -> None:
    play = Play()
    play.laws.fault(play.c, "fan-flapping", node="pve3", fan="FAN3B", per_hour=30, cause=cause)
    play.laws.hands(play.c, "pve3", "open_lid")
    fan = play.c.bmcs["pve3"].fans["FAN3B"]
    for action in ("clean_fans", "reseat_connector", "replace_fan"):
        if action in (repair, "replace_fan"):
            continue
        play.laws.hands(play.c, "pve3", action)
        assert fan.cause == cause
    play.laws.hands(play.c, "pve3", repair, fan="FAN3B")
    play.laws.hands(play.c, "pve3", "close_lid")
    assert fan.cause == ""
    play.forward(60)
    stops = fan_stops(play)
    play.forward(7200)
    assert fan_stops(play) == stops


def test_hands_need_an_open_lid_and_a_known_act() -> None:
    play = Play()
    for action, params in (("clean_fans", {}), ("dance", {}), ("open_lid", {"speed": 3})):
        with pytest.raises(LawError):
            play.laws.hands(play.c, "pve3", action, **params)
    with pytest.raises(LawError):
        play.laws.hands(play.c, "pve99", "open_lid")


def test_pulling_the_cords_of_a_running_node_is_a_power_loss() -> None:
    play = Play()
    play.laws.set_led(play.c, "pve3", True)
    play.laws.hands(play.c, "pve3", "pull_cords")
    assert not play.c.nodes["pve3"].power and not play.c.bmcs["pve3"].led
    play.laws.bmc_reset(play.c, "pve3", "On")
    play.forward(300)
    assert not play.c.nodes["pve3"].power
    play.laws.hands(play.c, "pve3", "plug_cords")
    play.forward(300)
    assert not play.c.nodes["pve3"].power  # AlwaysOff: somebody has to press
    play.laws.hands(play.c, "pve3", "press_power")
    play.until(lambda: play.c.nodes["pve3"].online, 200)


# --- faults ---


def test_every_kind_of_migration_fault_shows_as_itself() -> None:
    seen = {}
    for kind in MIGRATION_KINDS:
        play = Play()
        play.laws.fault(play.c, "migration", vmid=104, kind=kind)
        task = play.migrate(104, "pve6")
        play.forward(200)
        move = play.c.migrations.get(104)
        seen[kind] = (task.exitstatus, play.guest(104).node, move.phase if move else None)  # type: ignore[attr-defined]
        if kind == "stall":
            assert move is not None
            before, lines = move.transferred, len(task.log)  # type: ignore[attr-defined]
            play.forward(100)
            assert (move.transferred, len(task.log)) == (before, lines)  # type: ignore[attr-defined]
        if kind == "no-converge":
            assert move is not None and move.round > 3 and move.throttle > 0.5
        if kind in ("stall", "no-converge"):
            play.laws.stop_task(play.c, task.upid)  # type: ignore[attr-defined]
            play.forward(10)
            assert play.guest(104).lock is None and play.dark(104) == []
        if kind == "unplugged":
            assert not play.laws.probe(play.c, 104, play.laws.now)
            play.laws.clear_fault(play.c, "migration", vmid=104)
            assert play.laws.probe(play.c, 104, play.laws.now)
    assert seen == {
        "fail": ("migration problems", "pve3", None),
        "stall": (None, "pve3", "precopy"),
        "no-converge": (None, "pve3", "precopy"),
        "unplugged": ("OK", "pve6", None),
    }


def test_a_fault_limited_in_times_lets_the_retry_through() -> None:
    play = Play()
    play.laws.fault(play.c, "migration", vmid=104, kind="fail", times=1)
    assert [_outcome(play), _outcome(play)] == ["migration problems", "OK"]


def _outcome(play: Play) -> str | None:
    task = play.migrate(104, "pve6")
    play.forward(120)
    return task.exitstatus  # type: ignore[attr-defined,no-any-return]


def test_a_node_that_died_comes_on_only_when_the_fault_is_gone() -> None:
    play = Play()
    play.laws.fault(play.c, "node-dies", node="pve5")
    play.laws.bmc_reset(play.c, "pve5", "On")
    play.forward(300)
    assert not play.c.nodes["pve5"].power
    play.laws.clear_fault(play.c, "node-dies", node="pve5")
    play.laws.bmc_reset(play.c, "pve5", "On")
    play.until(lambda: play.c.nodes["pve5"].online, 200)


def test_a_dimm_is_missing_after_the_next_power_on_and_can_be_put_back() -> None:
    play = Play()
    node, bmc = play.c.nodes["pve3"], play.c.bmcs["pve3"]
    before = node.maxmem
    play.laws.fault(play.c, "dimm-missing-after", node="pve3")
    assert bmc.dimms == 16
    play.laws.power_cut(play.c, "pve3")
    play.laws.power_on(play.c, "pve3")
    assert (bmc.dimms, node.maxmem) == (15, before * 15 // 16)
    play.laws.hands(play.c, "pve3", "open_lid")
    with pytest.raises(LawError):
        play.laws.hands(play.c, "pve3", "reseat_dimms")
    play.laws.power_cut(play.c, "pve3")
    play.laws.hands(play.c, "pve3", "reseat_dimms")
    assert (bmc.dimms, node.maxmem) == (16, before)


def test_a_guest_that_does_not_listen_needs_the_hard_way() -> None:
    play = Play()
    play.laws.fault(play.c, "shutdown-ignored", vmid=104)
    task = play.laws.shutdown_guest(play.c, 104, USER, timeout=30)
    play.forward(40)
    assert task.exitstatus == "VM quit/powerdown failed - got timeout" and play.dark(104) == []
    play.laws.shutdown_guest(play.c, 104, USER, timeout=30, force_stop=True)
    play.forward(40)
    assert play.guest(104).status == "stopped"


def test_the_remaining_faults_set_what_they_say_and_clear_it() -> None:
    play = Play()
    cases = {
        "bmc-mute": ({"node": "pve3"}, lambda: play.c.bmcs["pve3"].mute),
        "ssh-refused": ({"node": "pve1"}, lambda: play.laws.ssh_refused(play.c, "pve1")),
        "shell-error": (
            {"pattern": "^ceph osd set"},
            lambda: bool(play.laws.shell_error(play.c, "ceph osd set noout")),
        ),
        "backup-running": ({"vmid": 101}, lambda: play.guest(101).lock == "backup"),
        "mon-clock-skew": ({"mon": "pve2"}, lambda: play.ceph.mons["pve2"].clock_skew > 0),
        "api-slow": ({"pattern": "GET /x", "seconds": 3}, lambda: bool(play.c.wire_faults)),
        "api-error": ({"pattern": "GET /x", "status": 503}, lambda: bool(play.c.wire_faults)),
        "api-lost-answer": ({"pattern": "GET /x"}, lambda: bool(play.c.wire_faults)),
        "api-stale": ({"pattern": "GET /x"}, lambda: bool(play.c.wire_faults)),
        "api-drop": ({"pattern": "GET /x"}, lambda: bool(play.c.wire_faults)),
    }
    for name, (params, on) in cases.items():
        assert not on(), name
        play.laws.fault(play.c, name, **params)
        assert on(), name
        play.laws.clear_fault(play.c, name, **params)
        assert not on(), name
    tested = {"fan-flapping", "migration", "node-dies", "osd-will-not-return", "bmc-lies", "dimm-missing-after"}
    tested |= {"shutdown-ignored", "node-hangs", "fan-wear"}
    tested |= set(AFTER)  # with what noout makes of each: tests/contract/pve/test_inventory.py
    assert set(play.laws.fault_names) == set(cases) | tested


@pytest.mark.parametrize("name", sorted(AFTER))
def test_a_node_comes_back_otherwise_only_while_the_fault_is_on(name: str) -> None:
    play = Play()
    node, was = play.c.nodes["pve3"], repr(play.c.nodes["pve3"])
    play.laws.fault(play.c, name, node="pve3")
    assert repr(node) == was, "not before its next power-on"
    play.laws.clear_fault(play.c, name, node="pve3")
    play.laws.power_cut(play.c, "pve3")
    play.laws.power_on(play.c, "pve3")
    assert (node.ports, node.ports_down, node.path_mtu, node.hvm) == (["eno1", "eno2"], [], 9000, True)
    assert (node.kernel, node.clock_ahead, node.disks_lost) == ("6.14.11-4-pve", 0.0, 0)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("no-such", {}),
        ("migration", {"vmid": 104, "kind": "sideways"}),
        ("migration", {"vmid": 1, "kind": "fail"}),
        ("fan-flapping", {"node": "pve3", "fan": "FAN99"}),
        ("fan-wear", {"node": "pve3", "fan": "FAN3B", "cause": "connector"}),
        ("bmc-mute", {}),
        ("api-slow", {"pattern": "("}),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(name: str, params: dict[str, object]) -> None:
    play = Play()
    with pytest.raises(LawError) as refused:
        play.laws.fault(play.c, name, **params)
    assert play.world.happened == [] and refused.value.message


# --- guests made and unmade ---


def test_guests_are_created_started_and_destroyed() -> None:
    from noout.lab.world.model import Disk, Guest

    play = Play()
    play.laws.create_guest(play.c, Guest(900, "new", "qemu", "pve6", disks=[Disk("scsi0", "rbd:vm-900", 1)]), USER)
    play.forward(5)
    assert not play.laws.probe(play.c, 900, play.laws.now)
    play.laws.start_guest(play.c, 900, USER)
    play.until(lambda: play.laws.probe(play.c, 900, play.laws.now), 60)
    with pytest.raises(LawError, match="running"):
        play.laws.destroy_guest(play.c, 900, USER)
    play.laws.stop_guest(play.c, 900, USER)
    play.forward(5)
    play.laws.destroy_guest(play.c, 900, USER)
    play.forward(5)
    assert 900 not in play.c.guests


def test_somebody_else_moves_a_guest() -> None:
    play = Play()
    assert play.laws.operator_moves(play.c, 118, "pve2").user == "piet@pve"
    play.until(lambda: play.guest(118).node == "pve2", 120)


# --- scenarios ---


@pytest.mark.parametrize("name", names())
def test_every_scenario_builds_and_plays_an_hour(name: str) -> None:
    world, switch_on = build(name)
    play = Play(world)
    switch_on(play.laws)
    for _ in range(360):
        play.forward(10)
    assert play.told("refused:") == []
    assert bool(world.happened) == (name not in ("default", "healthy"))
    assert load(name).title.endswith(".")


def test_an_unknown_scenario_is_named_with_those_there_are() -> None:
    with pytest.raises(ScenarioError, match="fan-flapping"):
        build("nonsense")


def test_a_world_too_small_for_its_scenario_is_told_at_once() -> None:
    world, switch_on = build("migration-fails", guests=1)
    with pytest.raises(ScenarioError, match="no such VM"):
        switch_on(Laws(world, Play(world).clock))
