"""Guests on the move: what the log says, what clients feel, how it fails."""

from __future__ import annotations

import statistics

import pytest

from noout.lab.world.kernel import LawError
from noout.lab.world.model import GiB, MiB
from noout.lab.world.precopy import Stream, pause
from tests.unit.lab.play import USER, Play


def finished(play: Play, task: object, limit: float = 300) -> None:
    play.until(lambda: task.status == "stopped", limit)  # type: ignore[attr-defined]


def test_a_live_migration_tells_its_progress_every_second_and_blacks_out_briefly() -> None:
    play = Play()
    task = play.migrate(104, "pve6")
    assert task.upid.startswith("UPID:pve3:") and task.upid.endswith(f":qmigrate:104:{USER}:")  # type: ignore[attr-defined]
    assert len(task.upid.split(":")) == 9  # type: ignore[attr-defined]
    play.forward(1)
    assert play.guest(104).lock == "migrate"
    finished(play, task)
    log = task.log  # type: ignore[attr-defined]
    assert log[-1] == "TASK OK" and "migration finished successfully" in log[-2]
    stamps = [line[:19] for line in log if "migration active, transferred" in line]
    assert len(stamps) >= 4 and len(set(stamps)) == len(stamps)
    assert any("- downtime " in line for line in log)
    assert (play.guest(104).node, play.guest(104).lock) == ("pve6", None)
    (spell,) = play.dark(104)
    assert spell.until is not None and 0.01 < spell.until - spell.since < 1.0
    assert not play.laws.probe(play.c, 104, spell.since)
    assert play.laws.probe(play.c, 104, spell.until) and play.laws.probe(play.c, 104, spell.since - 0.01)


def test_blackouts_look_like_those_measured_and_clients_lose_more_than_qemu_says() -> None:
    gaps, said = [], []
    for seed in range(40):
        play = Play(seed=seed)
        task = play.migrate(107, "pve5")
        finished(play, task)
        (spell,) = play.dark(107)
        assert spell.until is not None
        gaps.append((spell.until - spell.since) * 1000)
        line = next(text for text in task.log if "downtime" in text and "average" in text)  # type: ignore[attr-defined]
        said.append(int(line.split("downtime ")[1].split(" ms")[0]))
        assert gaps[-1] > said[-1]
    assert 30 < statistics.median(said) < 100 and max(said) <= 150
    assert 100 < statistics.median(gaps) < 200 and max(gaps) < 330


def test_the_pause_scales_with_the_downtime_limit_and_never_ends_before_the_rest_is_sent() -> None:
    usual = [pause(0, 100 * MiB, 0.1, seed) for seed in range(200)]
    doubled = [pause(0, 100 * MiB, 0.2, seed) for seed in range(200)]
    assert 0.04 < statistics.median(each.downtime for each in usual) < 0.06
    assert 0.08 < statistics.median(each.downtime for each in doubled) < 0.11
    assert statistics.mean(each.interruption - each.downtime for each in usual) == pytest.approx(0.1, abs=0.02)
    assert all(pause(9 * MiB, 100 * MiB, 0.1, seed).downtime >= 0.09 for seed in range(50))


def test_streams_share_a_link_and_respect_a_limit() -> None:
    play = Play()
    play.migrate(104, "pve6")
    play.migrate(107, "pve5")
    play.forward(7)
    first, second = play.c.migrations[104], play.c.migrations[107]
    assert first.phase == second.phase == "precopy"
    assert first.rate + second.rate <= play.c.nodes["pve3"].migration_rate
    limited = play.migrate(108, "pve2", bwlimit=50 * 1024)
    play.forward(9)
    assert play.c.migrations[108].rate == 50 * MiB
    assert any("migration speed limit: 50.0 MiB/s" in line for line in limited.log)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("vmid", "words"),
    [
        (106, "can't migrate VM which uses local devices: usb0"),
        (109, "can't migrate local disk 'local:iso/"),
        (110, "can't migrate local disk 'local-lvm:"),
    ],
)
def test_what_cannot_move_live_fails_inside_the_task(vmid: int, words: str) -> None:
    play = Play()
    task = play.migrate(vmid, "pve1")
    finished(play, task)
    assert task.exitstatus == "migration aborted"  # type: ignore[attr-defined]
    assert any(words in line for line in task.log)  # type: ignore[attr-defined]
    assert play.guest(vmid).lock is None and play.dark(vmid) == []


