"""Which moves run beside which, how fast, how long all of it takes, and what each guest feels."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noout.domain.cluster import Disk
from noout.domain.maintenance import Move, MoveKind, Plan
from noout.lab.world import precopy as lab
from noout.lab.world.model import Guest as LabGuest
from noout.lab.world.model import Migration as LabMigration
from noout.plan import forecast as model
from noout.plan.forecast import forecast, precopy
from noout.plan.lint import lint
from noout.plan.network import settled, sharers
from noout.plan.plan import make_plan
from noout.plan.policy import MIB, Policy
from noout.plan.release import BESIDE, Flight, Turn, makespan_s, startable, timeline_s, turn
from tests.unit.plan.clusters import GIB, NOW, a_ceph, a_guest, a_node, a_state, a_store, gid, ha, node_id

OPEN = Policy(encrypted=False, shared=False)  # 10 Gbit/s, nothing else on it, one stream fills it
SSH = Policy(encrypted=True, shared=False)
SHARED = Policy(encrypted=True, shared=True)
NODES = [a_node(f"pve{i}", 512) for i in range(1, 6)]


def a_move(vmid: int, seconds: float = 20.0, **more) -> Move:
    base = Move(gid(vmid), f"g{vmid}", MoveKind.LIVE, node_id("pve3"), node_id("pve1"), 4 * GIB, expected_s=seconds)
    return replace(base, **more)


def planned(*guests, policy: Policy = OPEN, **state) -> Plan:
    plan = make_plan(a_state(NODES, guests, **state), None, node_id("pve3"), now=NOW, policy=policy)
    assert plan.feasible, plan.blockers
    return plan


# --- rates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "streams", "each"),
    [
        (OPEN, 1, 1100),
        (SSH, 3, 1100 / 3),
        (SHARED, 2, 275),
        (Policy(encrypted=False, shared=True), 1, 550),
        (Policy(encrypted=True, shared=False, nic_bytes_s=2750.0 * MIB), 7, 2750 / 7),
        (Policy(encrypted=True, shared=False, nic_bytes_s=2750.0 * MIB, streams=2), 2, 400),
        (Policy(encrypted=True, shared=False, nic_bytes_s=110.0 * MIB), 1, 110),
        (Policy(), 2, 275),  # what nobody saw is taken as encrypted and shared
    ],
)
def test_as_many_streams_as_fill_what_they_may_use(policy: Policy, streams: int, each: float):
    assert (policy.parallel, policy.stream_bytes_s) == (streams, pytest.approx(each * MIB))
    plan = planned(a_guest(1, "pve3"), policy=policy)
    assert plan.streams == streams and plan.lead_s == policy.setup_s
    if policy.shared is False:
        assert plan.stream_bytes_s == 0, "nothing is limited where nobody else is there"
    else:
        assert plan.streams * plan.stream_bytes_s <= 0.5 * policy.nic_bytes_s + 1


@pytest.mark.parametrize(("share", "rate"), [(0.25, 275), (0.5, 550), (1.0, 1100)])
def test_the_share_of_a_shared_network_is_a_choice(share: float, rate: float):
    assert Policy(shared=True, network_share=share).cap_bytes_s == pytest.approx(rate * MIB)


# --- whose network it is -----------------------------------------------------------------------------------------

OWN = {"migration_network": "10.9.0.0/24", "corosync_addresses": frozenset({"10.1.0.1", "10.1.0.2"})}
CEPH = replace(a_ceph(), addresses=frozenset({"10.2.0.1", "10.3.0.1"}))


@pytest.mark.parametrize(
    ("state", "ceph", "found"),
    [
        (OWN, CEPH, ()),
        (OWN, None, ()),
        (OWN | {"migration_network": "10.1.0.0/24"}, CEPH, ("corosync",)),
        (OWN | {"migration_network": "10.3.0.0/24"}, CEPH, ("Ceph",)),
        (OWN | {"migration_network": "10.0.0.0/8"}, CEPH, ("corosync", "Ceph")),
        (OWN | {"migration_network": "fd00::/64"}, CEPH, ()),
        (OWN | {"migration_network": "what is this"}, CEPH, ("corosync", "Ceph")),
        (OWN | {"corosync_addresses": frozenset()}, CEPH, ("perhaps corosync",)),
        (OWN, a_ceph(), ("perhaps Ceph",)),
    ],
)
def test_who_uses_the_network_of_migrations_is_seen_by_addresses(state, ceph, found):
    seen = a_state(NODES, [], **state)
    assert sharers(seen, ceph) == found
    assert settled(Policy(), seen, ceph).shared is bool(found)
    assert settled(Policy(shared=False), seen, ceph).shared is False, "what is configured holds"


def test_without_a_network_of_their_own_migrations_use_the_nodes_addresses():
    nodes = [replace(node, ip=f"10.1.0.{i}") for i, node in enumerate(NODES, 1)]
    seen = a_state(nodes, [], corosync_addresses=frozenset({"10.1.0.1"}))
    assert sharers(seen, CEPH) == ("corosync",)
    assert sharers(replace(seen, corosync_addresses=frozenset({"10.7.0.1"})), CEPH) == ()


@pytest.mark.parametrize(("kind", "encrypted"), [("", True), ("secure", True), ("insecure", False)])
def test_migrations_are_encrypted_unless_the_cluster_says_otherwise(kind: str, encrypted: bool):
    assert settled(Policy(), a_state(NODES, [], migration_type=kind), None).encrypted is encrypted


def test_an_assumption_about_the_network_is_said_with_its_remedy():
    found = planned(a_guest(1, "pve3"), policy=Policy()).cautions
    said = next(each for each in found if each.code == "plan.network-shared")
    assert "network with corosync" in said.message and "550 MiB/s" in said.message and "shared = false" in said.remedy
    for policy in (OPEN, SHARED):
        assert not [c for c in planned(a_guest(1, "pve3"), policy=policy).cautions if c.code == said.code]


# --- what one guest feels ----------------------------------------------------------------------------------------


def test_the_model_has_the_labs_constants():
    """Two files that may not import each other, one set of measured figures."""
    assert (model.FIRST_THROTTLE, model.MORE_THROTTLE, model.MOST_THROTTLE) == (
        lab.FIRST_THROTTLE, lab.MORE_THROTTLE, lab.MOST_THROTTLE,
    )  # fmt: skip
    assert model.PASSES_BEFORE_DOUBLING == lab.PASSES_BEFORE_DOUBLING
    assert sum(lab.REST_SHARE) / 2 == pytest.approx(model.REST_SHARE)
    assert model.SWITCH_MS == lab.SWITCH_MEDIAN_S * 1000


@given(st.integers(256, 16384), st.integers(0, 1500))
@settings(max_examples=50, deadline=None)
def test_the_model_sends_what_the_lab_sends(ram_mib: int, dirty_mib: int):
    rate = 400 * MIB
    migration = LabMigration(1, "a", "b", None, True, 0.0)  # type: ignore[arg-type]
    stream = lab.Stream(migration, ram_mib * MIB)
    stream.begin()
    took_s = stream.run(LabGuest(1, "g", "qemu", "a", ram_mib * MIB, dirty_rate=dirty_mib * MIB), rate, 1e9)
    copied = precopy(ram_mib * MIB, dirty_mib * MIB, rate)
    assert took_s is not None and copied.sent_bytes == pytest.approx(took_s * rate, rel=0.01)
    assert copied.throttled is (migration.throttle > 0) and copied.limit_s == pytest.approx(migration.downtime_limit)


def test_a_hotter_guest_takes_longer_and_pauses_longer():
    cool, warm, hot = (
        forecast(a_guest(1, "pve3", 8, dirty_bytes_s=rate * MIB), MoveKind.LIVE, SSH) for rate in (1, 150, 900)
    )
    assert cool.expected_s < warm.expected_s < hot.expected_s
    assert forecast(a_guest(1, "pve3", 64, dirty_bytes_s=0), MoveKind.LIVE, SSH).blackout_ms == 48, "as was measured"
    assert max(cool.blackout_ms, warm.blackout_ms) <= hot.blackout_ms == 102, "never above what PVE allows"
    assert (cool.throttled, hot.throttled) == (False, True)
    idle = forecast(a_guest(1, "pve3", 4, dirty_bytes_s=0), MoveKind.LIVE, OPEN)
    assert (idle.wire_bytes, idle.expected_s) == (4 * GIB, pytest.approx(5 + 4096 / 1100 + 4, abs=0.1))


def test_a_hot_guest_goes_alone_where_that_helps_and_last_of_the_live_ones():
    hot, cool = a_guest(1, "pve3", 16, dirty_bytes_s=180 * MIB), a_guest(2, "pve3", 2)
    plan = planned(hot, cool, policy=SHARED)
    assert [(move.guest.vmid, move.alone, move.throttled) for move in plan.moves] == [
        (2, False, False),
        (1, True, False),
    ]
    beside = forecast(replace(hot, dirty_bytes_s=200 * MIB), MoveKind.LIVE, replace(SHARED, streams=1))
    assert not beside.throttled, "alone it gets more than half of the share"
    wide = Policy(encrypted=True, shared=False, nic_bytes_s=2750.0 * MIB)
    assert not forecast(hot, MoveKind.LIVE, wide).alone, (
        "every stream is bound by its encryption: alone it is no faster"
    )


def test_ha_keeps_to_no_limit_so_nothing_runs_beside_it_on_a_shared_network():
    managed = a_guest(1, "pve3", 8, ha=ha(1, "pve3"))
    assert forecast(managed, MoveKind.LIVE, SHARED).alone and not forecast(managed, MoveKind.LIVE, SSH).alone
    plan = planned(managed, a_guest(2, "pve3", 2), a_guest(3, "pve3", 2), policy=SHARED)
    assert [move.guest.vmid for move in plan.moves] == [2, 3, 1]
    assert plan.moves[2].starts_s >= max(m.starts_s + m.expected_s for m in plan.moves[:2]) - 9.1, "all is copied"


# --- which moves run beside which --------------------------------------------------------------------------------


def flights(*moves: Move, ending: bool = False) -> list[Flight]:
    return [Flight(move, ending) for move in moves]


def test_one_more_is_set_up_while_another_ends():
    one, two, three = (a_move(i) for i in (1, 2, 3))
    assert turn(two, flights(one), 1) is Turn.NEXT
    assert turn(two, flights(one, ending=True), 1) is Turn.NOW
    assert turn(three, flights(one, ending=True) + flights(two), 1) is Turn.NEXT
    assert turn(three, flights(one, two, ending=True), 1) is Turn.NOW
    many = [a_move(10 + i) for i in range(1 + BESIDE)]
    assert turn(three, flights(*many, ending=True), 1) is Turn.NEXT, "but not any number of them"


def test_a_guest_that_steps_aside_between_other_nodes_takes_no_stream():
    aside = a_move(1, source=node_id("pve4"), target=node_id("pve5"))
    assert turn(a_move(2), flights(aside), 1) is Turn.NOW
    assert turn(a_move(2, target=node_id("pve5")), flights(aside), 1) is Turn.NEXT, "both load its link"
    assert turn(a_move(2), flights(aside), 0) is Turn.NEXT


def test_one_that_goes_alone_waits_for_all_and_nobody_passes_it():
    alone, other = a_move(1, alone=True), a_move(2)
    assert startable([alone, other], flights(a_move(3)), 4) == []
    assert startable([alone, other], flights(a_move(3), ending=True), 4) == [alone]
    assert startable([other], flights(alone), 4) == []


def test_what_waits_for_ha_or_for_a_storage_is_passed():
    managed, disks, plain = a_move(1, ha=True), a_move(2, mirrors=("pve3:lvm", "pve1:lvm")), a_move(3)
    busy = flights(a_move(4, ha=True), a_move(5, mirrors=("pve1:lvm",)))
    assert startable([managed, disks, plain], busy, 4) == [plain]
    assert startable([a_move(2, mirrors=("pve3:lvm", "pve2:lvm"))], busy, 4) != []


def test_set_ups_overlap_so_that_the_wire_is_never_idle():
    moves = [a_move(i, 5 + 10 + 4) for i in range(1, 5)]
    times = timeline_s(moves, 1, 5.0)
    assert [start for start, _ in times.values()] == [0, 10, 20, 30]
    assert makespan_s(moves, 1, 5.0) == 49, "one set-up, four copies, one clean-up"
    assert makespan_s(moves, 1) == 4 * 19
    assert makespan_s(moves, 2, 5.0) == 29


def test_a_move_that_is_waited_for_holds_up_only_those_that_wait():
    moves = [a_move(1, 30), a_move(2, 10), a_move(3, 10, after=(gid(1),)), a_move(4, 10)]
    times = timeline_s(moves, 2)
    assert times[gid(4)] == (10, 20) and times[gid(3)] == (30, 40)


# --- the whole -----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from([1, 4, 16, 64]), st.sampled_from([1, 20, 200]), st.booleans()), min_size=1,
             max_size=10),
    st.sampled_from([OPEN, SSH, SHARED, Policy()]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_times_of_every_plan_agree(guests, policy: Policy):
    plan = planned(
        *(a_guest(i, "pve3", ram, dirty_bytes_s=dirty * MIB, ha=ha(i, "pve3") if managed else None)
          for i, (ram, dirty, managed) in enumerate(guests, 1)),
        policy=policy,
    )  # fmt: skip
    low, high = plan.estimate_s
    assert 0 < plan.lower_bound_s <= low <= high < math.inf
    ends = {move.guest: move.starts_s + move.expected_s for move in plan.moves}
    assert max(ends.values()) <= low + 0.2
    for at in (move.starts_s for move in plan.moves):
        beside = [move for move in plan.moves if move.starts_s <= at < ends[move.guest] - 0.05]
        assert len(beside) <= plan.streams + max(plan.streams, BESIDE) and sum(move.ha for move in beside) <= 1


def test_without_hot_guests_or_ha_the_estimate_is_near_the_bound():
    for policy in (OPEN, SHARED, Policy(encrypted=True, shared=False, nic_bytes_s=2750.0 * MIB)):
        plan = planned(*(a_guest(i, "pve3", (4, 8, 16)[i % 3], dirty_bytes_s=MIB) for i in range(1, 25)), policy=policy)
        assert plan.estimate_s[0] <= 1.08 * plan.lower_bound_s, policy


def test_two_copies_of_disks_never_share_a_storage():
    def with_disk(vmid: int, store: str):
        disk = Disk("scsi0", f"{store}:vm-{vmid}-disk-0", store, 30 * GIB, False)
        return a_guest(vmid, "pve3", 4, disks=(disk,))

    stores = [a_store(name, f"pve{i}", 500) for i in range(1, 6) for name in ("fast", "slow")]
    plan = planned(
        with_disk(1, "fast"), with_disk(2, "fast"), with_disk(3, "slow"), policy=SHARED, storages=tuple(stores)
    )
    assert all(len(move.mirrors) == 2 and any("pve3:" in each for each in move.mirrors) for move in plan.moves)
    spans = [(move.starts_s, move.starts_s + move.expected_s) for move in plan.moves if "pve3:fast" in move.mirrors]
    assert spans[0][1] <= spans[1][0] + 0.1
    assert {move.guest: move.mirrors for move in plan.returns} == {move.guest: move.mirrors for move in plan.moves}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: replace(p, stream_bytes_s=0.0), "no limit"),
        (lambda p: replace(p, stream_bytes_s=p.stream_bytes_s * 1.5), "together they may use"),
        (lambda p: replace(p, lead_s=math.inf), "lead"),
        (lambda p: replace(p, lead_s=60.0), "lead"),
        (lambda p: replace(p, moves=tuple(replace(m, wire_bytes=-1) for m in p.moves)), "wire"),
        (lambda p: replace(p, moves=tuple(replace(m, starts_s=math.nan) for m in p.moves)), "starts"),
        (lambda p: replace(p, moves=tuple(replace(m, alone=False) for m in p.moves)), "HA"),
        (lambda p: replace(p, moves=tuple(replace(m, mirrors=("pve3:x",)) for m in p.moves)), "storages"),
    ],
)  # fmt: skip
def test_the_lint_refuses_a_schedule_that_does_not_hold(spoil, said: str):
    guests = [a_guest(1, "pve3", 4, ha=ha(1, "pve3")), a_guest(2, "pve3")]
    state = a_state(NODES, guests)
    plan = make_plan(state, None, node_id("pve3"), now=NOW, policy=SHARED)
    assert lint(plan, state, SHARED) == ()
    assert any(said in each for each in lint(spoil(plan), state, SHARED)), lint(spoil(plan), state, SHARED)
