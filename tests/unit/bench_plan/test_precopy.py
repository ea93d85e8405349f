"""The simulator of migrations: what can be reckoned by hand comes out of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.plan.bound import best_s, once_s
from benchmarks.plan.executors import Queue, Steps
from benchmarks.plan.instances import AT, NAME
from benchmarks.plan.precopy import CLEANUP_S, MIB, SETUP_S, TEN, TWENTY_FIVE_SSH, Job, Network, Player, totals

from noout.domain.cluster import ClusterState, Guest, GuestId, GuestKind, GuestStatus, Node, NodeId

GIB = 1024**3
SOURCE, TARGET = NodeId(NAME, "a"), NodeId(NAME, "b")
ALWAYS = SETUP_S + CLEANUP_S


def a_cluster(*rams_gib: int, dirty_mib_s: float = 0.0) -> ClusterState:
    guests = tuple(
        Guest(
            id=GuestId(NAME, 100 + i),
            name=f"guest-{i}",
            kind=GuestKind.QEMU,
            node=SOURCE,
            status=GuestStatus.RUNNING,
            ram_bytes=ram * GIB,
            cpus=1,
            dirty_bytes_s=int(dirty_mib_s * MIB),
        )
        for i, ram in enumerate(rams_gib)
    )
    nodes = tuple(
        Node(id=each, online=True, ram_bytes=512 * GIB, ram_used_bytes=0, cpus=64) for each in (SOURCE, TARGET)
    )
    return ClusterState(NAME, AT, True, "9.2.11", nodes, guests)


def jobs(state: ClusterState) -> list[Job]:
    return [Job(guest.id, SOURCE, TARGET) for guest in state.guests]


def test_one_guest_takes_its_memory_over_the_rate_and_what_comes_before_and_after() -> None:
    state = a_cluster(11)
    [felt] = Player(state, TEN).play(Queue(jobs(state)))
    assert felt.seconds == pytest.approx(11 * 1024 / 1100 + ALWAYS, abs=0.1)
    assert felt.seconds == pytest.approx(felt.alone_s) and not felt.throttled
    assert felt.sent_bytes == 11 * GIB


def test_streams_share_the_link_and_none_is_faster_than_its_own_limit() -> None:
    state = a_cluster(8, 8, 8, 8)
    four = totals(Player(state, TEN).play(Queue(jobs(state), parallel=4)))
    assert four["seconds"] == pytest.approx(32 * 1024 / 1100 + ALWAYS, abs=0.5)
    assert four["single_s"] == pytest.approx(four["seconds"])
    ssh = totals(Player(state, TWENTY_FIVE_SSH).play(Queue(jobs(state), parallel=4)))
    assert ssh["seconds"] == pytest.approx(8 * 1024 / 400 + ALWAYS, abs=0.5)
    limited = [replace(job, limit_bytes_s=100 * MIB) for job in jobs(state)]
    slow = totals(Player(state, TEN).play(Queue(limited, parallel=4)))
    assert slow["seconds"] == pytest.approx(8 * 1024 / 100 + ALWAYS, abs=0.5)


def test_steps_wait_for_one_another_and_a_queue_does_not() -> None:
    state = a_cluster(20, 2, 2)
    first, second, third = jobs(state)
    player = Player(state, Network("as wide as wanted", 4400 * MIB, 1100 * MIB, encrypted=True))
    felt = {each.executed.guest: each.executed for each in player.play(Steps([[first, second], [third]], parallel=2))}
    assert felt[third.guest].start_s == max(felt[first.guest].end_s, felt[second.guest].end_s)
    felt = {each.executed.guest: each.executed for each in player.play(Queue([first, second, third], parallel=2))}
    assert felt[third.guest].start_s == felt[second.guest].end_s


def test_who_looks_seldom_starts_late() -> None:
    state = a_cluster(1, 1)
    ends = [each.executed for each in Player(state, TEN).play(Queue(jobs(state), poll_s=60.0))]
    assert ends[1].start_s == pytest.approx(60.0)


def test_what_is_rewritten_is_sent_again_and_a_guest_too_fast_is_slowed_down() -> None:
    calm, busy, mad = (a_cluster(16, dirty_mib_s=each) for each in (0, 300, 1500))
    sent = [Player(state, TEN).play(Queue(jobs(state)))[0] for state in (calm, busy, mad)]
    assert sent[0].sent_bytes < sent[1].sent_bytes < sent[2].sent_bytes
    assert [each.throttled for each in sent] == [False, False, True]
    assert sent[1].sent_bytes == pytest.approx(16 * GIB / (1 - 300 / 1100), rel=0.02), "a geometric series"
    slower = Player(busy, TWENTY_FIVE_SSH).play(Queue(jobs(busy)))[0]
    assert slower.throttled, "the same guest on a slower stream"


def test_no_order_beats_the_bounds() -> None:
    state = a_cluster(64, 8, 8, 4, 2, dirty_mib_s=60)
    for network in (TEN, TWENTY_FIVE_SSH):
        player = Player(state, network)
        for parallel in (1, 2, 4, 8):
            took = totals(player.play(Queue(jobs(state), parallel)))["seconds"]
            assert took + 1e-6 >= best_s(player, SOURCE) >= once_s(state, SOURCE, network)