def test_a_local_disk_goes_along_when_asked() -> None:
    play = Play()
    home = play.guest(110).node
    target = next(n for n in play.c.nodes if n != home)
    task = play.migrate(110, target, with_local_disks=True, targetstorage="rbd")
    finished(play, task, 600)
    assert task.exitstatus == "OK" and play.guest(110).node == target  # type: ignore[attr-defined]
    assert play.guest(110).disks[0].storage == "rbd"


def test_what_pve_refuses_at_once() -> None:
    play = Play()
    cases = [(999, "pve1", True), (104, "pve9", True), (104, "pve3", True), (104, "pve1", False)]
    words = ["no such VM", "no such cluster node 'pve9'", "Parameter verification failed", "without --online"]
    for (vmid, target, online), text in zip(cases, words, strict=True):
        with pytest.raises(LawError, match=text):
            play.laws.start_migration(play.c, vmid, target, online=online, user=USER)
    play.guest(104).lock = "backup"
    with pytest.raises(LawError, match="locked"):
        play.migrate(104, "pve1")
    assert play.c.tasks == {}


def test_cancelled_the_guest_goes_on_at_the_source_unlocked() -> None:
    play = Play()
    task = play.migrate(104, "pve6")
    play.forward(8)
    play.laws.stop_task(play.c, task.upid)  # type: ignore[attr-defined]
    finished(play, task)
    guest = play.guest(104)
    assert (guest.node, guest.lock, guest.status, guest.dark) == ("pve3", None, "running", [])
    assert task.exitstatus == "migration problems"  # type: ignore[attr-defined]
    assert any("interrupted by signal" in line for line in task.log)  # type: ignore[attr-defined]


@pytest.mark.parametrize("seconds", [0.2, 2.0, 4.0, 6.0])
def test_cancelled_at_any_moment_before_the_switch_nothing_moves(seconds: float) -> None:
    play = Play()
    task = play.migrate(104, "pve6")
    play.forward(seconds)
    play.laws.stop_task(play.c, task.upid)  # type: ignore[attr-defined]
    play.forward(120)
    assert (play.guest(104).node, play.guest(104).lock) == ("pve3", None)
    assert task.log.count(task.log[-1]) == 1 and task.log[-1].startswith("TASK ERROR")  # type: ignore[attr-defined]


def test_a_dead_target_fails_the_migration_and_spares_the_guest() -> None:
    play = Play()
    task = play.migrate(104, "pve6")
    play.forward(8)
    play.laws.power_cut(play.c, "pve6")
    finished(play, task)
    assert task.exitstatus == "migration problems"  # type: ignore[attr-defined]
    assert (play.guest(104).node, play.guest(104).status) == ("pve3", "running")


def test_a_dead_source_takes_the_guest_with_it() -> None:
    play = Play()
    play.migrate(104, "pve6")
    play.forward(8)
    play.laws.power_cut(play.c, "pve3")
    play.forward(5)
    guest = play.guest(104)
    assert (guest.node, guest.status, guest.lock) == ("pve3", "stopped", None)
    assert not play.laws.probe(play.c, 104, play.laws.now)


def test_a_target_without_room_refuses_the_guest() -> None:
    play = Play()
    play.c.nodes["pve6"].maxmem = play.laws.ram_used(play.c, "pve6") + 1 * GiB
    task = play.migrate(104, "pve6")
    finished(play, task)
    assert task.exitstatus == "migration problems" and play.guest(104).node == "pve3"  # type: ignore[attr-defined]


