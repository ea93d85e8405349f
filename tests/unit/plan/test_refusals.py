"""What stands in the way is named, with a remedy; what cannot be true is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.ceph import Pool
from noout.domain.cluster import Disk, GuestKind, GuestStatus, NodeId, Votes
from noout.domain.errors import UsageError
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.unit.plan.clusters import (
    GIB,
    NOW,
    a_ceph,
    a_guest,
    a_node,
    a_state,
    apart,
    gid,
    ha,
    moved,
    node_id,
    together,
)

PVE3 = node_id("pve3")
LOST = ("pve5", "pve6")
ISO = Disk("ide2", "local:iso/debian.iso", "local", GIB, False, cdrom=True)
LOCAL = Disk("scsi0", "local-lvm:vm-1-disk-0", "local-lvm", GIB, False)


def nodes(count: int = 6, ram_gib: float = 40):
    return [a_node(f"pve{i}", ram_gib) for i in range(1, count + 1)]


def plan_for(*guests, count: int = 6, ceph=None, policy=None, **state):
    return make_plan(a_state(nodes(count), guests, **state), ceph, PVE3, now=NOW, policy=policy or Policy())


@pytest.mark.parametrize(
    ("more", "code", "remedy"),
    [
        ({"local_resources": ("usb0",)}, "guest.passthrough", "tag it shutdown-ok"),
        ({"local_resources": ("hostpci0",)}, "guest.passthrough", "qm set 1 --delete hostpci0"),
        ({"kind": GuestKind.LXC}, "guest.lxc-relocation", "tag it relocate-ok"),
        ({"disks": (ISO,)}, "guest.local-iso", "qm set 1 --ide2 none,media=cdrom"),
        ({"lock": "suspended"}, "guest.locked", "qm unlock 1"),
        ({"status": GuestStatus.UNKNOWN}, "guest.not-running", "resume it or shut it down"),
        ({"ha": replace(ha(1, "pve3"), state="error")}, "guest.ha-unsettled", "needs a person"),
        ({"disks": (LOCAL,), "ha": ha(1, "pve3")}, "guest.ha-local-disks", "ha-manager remove vm:1"),
        ({"disks": (LOCAL,)}, "plan.no-room", "tag it shutdown-ok"),
    ],
)
def test_what_cannot_leave_is_named_with_its_remedy(more, code, remedy):
    plan = plan_for(a_guest(1, "pve3", **more), a_guest(2, "pve3"))
    assert not plan.feasible
    assert [(b.code, b.subject) for b in plan.blockers] == [(code, "ams1/1")]
    assert remedy in plan.blockers[0].remedy
    assert [m.guest for m in plan.moves] == [gid(2)]


def test_the_operators_consent_counts_as_the_tag_does():
    container = a_guest(1, "pve3", kind=GuestKind.LXC)
    assert plan_for(container, policy=Policy(consents=frozenset({gid(1)}))).feasible


def test_guests_at_rest_stay_unless_they_would_start_with_the_node():
    plan = plan_for(
        a_guest(1, "pve3", status=GuestStatus.STOPPED),
        a_guest(2, "pve3", status=GuestStatus.STOPPED, onboot=True),
        a_guest(3, "pve3", status=GuestStatus.STOPPED, onboot=True, disks=(LOCAL,)),
        a_guest(4, "pve3", status=GuestStatus.STOPPED, template=True),
    )
    assert plan.feasible
    assert [(m.guest.vmid, m.kind.value) for m in plan.moves] == [(2, "offline")]
    assert {(c.subject, c.code) for c in plan.cautions} == {
        ("ams1/1", "guest.stopped"),
        ("ams1/3", "guest.starts-at-power-on"),
        ("ams1/4", "guest.template"),
    }


def test_no_room_names_the_guest_what_is_missing_and_the_cheapest_remedy():
    guests = [a_guest(1, "pve3", 20), a_guest(2, "pve1", 16, disks=(LOCAL,)), a_guest(3, "pve2", 14, disks=(LOCAL,))]
    state = a_state(nodes(3), guests, rules=())
    blocker = make_plan(state, None, PVE3, now=NOW).blockers[0]
    assert blocker.code == "plan.no-room" and blocker.subject == "ams1/1"
    assert "VM 1 guest-1 (20 GiB)" in blocker.message
    assert "pve2 lacks 2 GiB" in blocker.message and "pve1 lacks 4 GiB" in blocker.message
    assert blocker.remedy.startswith("free 2 GiB on pve2")


def test_no_room_names_the_rule():
    guests = [a_guest(1, "pve3"), a_guest(2, "pve1", disks=(LOCAL,)), a_guest(3, "pve2", disks=(LOCAL,))]
    plan = plan_for(*guests, count=3, rules=(apart(1, 2, 3),))
    assert [b.code for b in plan.blockers] == ["plan.no-room"]
    assert "rule apart keeps it apart" in plan.blockers[0].message and "relax rule apart" in plan.blockers[0].remedy


def test_an_agreed_shutdown_stands_in_for_room():
    fixed = [a_guest(2, "pve1", 16, disks=(LOCAL,)), a_guest(3, "pve2", 14, disks=(LOCAL,))]
    guests = [a_guest(1, "pve3", 20, tags=frozenset({"shutdown-ok"})), *fixed]
    plan = make_plan(a_state(nodes(3), guests), None, PVE3, now=NOW)
    assert plan.feasible and [m.kind.value for m in plan.moves] == ["shutdown"]


def test_rules_that_contradict_each_other_are_a_blocker():
    plan = plan_for(a_guest(1, "pve3"), a_guest(2, "pve3"), rules=(apart(1, 2), together(1, 2)))
    assert [b.code for b in plan.blockers] == ["plan.rules-contradict"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda s: replace(s, quorate=False), "cluster.not-quorate"),
        (lambda s: replace(s, ha_armed=False), "cluster.ha-disarmed"),
        (lambda s: replace(s, ha_requests=(("pve5", "maintenance"),)), "cluster.other-maintenance"),
        (lambda s: replace(s, nodes=(*s.nodes[:2], a_node("pve3", online=False), *s.nodes[3:])), "node.offline"),
        (
            lambda s: replace(s, nodes=(*s.nodes[:4], *(replace(n, online=False) for n in s.nodes[4:]))),
            "cluster.quorum",
        ),
    ],
)
def test_a_cluster_that_is_not_well_is_left_alone(change, code):
    state = change(a_state(nodes(), [a_guest(1, "pve3")]))
    plan = make_plan(state, a_ceph(), PVE3, now=NOW)
    assert code in {b.code for b in plan.blockers}
    assert all(b.remedy for b in plan.blockers)


@pytest.mark.parametrize(
    ("ceph", "code"),
    [
        ({"fresh": False}, "ceph.stale"),
        ({"pgs_by_state": {"active+clean": 100, "active+undersized+degraded": 28}}, "ceph.not-clean"),
        ({"pools": (Pool(1, "rbd", 2, 2),)}, "ceph.pool-min-size"),
        ({"quorum": ("pve1", "pve3")}, "ceph.mon-quorum"),
        ({"mgr_active": "pve3", "mgr_standbys": ()}, "ceph.no-standby-mgr"),
        ({"flags": frozenset({"pause"})}, "ceph.paused"),
    ],
)
def test_ceph_that_cannot_spare_the_node_blocks(ceph, code):
    plan = plan_for(a_guest(1, "pve3"), ceph=a_ceph(**ceph))
    assert [b.code for b in plan.blockers] == [code]


@pytest.mark.parametrize(
    ("ceph", "code"),
    [
        ({"flags": frozenset({"noout"})}, "ceph.noout-set"),
        ({"host_flags": {"pve5": frozenset({"noout"})}}, "ceph.host-flag-set"),
        ({"hosts": 3}, "ceph.nowhere-to-heal"),
        ({"flags": frozenset({"norebalance"})}, "ceph.flag-set"),
    ],
)
def test_what_a_person_should_know_of_ceph_is_a_caution(ceph, code):
    plan = plan_for(a_guest(1, "pve3"), ceph=a_ceph(**ceph))
    assert plan.feasible and code in {c.code for c in plan.cautions}


def test_three_nodes_have_no_vote_to_lose():
    plan = plan_for(a_guest(1, "pve3"), count=3)
    assert plan.feasible and "cluster.no-vote-to-lose" in {c.code for c in plan.cautions}


def test_votes_are_counted_not_nodes():
    """Two nodes and a QDevice; then one node of three whose vote is worth all the others'."""
    pair = a_state(nodes(2), [])
    assert pair.votes_without(NodeId("ams1", "pve1")) == Votes(1, 2, 2)
    assert replace(pair, qdevice_votes=1).votes_without(NodeId("ams1", "pve1")) == Votes(2, 2, 3)
    heavy = replace(a_state(nodes(3), []), votes={"pve1": 3, "pve2": 1, "pve3": 1})
    plan = make_plan(heavy, None, NodeId("ams1", "pve1"), now=heavy.at)
    assert "cluster.quorum" in {blocker.code for blocker in plan.blockers}
    plan = make_plan(heavy, None, NodeId("ams1", "pve2"), now=heavy.at)
    assert not {reason.code for reason in (*plan.blockers, *plan.cautions)} & {
        "cluster.quorum",
        "cluster.no-vote-to-lose",
    }


