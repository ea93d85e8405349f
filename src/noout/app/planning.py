"""A plan for a node, from the live cluster or from a snapshot, with what it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from noout.app.compose import Installation
from noout.app.naming import resolve
from noout.app.proposals import Proposals
from noout.app.runbook import Section, runbook
from noout.app.snapshot import Snapshot
from noout.app.snapshot_sanity import ANEW
from noout.app.support import version_caution
from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, GuestId, NodeId
from noout.domain.customers import Customer
from noout.domain.errors import UsageError
from noout.domain.maintenance import Plan
from noout.plan.outlook import Touched, touched
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from noout.plan.rolling import nobody_returns
from noout.plan.wary import rather, wary


@dataclass(frozen=True, slots=True)
class Planned:
    """``host``: the node's CRUSH host, None without Ceph. ``customers``: as configured; none for a snapshot."""

    plan: Plan
    cluster: ClusterState
    ceph: CephState | None
    host: str | None
    customers: tuple[Customer, ...] = ()

    def runbook(self) -> tuple[Section, ...]:
        return runbook(self.plan, self.cluster, self.ceph, self.host)

    def touched(self) -> tuple[Touched, ...]:
        """Whose guests the plan moves, and what they feel."""
        return touched(self.plan, self.cluster.guests, self.customers)


async def look_and_plan(
    found: Installation, node: NodeId, consents: Sequence[str] = (), *, stay: bool = False, toward: Sequence[str] = ()
) -> Planned:
    """Observe the node's cluster and plan its evacuation. ``consents``: guests whose interruption is agreed to;
    ``stay``: guests stay where they go; ``toward``: names of nodes to take before any other."""
    cluster = await found.hypervisor(node).observe()
    known = found.cephs.get(node.cluster)
    ceph = await known.observe() if known is not None else None
    policy = agreeing(found.policy_for(node.cluster), cluster, consents)
    nodes = [each.id for each in cluster.nodes]
    asked = frozenset(resolve(nodes, name) for name in toward)
    ill = await ill_nodes(found, node.cluster)
    prefer = rather(asked, nodes, ill.keys() - asked)
    plan = make_plan(
        cluster, ceph, node, now=found.clock.now(), policy=policy, crush_host=found.crush_host, prefer=prefer,
        staying=nobody_returns if stay else lambda moves: {},
    )  # fmt: skip
    plan = wary(plan, ill)
    accepted = found.settings.clusters[node.cluster].accept_version
    if (caution := version_caution(cluster, accepted)) is not None:
        plan = replace(plan, cautions=(*plan.cautions, caution))
    return Planned(plan, cluster, ceph, found.crush_host(node), found.customers)


async def ill_nodes(found: Installation, cluster: str) -> dict[NodeId, str]:
    """The cluster's nodes that are to be repaired themselves, and what of them."""
    proposals = Proposals(found.journal, found.clock)
    proposals.known = found.known
    await proposals.refresh()
    return await proposals.ill(cluster)


def agreeing(policy: Policy, cluster: ClusterState, consents: Sequence[str]) -> Policy:
    """The policy with the operator's consents, each ``ams1/200`` or ``200``; UsageError for one that is no guest."""
    agreed = set(policy.consents)
    for text in consents:
        found = [guest.id for guest in cluster.guests if text in (str(guest.id), str(guest.id.vmid))]
        if not found:
            raise UsageError(f"{cluster.name} has no guest {text}", remedy=f"name it as {GuestId(cluster.name, 100)}")
        agreed.add(found[0])
    return replace(policy, consents=frozenset(agreed))


async def plan_now(found: Installation, node: NodeId) -> Plan:
    """As ``look_and_plan``, the plan alone."""
    return (await look_and_plan(found, node)).plan


def plan_from_snapshot(document: Snapshot, text: str, consents: Sequence[str] = ()) -> Planned:
    """Plan on a snapshot; the plan is dated by the snapshot itself. UsageError for a node it does not know."""
    if not document.clusters:
        why = "; ".join(f"{each.part}: {each.why}" for each in document.unreadable)
        raise UsageError(f"the snapshot holds no cluster{f' ({why})' if why else ''}", remedy=ANEW)
    node = resolve([each.id for cluster in document.clusters for each in cluster.state.nodes], text)
    cluster = next(each for each in document.clusters if each.state.name == node.cluster)
    policy = agreeing(Policy(), cluster.state, consents)
    plan = make_plan(cluster.state, cluster.ceph, node, now=cluster.state.at, policy=policy)
    if (caution := version_caution(cluster.state, None)) is not None:
        plan = replace(plan, cautions=(*plan.cautions, caution))
    return Planned(plan, cluster.state, cluster.ceph, node.name if cluster.ceph is not None else None)