def test_a_container_is_dark_for_seconds_when_it_is_relocated() -> None:
    play = Play()
    task = play.laws.start_migration(play.c, 200, "pve1", online=False, user=USER, restart=True)
    finished(play, task)
    play.forward(10)
    assert task.exitstatus == "OK" and play.guest(200).node == "pve1" and play.guest(200).status == "running"
    (spell,) = play.dark(200)
    assert spell.why == "restart" and spell.until is not None and 2 < spell.until - spell.since < 10


@pytest.mark.parametrize("status", ["running", "stopped"], ids=["while it shuts down", "when it is down"])
def test_a_container_whose_target_dies_is_started_again_where_it_was(status: str) -> None:
    play = Play()
    task = play.laws.start_migration(play.c, 200, "pve1", online=False, user=USER, restart=True)
    play.until(lambda: play.guest(200).status == status, 10)
    play.laws.power_cut(play.c, "pve1")
    finished(play, task)
    play.forward(10)
    assert task.exitstatus == "migration problems"
    assert any("start container on source node" in line for line in task.log)
    assert (play.guest(200).node, play.guest(200).status, play.guest(200).lock) == ("pve3", "running", None)
    (spell,) = (each for each in play.dark(200) if each.why == "restart")
    assert spell.until is not None


def test_a_container_does_not_move_online() -> None:
    play = Play()
    task = play.migrate(200, "pve1")
    finished(play, task)
    assert task.exitstatus == "migration aborted" and play.guest(200).node == "pve3"  # type: ignore[attr-defined]
    assert play.dark(200) == []


def test_a_busy_guest_is_throttled_until_it_fits() -> None:
    play = Play()
    guest = play.guest(101)
    guest.dirty_rate = 900 * MiB
    task = play.laws.start_migration(play.c, 101, "pve5", online=True, user=USER, by_ha=True)
    throttles = []
    while task.status == "running":
        play.forward(1)
        throttles += [m.throttle for m in play.c.migrations.values()]
    assert task.exitstatus == "OK" and max(throttles) >= 0.2


def test_passes_shrink_by_the_ratio_of_dirty_rate_to_link() -> None:
    play = Play()
    guest = play.guest(104)
    guest.dirty_rate = 100 * MiB
    task = play.migrate(104, "pve6")
    move = play.c.migrations[104]
    stream = Stream(move, 1000 * MiB)
    stream.begin()
    assert stream.run(guest, 200 * MiB, 5.0) is None  # the first pass: 5 s, 500 MiB rewritten meanwhile
    assert move.round == 2 and abs(move.remaining - 500 * MiB) < 2 * MiB
    assert stream.run(guest, 200 * MiB, 2.5) is None
    assert move.round == 3 and abs(move.remaining - 250 * MiB) < 2 * MiB
    assert task is move.task


def test_the_precondition_has_pves_traps() -> None:
    play = Play()
    facts = play.laws.migration_precondition(play.c, 102)
    blocked = play.guest(103).node
    assert facts["not_allowed_nodes"][blocked]["blocking-ha-resources"] == [
        {"cause": "resource-affinity", "sid": "vm:103"}
    ]
    assert blocked not in facts["allowed_nodes"]
    assert {} in facts["not_allowed_nodes"].values()  # an empty entry for a node that is allowed
    play.laws.power_cut(play.c, "pve6")
    play.forward(1)
    assert "pve6" in play.laws.migration_precondition(play.c, 104)["allowed_nodes"]  # offline, and still listed
    assert play.laws.migration_precondition(play.c, 106)["local_resources"] == ["usb0"]
    play.guest(104).lock = "migrate"
    with pytest.raises(LawError, match="locked"):
        play.laws.migration_precondition(play.c, 104)


def test_status_lags_and_node_and_lock_do_not() -> None:
    play = Play()
    play.laws.stop_guest(play.c, 104, USER)
    play.until(lambda: play.guest(104).status == "stopped", 5, 0.1)
    lag = play.until(lambda: play.laws.published_status(play.c, 104) == "stopped", 11, 0.1)
    assert 0.0 <= lag <= 10.1
