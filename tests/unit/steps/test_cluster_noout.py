"""The whole cluster's noout: only when flags for the host are refused and policy says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from noout.domain.maintenance import Maintenance
from noout.domain.reasons import Caution
from noout.steps.bring_back import keep_held, release_data
from noout.steps.hold_data import HoldData
from noout.steps.repair import Repair
from noout.steps.rules import Rules
from noout.steps.step import ATTEMPTS_MAX, Act, Blocked, Decision, Note
from tests.unit.steps.scene import T0, ceph, cluster, maintenance, owning, seen, without

DATA = ceph(mgr_active="pve1")
SET = frozenset({"noout"})
HOLD = HoldData(Rules(cluster_noout=True))


def refused(*kinds: str, **changes: Any) -> Maintenance:
    failed = {f"hold-data/set-{flag}/pve3": ATTEMPTS_MAX for flag in ("noout", "noup")}
    owned = owning(*((kind, "ams1") for kind in kinds))
    return maintenance(
        step="hold-data", hands_on_by="technician:ruben", failed=failed, failed_at=dict.fromkeys(failed, T0),
        owned=owned, **changes,
    )  # fmt: skip


def key(decision: Decision | None) -> str:
    assert isinstance(decision, Act), decision
    return decision.actions[0].key


def test_it_is_asked_for_only_by_policy() -> None:
    off_pve3 = seen(cluster(), replace(DATA, mgr_active="pve1"))
    assert key(HOLD.plan(refused(), off_pve3)) == "hold-data/set-cluster-noout/ams1"
    assert isinstance(HoldData().plan(refused(), off_pve3), Blocked)
    assert key(HOLD.plan(maintenance(step="hold-data"), off_pve3)) == "hold-data/set-noout/pve3"


def test_what_it_costs_is_said_before_anything_goes_down() -> None:
    decision = HOLD.plan(refused("cluster-noout"), seen(cluster(), replace(DATA, flags=SET)))
    assert isinstance(decision, Note) and decision.value["code"] == "ceph.cluster-noout"


def test_somebody_elses_serves_and_stays_theirs() -> None:
    decision = HOLD.plan(refused(), seen(cluster(), replace(DATA, flags=SET)))
    assert isinstance(decision, Note) and decision.value["code"] == "ceph.foreign-noout"


def test_it_is_set_again_when_somebody_clears_it_and_released_last() -> None:
    down = without(DATA, 4, 5)
    held = refused("cluster-noout")
    assert key(keep_held("repair", held, seen(cluster(), down))) == "repair/set-cluster-noout/ams1"
    assert keep_held("repair", held, seen(cluster(), replace(down, flags=SET))) is None
    assert not isinstance(release_data("reintegrate", held, seen(cluster(), replace(down, flags=SET))), Act)
    clean = seen(cluster(), replace(DATA, flags=SET))
    assert key(release_data("reintegrate", held, clean)) == "reintegrate/unset-cluster-noout/ams1"


def off(*, foreign_gone: bool = True, **changes: Any) -> tuple[Maintenance, Any]:
    """The node is off; somebody else's noout served to hold its data, and they have taken it away."""
    down = without(DATA, 4, 5)
    failed = {f"{step}/set-noout/pve3": ATTEMPTS_MAX for step in ("repair", "reintegrate")}
    m = maintenance(
        step="repair", hands_on_by="technician:ruben", node_off_at=T0, failed=failed,
        failed_at=dict.fromkeys(failed, T0), owned=owning(("osd-stopped", "osd.4")), **changes,
    )  # fmt: skip
    return m, seen(cluster(), down if foreign_gone else replace(down, flags=SET))


def test_where_the_hosts_is_refused_and_others_took_theirs_away_the_clusters_holds_the_data() -> None:
    m, sight = off()
    by_policy = Rules(cluster_noout=True)
    assert key(keep_held("repair", m, sight, by_policy)) == "repair/set-cluster-noout/ams1"
    assert isinstance(keep_held("repair", m, sight), Blocked)
    assert keep_held("repair", *off(foreign_gone=False), by_policy) is None


def test_what_cannot_be_held_any_more_does_not_hold_up_the_way_back() -> None:
    """The node stays off for as long as it waits for a flag that nobody lets it set: the very thing that moves data."""
    m, sight = off(signed_off_by="technician:ruben")
    said = keep_held("reintegrate", m, sight, going_back=True)
    assert isinstance(said, Note) and said.value["code"] == "ceph.not-held"
    told = replace(m, cautions=(Caution("ceph.not-held", "pve3", ""),))
    assert keep_held("reintegrate", told, sight, going_back=True) is None
    assert not isinstance(Repair().plan(told, sight), Blocked)
    assert isinstance(Repair().plan(replace(told, signed_off_by=None), sight), Blocked)
