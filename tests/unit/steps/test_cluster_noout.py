"""The whole cluster's noout: only when flags for the host are refused and policy says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from noout.domain.maintenance import Maintenance
from noout.steps.bring_back import keep_held, release_data
from noout.steps.hold_data import HoldData
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
