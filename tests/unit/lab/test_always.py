"""What holds in every world, whatever is done to it: found by trying."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noout.lab.world.ceph_map import pool_of
from noout.lab.world.kernel import LawError
from tests.unit.lab.play import USER, Play

NODES = [f"pve{n}" for n in range(1, 7)]
VMIDS = sorted(Play().c.guests)

acts = st.one_of(
    st.tuples(st.just("migrate"), st.sampled_from(VMIDS), st.sampled_from(NODES)),
    st.tuples(st.just("cancel"), st.integers(0, 9), st.just("")),
    st.tuples(st.just("maintenance"), st.booleans(), st.sampled_from(NODES)),
    st.tuples(st.sampled_from(["cut", "on", "shutdown", "reboot"]), st.just(0), st.sampled_from(NODES)),
    st.tuples(st.sampled_from(["stop", "start"]), st.sampled_from(VMIDS), st.just("")),
    st.tuples(st.just("flag"), st.booleans(), st.sampled_from(["noout", "noup", "nobackfill"])),
    st.tuples(st.just("group"), st.booleans(), st.sampled_from(NODES)),
    st.tuples(st.sampled_from(["srv-stop", "srv-start"]), st.just(0), st.sampled_from(NODES)),
)
stories = st.lists(st.tuples(acts, st.floats(0.1, 90.0)), min_size=1, max_size=12)
patient = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def do(play: Play, act: tuple[str, object, str]) -> None:
    verb, what, where = act
    laws, c = play.laws, play.c
    running = [t for t in c.tasks.values() if t.status == "running"]
    try:
        if verb == "migrate":
            guest = play.guest(int(what))  # type: ignore[call-overload]
            live = guest.type == "qemu"
            laws.start_migration(c, guest.vmid, where, online=live, user=USER, restart=not live)
        elif verb == "cancel" and running:
            laws.stop_task(c, running[int(what) % len(running)].upid)  # type: ignore[call-overload]
        elif verb == "maintenance":
            laws.crm_maintenance(c, where, bool(what))
        elif verb in ("cut", "on", "shutdown", "reboot"):
            {"cut": laws.power_cut, "on": laws.power_on, "shutdown": laws.node_shutdown, "reboot": laws.node_reboot}[
                verb
            ](c, where)
        elif verb in ("stop", "start"):
            (laws.stop_guest if verb == "stop" else laws.start_guest)(c, int(what), USER)  # type: ignore[call-overload]
        elif verb == "flag":
            laws.ceph_flag(c, where, bool(what))
        elif verb == "group":
            laws.ceph_group_flags(c, where, ["noout"], bool(what))
        elif verb.startswith("srv"):
            laws.ceph_service(c, where, verb.split("-")[1], "osd", USER)
    except LawError:
        pass  # refused as PVE would: nothing may have changed, which is what is checked next


UNSURE = ("setup", "failed")


def check(play: Play) -> None:
    """The world has to be one that could be."""
    c = play.c
    for name, node in c.nodes.items():
        # A migration that is being set up counts already, and fails there when there is no room for it.
        hoped = sum(c.guests[m.guest].maxmem for m in c.migrations.values() if m.target == name and m.phase in UNSURE)
        assert play.laws.ram_used(c, name) - hoped <= node.maxmem, f"{name} promises more memory than it has"
        assert node.power or not node.online
    for guest in c.guests.values():
        assert guest.node in c.nodes
        if guest.status == "running":
            assert c.nodes[guest.node].online, f"guest {guest.vmid} runs on a node that is off"
        else:
            assert not play.laws.probe(c, guest.vmid, play.laws.now), f"guest {guest.vmid} answers while stopped"
        if guest.lock == "migrate":
            assert guest.vmid in c.migrations
    for vmid, migration in c.migrations.items():
        assert migration.task.status == "running"
        assert c.guests[vmid].node in (migration.source, migration.target)
    for task in c.tasks.values():
        assert (task.status == "stopped") == (task.exitstatus is not None) == (task.endtime is not None)
    for pg in play.ceph.pgs.values():
        assert len(set(pg.acting)) == len(pg.acting) >= pool_of(play.ceph, pg.pgid).size
        assert all(missing >= 0 for missing in pg.behind.values())
    assert sum(play.laws._count_states(c).values()) == len(play.ceph.pgs)
    happened = [at for at, _, _ in play.world.happened]
    assert happened == sorted(happened)


@given(stories)
@patient
def test_no_story_leads_to_a_world_that_cannot_be(story: list[tuple[tuple[str, object, str], float]]) -> None:
    play = Play()
    for act, seconds in story:
        do(play, act)
        check(play)
        play.forward(seconds / 2)
        check(play)
        play.forward(seconds / 2)
        check(play)
    play.forward(600)
    check(play)
    assert not [t for t in play.c.tasks.values() if t.status == "running" and play.laws.now - t.starttime > 500]


@given(stories, st.integers(1, 5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_one_seed_tells_one_story_however_often_one_looks(
    story: list[tuple[tuple[str, object, str], float]], seed: int
) -> None:
    def tell(steps: int) -> list[tuple[float, str, str]]:
        play = Play(seed=seed)
        for act, seconds in story:
            do(play, act)
            until = play.clock.at + seconds
            for n in range(1, steps):
                play.clock.at = until - seconds + seconds * n / steps
                play.laws.advance()
                play.laws.pg_states(play.c)
                play.laws.fan_readings(play.c, "pve3")
            play.clock.at = until
            play.laws.advance()
        return play.world.happened

    assert tell(1) == tell(3)


def test_the_log_of_what_happened_is_the_same_twice() -> None:
    def tell(seed: int) -> list[tuple[float, str, str]]:
        play = Play(seed=seed)
        play.laws.fault(play.c, "fan-flapping", node="pve3", fan="FAN3B", per_hour=30)
        play.laws.crm_maintenance(play.c, "pve3", True)
        play.forward(400)
        play.laws.power_cut(play.c, "pve5")
        play.forward(3600)
        return play.world.happened

    assert tell(1) == tell(1)
    assert tell(1) != tell(2)
