"""What is at stake while a node is away, when a second fault is one, and what people may decide then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from noout.domain.ceph import Osd, Pool
from noout.domain.hardware import Power
from noout.domain.journal import Message, MessageKind
from noout.domain.maintenance import Maintenance
from noout.run.inbox import refusal
from noout.steps.exposure import baseline, exposure, may_heal, second_fault
from noout.steps.hold_data import HoldData
from noout.steps.repair import Repair
from noout.steps.rules import Rules
from noout.steps.step import Act, Back, Blocked, Hold
from tests.unit.steps.scene import NAMES, T0, bmc, ceph, cluster, maintenance, owning, seen, without

HELD = owning(("noout", "pve3"), ("mon-stopped", "mon.pve3"), ("osd-stopped", "osd.4"), ("osd-stopped", "osd.5"))
POOLS = (Pool(1, ".mgr", 3, 2), Pool(2, "rbd", 3, 2))


def away(**changes: Any) -> Maintenance:
    """Node off, data held, and what was there before written down."""
    m = maintenance(owned=HELD, node_off_at=T0, step="repair")
    m = replace(m, facts={**m.facts, "baseline": baseline(m, seen(cluster(), ceph(pools=POOLS)))})
    return replace(m, **changes)


DATA = without(ceph(pools=POOLS, host_flags={"pve3": frozenset({"noout", "noup"})}), 4, 5, mon="pve3")


def test_what_is_at_stake_is_said_in_words() -> None:
    assert exposure(away(), seen(cluster(offline=("pve3",)), DATA)) == [
        "1 more node may be lost before the cluster loses its quorum",
        "one more mon lost: all storage stops",
        "one more host with data lost: writes to pool rbd stop",
    ]


@pytest.mark.parametrize(
    ("offline", "down", "mon", "words"),
    [
        (("pve3",), (4, 5), "pve3", ""),
        (("pve3", "pve5"), (4, 5), "pve3", "pve5 is no longer online"),
        (("pve3",), (4, 5, 8), "pve3", "osd.8 on another host is down"),
        (("pve3",), (4, 5), "pve2", "mon pve2 is out of quorum"),
    ],
)
def test_a_second_fault_is_measured_against_what_was_there(
    offline: tuple[str, ...], down: tuple[int, ...], mon: str, words: str
) -> None:
    assert second_fault(away(), seen(cluster(offline=offline), without(ceph(pools=POOLS), *down, mon=mon))) == words


def test_what_was_away_before_is_no_second_fault() -> None:
    m = maintenance(owned=HELD, node_off_at=T0)
    before = without(ceph(), 8)
    m = replace(m, facts={**m.facts, "baseline": baseline(m, seen(cluster(offline=("pve5",)), before))})
    assert second_fault(m, seen(cluster(offline=("pve3", "pve5")), without(ceph(), 4, 5, 8, mon="pve3"))) == ""


def test_before_the_node_is_off_a_second_fault_brings_the_daemons_back() -> None:
    m = away(node_off_at=None, closing_up="osd.8 on another host is down", urgent=True, step="hold-data")
    decision = HoldData().plan(m, seen(cluster(), DATA))
    assert isinstance(decision, Act) and decision.actions[0].key == "hold-data/start-mon/mon.pve3"
    assert isinstance(Repair().plan(replace(m, step="repair"), seen(cluster(), DATA)), Back)
    whole = HoldData().plan(replace(m, owned=()), seen(cluster(), ceph()))
    assert isinstance(whole, Blocked) and whole.blockers[0].code == "second-fault"


def test_past_the_limit_the_hold_is_a_decision_with_what_is_at_stake() -> None:
    off = seen(cluster(offline=("pve3",)), DATA, hardware=bmc(Power.OFF))
    m = away(facts={**away().facts, "exposure": ["one more mon lost: all storage stops"]})
    repair = Repair(Rules(hold_limit_s=3600))
    assert isinstance(repair.plan(m, replace(off, at=T0)), Hold)
    late = seen(cluster(offline=("pve3",)), DATA, after_s=3600, hardware=bmc(Power.OFF))
    decision = repair.plan(m, late)
    assert isinstance(decision, Blocked)
    assert "one more mon lost" in decision.blockers[0].message
    for command in ("close-up", "extend", "let-heal"):
        assert f"noout {command} {m.id}" in decision.blockers[0].remedy


def osds(used: float) -> tuple[Osd, ...]:
    return tuple(Osd(2 * i + k, name, True, True, 100, int(100 * used)) for i, name in enumerate(NAMES) for k in (0, 1))


@pytest.mark.parametrize(
    ("used", "hosts", "code"), [(0.5, 5, ""), (0.7, 5, "ceph.would-be-full"), (0.1, 3, "ceph.cannot-heal")]
)
def test_healing_needs_hosts_and_room(used: float, hosts: int, code: str) -> None:
    left = tuple(osd for osd in osds(used) if osd.host in NAMES[:hosts])
    blockers = may_heal(away(), seen(cluster(), ceph(osds=left, pools=POOLS)))
    assert [each.code for each in blockers] == ([code] if code else [])


def test_an_operator_who_lets_ceph_heal_releases_noout_and_keeps_noup() -> None:
    off = seen(cluster(offline=("pve3",)), replace(DATA, osds=without(ceph(osds=osds(0.5)), 4, 5).osds))
    decision = Repair().plan(away(healing=True), off)
    assert isinstance(decision, Act) and decision.actions[0].key == "repair/unset-noout/pve3"


@pytest.mark.parametrize(
    ("changes", "kind", "data", "words"),
    [
        ({}, "close-up", {}, ""),
        ({}, "let-heal", {}, ""),
        ({}, "extend", {"hours": 2}, ""),
        ({}, "extend", {"hours": 0}, "hours is 0"),
        ({}, "extend", {"hours": 25}, "at most 24"),
        ({}, "extend", {}, "hours is None"),
        ({"node_off_at": None}, "close-up", {}, "not away"),
        ({"node_on_at": T0}, "extend", {"hours": 2}, "not away"),
        ({"aborting": True}, "let-heal", {}, "being aborted"),
        ({"owned": ()}, "let-heal", {}, "no data that could heal"),
    ],
)
def test_what_may_be_decided_when(changes: dict[str, Any], kind: str, data: dict[str, Any], words: str) -> None:
    said = refusal(away(**changes), Message("k", MessageKind(kind), "operator:anna", T0, data))
    assert (words in said) if words else said == ""
