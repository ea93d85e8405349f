"""A plan for a node, from the live cluster or from a snapshot."""

from __future__ import annotations

from noout.app.compose import Installation
from noout.app.naming import resolve
from noout.app.snapshot import Snapshot
from noout.domain.cluster import NodeId
from noout.domain.maintenance import Plan
from noout.plan.plan import make_plan
from noout.plan.policy import Policy


async def plan_now(found: Installation, node: NodeId) -> Plan:
    """Observe the node's clusters and plan its evacuation."""
    cluster = await found.hypervisor(node).observe()
    ceph = found.cephs.get(node.cluster)
    return make_plan(
        cluster, await ceph.observe() if ceph is not None else None, node, now=found.clock.now(), policy=found.policy
    )


def plan_from_snapshot(document: Snapshot, text: str) -> Plan:
    """Plan on a snapshot; the plan is dated by the snapshot itself. UsageError for a node it does not know."""
    node = resolve([each.id for cluster in document.clusters for each in cluster.state.nodes], text)
    cluster = next(each for each in document.clusters if each.state.name == node.cluster)
    return make_plan(cluster.state, cluster.ceph, node, now=cluster.state.at, policy=Policy())