GUEST = a_guest(1, "pve3")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (a_state([], []), "has no nodes"),
        (a_state(nodes(2), []), "unknown node ams1/pve3"),
        (a_state([*nodes(), a_node("pve1")], []), "node ams1/pve1 is listed 2 times"),
        (a_state(nodes(), [GUEST, GUEST]), "guest ams1/1 is listed 2 times"),
        (a_state(nodes(), [moved(GUEST, ram_bytes=-1)]), "ram_bytes is -1"),
        (a_state(nodes(), [moved(GUEST, cpu_used=float("nan"))]), "cpu_used is nan"),
        (a_state(nodes(), [moved(GUEST, node=node_id("pve9"))]), "is on ams1/pve9, which is not in the cluster"),
        (a_state([*nodes(5), a_node("pve6", 0)], []), "online with no RAM"),
        (a_state(nodes(), [], at=NOW.replace(tzinfo=None)), "need a time zone"),
    ],
)
def test_a_state_that_cannot_be_true_is_refused_in_one_sentence(state, said):
    with pytest.raises(UsageError, match=said) as error:
        make_plan(state, None, PVE3, now=NOW)
    assert error.value.remedy


def test_a_policy_that_cannot_work_is_refused():
    with pytest.raises(UsageError, match="streams is 0"):
        Policy(streams=0)
