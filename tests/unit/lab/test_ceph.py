"""Ceph's phases, by the facts of the recordings: four hosts, eight OSDs, size 3, min_size 2, out after 20 s."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noout.lab.world.kernel import LawError
from tests.unit.lab.play import USER, Play, four_hosts


def stop_host(play: Play, host: str) -> None:
    """In the order that spares clients: the mon first, its election, then the OSDs."""
    play.laws.ceph_service(play.c, host, "stop", f"mon.{host}", USER)
    play.forward(20)
    play.laws.ceph_service(play.c, host, "stop", "osd", USER)
    play.forward(5)


def start_host(play: Play, host: str) -> None:
    for service in (f"mon.{host}", "osd"):
        play.laws.ceph_service(play.c, host, "start", service, USER)


def states(play: Play) -> dict[str, int]:
    return play.laws.pg_states(play.c)


def clean(play: Play) -> bool:
    return set(states(play)) == {"active+clean"}


def outs(play: Play) -> list[int]:
    return [o.id for o in play.ceph.osds.values() if not o.in_]


def recorded(recordings: Path, phase: str) -> dict[str, int]:
    document = json.loads((recordings / "ceph" / phase / "ceph_s.json").read_text())
    return {s["state_name"]: s["count"] for s in document["pgmap"]["pgs_by_state"]}


def test_one_host_down_with_its_flag_degrades_and_moves_nothing() -> None:
    play = four_hosts()
    play.laws.ceph_group_flags(play.c, "pve2", ["noout"], True)
    stop_host(play, "pve2")
    assert set(states(play)) == {"active+clean", "active+undersized+degraded"}
    assert sum(states(play).values()) == 65
    play.forward(600)
    assert outs(play) == [] and play.ceph.bytes_moved == 0
    assert play.told("I/O blocked") == []  # stopped in the right order


def test_the_share_of_undersized_pgs_is_that_of_the_recording(recordings: Path) -> None:
    theirs = recorded(recordings, "host_back_recovering_noout")
    undersized = sum(n for name, n in theirs.items() if "undersized" in name)
    play = four_hosts()
    play.laws.ceph_flag(play.c, "noout", True)
    stop_host(play, "pve2")
    ours = sum(n for name, n in states(play).items() if "undersized" in name)
    assert abs(ours - undersized) <= 10  # 3 of 4 hosts hold a PG: about three quarters of 65


def test_without_the_flag_the_host_is_outed_and_its_data_copied() -> None:
    play = four_hosts()
    stop_host(play, "pve2")
    play.until(lambda: outs(play) == [2, 3], 30)
    assert any("backfill" in name and "undersized" in name for name in states(play))
    play.until(lambda: clean(play), 900)
    assert play.ceph.bytes_moved > 1024**3
    moved = play.ceph.bytes_moved
    start_host(play, "pve2")
    play.until(lambda: outs(play) == [] and clean(play), 900)
    assert 0 < play.ceph.bytes_moved - moved < moved  # only what was written meanwhile


def test_a_returning_host_catches_up_and_is_clean_again() -> None:
    play = four_hosts()
    play.laws.ceph_group_flags(play.c, "pve2", ["noout"], True)
    stop_host(play, "pve2")
    play.forward(300)
    start_host(play, "pve2")
    play.until(lambda: all(o.up for o in play.ceph.osds.values()), 30)
    assert any("recover" in name for name in states(play))
    play.until(lambda: clean(play), 300)
    written = 305 * play.ceph.write_rate
    assert 0.3 * written < play.ceph.bytes_moved < 3 * written


def test_a_second_host_is_outed_and_heals_under_a_flag_of_the_first_only() -> None:
    play = four_hosts()
    play.laws.ceph_group_flags(play.c, "pve2", ["noout"], True)
    stop_host(play, "pve2")
    play.laws.ceph_service(play.c, "pve3", "stop", "osd", USER)
    play.forward(5)
    inactive = sum(n for name, n in states(play).items() if "peered" in name)
    assert inactive > 10
    assert play.told("I/O blocked")
    play.until(lambda: outs(play) == [4, 5], 40)
    play.until(lambda: not any("peered" in name for name in states(play)), 600)
    assert play.ceph.osds[2].in_ and play.told("I/O goes on")


def test_a_second_host_under_the_cluster_wide_flag_blocks_until_a_person_acts(recordings: Path) -> None:
    theirs = recorded(recordings, "two_hosts_down_global_noout")
    play = four_hosts()
    play.laws.ceph_flag(play.c, "noout", True, by="piet")
    stop_host(play, "pve2")
    play.laws.ceph_service(play.c, "pve3", "stop", "osd", USER)
    play.forward(600)
    assert outs(play) == []
    peered = sum(n for name, n in states(play).items() if "peered" in name)
    assert abs(peered - sum(n for name, n in theirs.items() if "peered" in name)) <= 13
    assert set(states(play)) <= set(theirs)
    assert not any(play.laws.probe(play.c, g, play.laws.now) for g in play.c.guests if _on_rbd(play, g))
    play.laws.ceph_flag(play.c, "noout", False, by="piet")
    play.forward(2)
    assert len(outs(play)) >= 2
    assert "ceph flag noout set by piet" in play.told("noout") and "ceph flag noout unset by piet" in play.told("noout")


def _on_rbd(play: Play, vmid: int) -> bool:
    return any(d.storage == "rbd" for d in play.guest(vmid).disks)


def test_unset_too_early_the_osds_go_out_and_setting_again_does_not_stop_it() -> None:
    play = four_hosts()
    play.laws.ceph_group_flags(play.c, "pve2", ["noout"], True)
    stop_host(play, "pve2")
    play.forward(60)
    play.laws.ceph_group_flags(play.c, "pve2", ["noout"], False)
    play.until(lambda: outs(play) == [2, 3], 30)
    play.laws.ceph_group_flags(play.c, "pve2", ["noout"], True)
    play.until(lambda: play.ceph.bytes_moved > 0, 30)
    assert outs(play) == [2, 3]


def test_noup_holds_starting_osds_in_preboot() -> None:
    play = four_hosts()
    play.laws.ceph_group_flags(play.c, "pve2", ["noout"], True)
    stop_host(play, "pve2")
    play.laws.ceph_group_flags(play.c, "pve2", ["noup"], True)
    assert play.ceph.crush_node_flags == {"pve2": {"noout", "noup"}}
    start_host(play, "pve2")
    play.forward(120)
    assert all(o.preboot and o.running and not o.up and o.in_ for o in play.ceph.osds.values() if o.host == "pve2")
    assert play.ceph.bytes_moved == 0
    play.laws.ceph_group_flags(play.c, "pve2", ["noup"], False)
    assert play.until(lambda: all(o.up for o in play.ceph.osds.values()), 5, 0.1) <= 1.5


def test_the_least_share_of_in_osds_stops_the_outing() -> None:
    play = four_hosts()
    for host in ("pve2", "pve3"):
        play.laws.ceph_service(play.c, host, "stop", "osd", USER)
    play.forward(120)
    assert len(outs(play)) == 3  # 8, 7 and 6 of 8 in: one more goes; at 5 of 8 no more


def test_three_hosts_have_no_place_to_copy_to() -> None:
    play = Play(nodes=3, guests=6)
    play.ceph.down_out_interval = 20.0
    play.laws.ceph_service(play.c, "pve3", "stop", "osd", USER)
    play.forward(400)
    assert outs(play) and play.ceph.bytes_moved == 0
    assert set(states(play)) == {"active+undersized+degraded"}


def test_ok_to_stop_answers_with_the_fields_and_the_sense_of_the_real_one(recordings: Path) -> None:
    play = four_hosts()
    fine = play.laws.ok_to_stop(play.c, [2, 3])
    real = json.loads((recordings / "ceph" / "healthy" / "osd_ok-to-stop_2_3.json").read_text())
    assert set(fine) == set(real) and fine["ok_to_stop"] is real["ok_to_stop"] is True
    bad = play.laws.ok_to_stop(play.c, [0, 2])
    real = json.loads((recordings / "ceph" / "healthy" / "osd_ok-to-stop_0_2.json").read_text())
    assert set(bad) == set(real) and bad["ok_to_stop"] is real["ok_to_stop"] is False
    assert bad["num_not_ok_pgs"] == len(bad["bad_become_inactive"])
    stop_host(play, "pve2")
    down = play.laws.ok_to_stop(play.c, [2, 3])
    real = json.loads((recordings / "ceph" / "host_down_noout_group" / "osd_ok-to-stop_2_3.json").read_text())
    assert down == real  # OSDs that are down already: ok, whatever the PGs are
    other = play.laws.ok_to_stop(play.c, [0, 1])
    real = json.loads((recordings / "ceph" / "host_down_noout_group" / "osd_ok-to-stop_0_1.json").read_text())
    assert other["ok_to_stop"] is real["ok_to_stop"] is False
    assert play.laws.ok_to_stop(play.c, [99])["ok_to_stop"]  # an unknown id is answered ok


def test_flags_are_idempotent_and_unknown_names_refused() -> None:
    play = four_hosts()
    for _ in range(2):
        play.laws.ceph_group_flags(play.c, "pve2", ["noout"], True)
    assert len(play.told("group flag")) == 1
    for _ in range(2):
        play.laws.ceph_group_flags(play.c, "pve2", ["noout"], False)
    assert play.ceph.crush_node_flags == {} and len(play.told("group flag")) == 2
    with pytest.raises(LawError):
        play.laws.ceph_group_flags(play.c, "pve2.example.org", ["noout"], True)
    with pytest.raises(LawError):
        play.laws.ceph_flag(play.c, "nonsense", True)


def test_how_osds_go_down_decides_what_clients_feel() -> None:
    def stall(act: str) -> float:
        play = four_hosts()
        play.laws.ceph_flag(play.c, "noout", True)
        if act == "cut":
            play.laws.power_cut(play.c, "pve2")
        elif act == "both":
            play.laws.ceph_service(play.c, "pve2", "stop", "ceph", USER)
        else:
            stop_host(play, "pve2")
        play.forward(120)
        told = [(at, text) for at, _, text in play.world.happened if "ceph I/O" in text]
        return told[1][0] - told[0][0] if told else 0.0

    assert stall("ordered") == 0.0
    assert 10 < stall("both") < 17  # the mon and the OSDs together: the map waits for the election
    assert 20 < stall("cut") < 28  # heartbeats have to time out


def test_the_mgr_fails_over_and_without_one_the_picture_freezes() -> None:
    play = Play()
    play.laws.mgr_fail(play.c)
    assert not play.laws.mgr_available(play.c)
    play.forward(5)
    assert play.laws.mgr_available(play.c) and play.ceph.mgr_active == "pve2"
    alone = four_hosts()
    alone.laws.ceph_service(alone.c, "pve4", "stop", "mgr.pve4", USER)
    alone.forward(10)
    stop_host(alone, "pve2")
    assert states(alone) == {"active+clean": 65} and not alone.laws.mgr_available(alone.c)
    alone.laws.ceph_service(alone.c, "pve4", "start", "mgr.pve4", USER)
    alone.forward(10)
    assert set(states(alone)) != {"active+clean"}


def test_without_a_majority_of_mons_nothing_is_outed() -> None:
    play = four_hosts()
    for host in ("pve1", "pve2"):
        play.laws.ceph_service(play.c, host, "stop", f"mon.{host}", USER)
    play.forward(30)
    assert play.laws.ceph_quorum(play.c) == []
    play.laws.ceph_service(play.c, "pve2", "stop", "osd", USER)
    play.forward(300)
    assert outs(play) == []
    play.laws.ceph_service(play.c, "pve1", "start", "mon.pve1", USER)
    play.until(lambda: outs(play) == [2, 3], 120)


def test_osds_back_before_the_mons_noticed_copy_what_they_missed() -> None:
    play = four_hosts()
    play.laws.power_cut(play.c, "pve2")
    play.forward(5)  # still up in the map
    for osd in play.ceph.osds.values():
        if osd.host == "pve2":
            assert osd.up and not osd.running
            play.laws.daemon_start(play.c, f"osd.{osd.id}")
    assert not clean(play)
    play.until(lambda: clean(play), 60)
    assert play.ceph.bytes_moved > 0


def test_an_osd_that_dies_at_start_still_ends_its_task_ok() -> None:
    play = four_hosts()
    play.laws.fault(play.c, "osd-will-not-return", osd=2)
    play.laws.ceph_group_flags(play.c, "pve2", ["noout"], True)
    stop_host(play, "pve2")
    task = play.laws.ceph_service(play.c, "pve2", "start", "osd.2", USER)
    play.forward(60)
    assert task.exitstatus == "OK" and not play.ceph.osds[2].up
    play.laws.clear_fault(play.c, "osd-will-not-return", osd=2)
    play.laws.ceph_service(play.c, "pve2", "start", "osd.2", USER)
    play.until(lambda: play.ceph.osds[2].up, 20)


def test_an_up_osd_taken_out_by_hand_moves_its_data_and_stays_available() -> None:
    play = four_hosts()
    play.laws.osd_in_out(play.c, 2, False, by="piet")
    assert any("remapped" in name for name in states(play))
    assert not any("undersized" in name for name in states(play))
    play.until(lambda: clean(play), 900)
    assert all(2 not in pg.acting for pg in play.ceph.pgs.values())
    with pytest.raises(LawError):
        play.laws.osd_in_out(play.c, 99, False)


def test_norecover_and_nobackfill_hold_the_copying() -> None:
    play = four_hosts()
    for flag in ("nobackfill", "norecover"):
        play.laws.ceph_flag(play.c, flag, True)
    play.laws.osd_in_out(play.c, 2, False)
    play.forward(300)
    assert play.ceph.bytes_moved == 0
    play.laws.ceph_flag(play.c, "nobackfill", False)
    play.until(lambda: clean(play), 900)
