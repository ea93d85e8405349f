"""The default world holds what the story needs; one seed makes one world."""

from __future__ import annotations

import dataclasses

import pytest

from noout.lab.clock import LabClock
from noout.lab.world.build import build_world
from noout.lab.world.laws import Laws
from tests.unit.lab.play import Play


def test_the_storys_node_holds_its_cast() -> None:
    play = Play()
    here = {g.vmid: g for g in play.c.guests.values() if g.node == "pve3"}
    managed = {int(sid.split(":")[1]) for sid in play.c.ha.resources}
    assert len([v for v in here if v in managed]) >= 2
    assert len([v for v, g in here.items() if v not in managed and g.type == "qemu" and not g.local_resources]) >= 2
    assert [g.tags for g in here.values() if g.type == "lxc"] == [["relocate-ok"]]
    assert [g.tags for g in here.values() if g.local_resources] == [["shutdown-ok"]]
    assert {g.pool for g in here.values()} >= {"boekhuis", "mercato", "zonneweb", None}
    assert any(t.startswith("customer-") for g in here.values() for t in g.tags)
    elsewhere = [d.volid for g in play.c.guests.values() if g.node != "pve3" for d in g.disks]
    assert any(v.startswith("local:iso/") for v in elsewhere) and any(v.startswith("local-lvm:") for v in elsewhere)
    assert [r for r in play.c.ha.rules.values() if r.affinity == "negative"]


@pytest.mark.parametrize("seed", range(1, 11))
def test_memory_is_two_thirds_promised_and_one_node_fits_into_the_others(seed: int) -> None:
    play = Play(seed=seed)
    used = {n: play.laws.ram_used(play.c, n) for n in play.c.nodes}
    total = sum(n.maxmem for n in play.c.nodes.values())
    assert 0.5 < sum(used.values()) / total < 0.75
    room = sum(n.maxmem - used[name] for name, n in play.c.nodes.items() if name != "pve3")
    assert used["pve3"] - play.c.nodes["pve3"].base_mem < room
    assert all(used[n] <= node.maxmem for n, node in play.c.nodes.items())


def test_one_seed_makes_one_world_and_another_seed_another() -> None:
    assert dataclasses.asdict(build_world(seed=3)) == dataclasses.asdict(build_world(seed=3))
    assert dataclasses.asdict(build_world(seed=3)) != dataclasses.asdict(build_world(seed=4))


@pytest.mark.parametrize(("nodes", "guests"), [(1, 0), (1, 1), (2, 5), (3, 1), (10, 500), (50, 100)])
def test_worlds_of_any_size_can_be_built(nodes: int, guests: int) -> None:
    world = build_world(nodes=nodes, guests=guests, clusters=2)
    for cluster in world.clusters.values():
        assert (len(cluster.nodes), len(cluster.guests)) == (nodes, guests)
        assert (cluster.ceph is not None) == (nodes >= 3)
    ids = [c.ceph.fsid for c in world.clusters.values() if c.ceph]
    assert len(set(ids)) == len(ids)


def test_absurd_worlds_are_refused() -> None:
    with pytest.raises(ValueError):
        build_world(nodes=0)


def test_virtual_time_is_a_straight_line_over_the_wall() -> None:
    wall = [100.0]
    clock = LabClock(epoch=5000.0, started=100.0, speed=60.0, wall=lambda: wall[0])
    assert clock.now() == 5000.0
    wall[0] = 102.0
    assert clock.now() == 5120.0
    assert clock.wall_seconds(120) == 2.0


def test_due_events_run_in_their_order_at_their_own_instants() -> None:
    play = Play()
    seen: list[tuple[str, float]] = []
    for name, after in (("late", 9.0), ("early", 2.0), ("twin", 2.0)):
        play.laws.after(after, lambda name=name: seen.append((name, play.seconds)))  # type: ignore[misc]
    play.forward(60)
    assert seen == [("early", 2.0), ("twin", 2.0), ("late", 9.0)]
    assert play.seconds == 60.0


def test_a_clock_that_goes_back_does_not_take_the_world_with_it() -> None:
    play = Play()
    play.forward(10)
    play.clock.at -= 5
    assert Laws.advance(play.laws) == play.world.epoch + 10
