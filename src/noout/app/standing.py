"""Where a maintenance stands, as pages ask it: what is at stake, whom it touches, what its node refuses to do."""

from __future__ import annotations

from collections.abc import Sequence

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, Guest
from noout.domain.maintenance import Maintenance, Observation
from noout.run.touched import guests_of
from noout.steps.actions import shutdown_node
from noout.steps.exposure import exposure, given_up


def stake(m: Maintenance, state: ClusterState | None, ceph: CephState) -> tuple[str, ...]:
    """What may be lost before somebody notices, while the node is away; empty when it is over or nobody can say."""
    if state is None or not m.open:
        return ()
    return tuple(exposure(m, Observation(ceph.at, state, ceph, None)))


def redundancy_given_up(m: Maintenance) -> bool:
    """At this moment: daemons of the node stopped by us, or the node off."""
    return given_up(m)


def hangs(m: Maintenance) -> bool:
    """Its node was told to shut down, and was seen not to."""
    return m.step == "repair" and m.node_off_at is None and bool(m.failed.get(shutdown_node("repair", m.node).key))


def touched_by(m: Maintenance) -> Sequence[Guest]:
    """As they were when a plan first named them."""
    return guests_of(m)
