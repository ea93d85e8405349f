"""A CRUSH host named unlike its node: flags go to the one, daemons belong to the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from noout.domain.ceph import CephState
from noout.domain.maintenance import Maintenance
from noout.steps.hold_data import HoldData
from noout.steps.step import Act, Finished
from tests.unit.steps.scene import ceph, cluster, maintenance, owning, seen, without

STEP = HoldData()


def stored(*down: int, mon: str = "", flags: frozenset[str] = frozenset()) -> CephState:
    """pve3's OSDs are under CRUSH host store3."""
    state = ceph(host_flags={"store3": flags} if flags else {})
    osds = tuple(replace(osd, host="store3") if osd.host == "pve3" else osd for osd in state.osds)
    return without(replace(state, osds=osds), *down, mon=mon)


def held(*owned: tuple[str, str], **changes: Any) -> Maintenance:
    facts = {"crush_host": "store3", "hands-on": True}
    return maintenance(facts=facts, owned=owning(*owned), **changes)


def keys(decision: object) -> list[str]:
    assert isinstance(decision, Act), decision
    return [action.command for action in decision.actions]


def test_the_way_down() -> None:
    noout, both = frozenset({"noout"}), frozenset({"noout", "noup"})
    taken = [("noout", "store3"), ("mon-stopped", "mon.pve3"), ("osd-stopped", "osd.4"), ("osd-stopped", "osd.5")]
    at = cluster()
    assert keys(STEP.plan(held(), seen(at, stored()))) == ["ceph osd set-group noout store3"]
    [stop] = keys(STEP.plan(held(*taken[:1]), seen(at, stored(flags=noout))))
    assert "pve3" in stop and "mon.pve3" in stop
    now = seen(at, stored(mon="pve3", flags=noout), after_s=60)
    assert "osd.4" in keys(STEP.plan(held(*taken[:2]), now))[0]
    now = seen(at, stored(4, 5, mon="pve3", flags=noout), after_s=60)
    assert keys(STEP.plan(held(*taken), now)) == ["ceph osd set-group noup store3"]
    now = seen(at, stored(4, 5, mon="pve3", flags=both), after_s=60)
    assert isinstance(STEP.plan(held(*taken, ("noup", "store3")), now), Finished)


def test_the_way_back() -> None:
    both = frozenset({"noout", "noup"})
    m = held(("noout", "store3"), ("noup", "store3"))
    assert keys(STEP.undo(m, seen(cluster(), stored(flags=both)))) == ["ceph osd unset-group noup store3"]
    m = held(("noout", "store3"))
    now = seen(cluster(), stored(flags=frozenset({"noout"})))
    assert keys(STEP.undo(m, now)) == ["ceph osd unset-group noout store3"]
