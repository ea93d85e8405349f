"""Each node as if it were taken out: its plan's blockers, and those cautions that a person can do something about."""

from __future__ import annotations

from collections.abc import Iterator

from noout.app.doctor.diagnosis import Finding, finding
from noout.app.doctor.picture import ClusterPicture, Picture, Trouble
from noout.domain.cluster import NodeId
from noout.domain.maintenance import Plan
from noout.domain.reasons import Blocker, Caution

# What a plan says of guests that leave as their owners agreed, and what the doctor says better.
_BUSINESS_OF_THE_PLAN = ("guest.",)
_KEPT = frozenset({"guest.locked-for-now", "guest.network-unknown", "guest.paused", "guest.starts-at-power-on"})
_SAID_ELSEWHERE = frozenset({"ceph.no-osds-here", "cluster.version", "node.in-maintenance"})
_REMEDIES = {
    "cluster.node-away": "bring it back first, or take that one out for its repair",
    "ceph.osd-away": "ceph osd tree; bring them back or remove them, so that all data has all its copies",
    "ceph.nearly-full": "add OSDs or remove data (ceph df); full OSDs stop all writes",
}
_LOOK = "noout plan {node} shows it with its reasons"


def check(cluster: ClusterPicture, picture: Picture) -> Iterator[Finding]:
    away = {node.id for node in cluster.state.nodes if not node.online} if cluster.state else set()
    for node, plan in sorted(cluster.plans.items()):
        if isinstance(plan, Trouble):
            remedy = plan.remedy or _LOOK.format(node=node)
            yield finding(str(node), Blocker("plan.impossible", str(node), plan.message, remedy))
        else:
            yield from _of(node, plan, node in away)


def _of(node: NodeId, plan: Plan, away: bool) -> Iterator[Finding]:
    """Of a node that is away itself only that: the rest is judged of a state that is gone."""
    reasons: list[Blocker | Caution] = [*plan.blockers, *plan.cautions]
    for each in reasons:
        if each.code in _SAID_ELSEWHERE or (away and each.code != "node.offline"):
            continue
        if isinstance(each, Caution) and each.code.startswith(_BUSINESS_OF_THE_PLAN) and each.code not in _KEPT:
            continue
        remedy = each.remedy or _REMEDIES.get(each.code) or _LOOK.format(node=node)
        kind = type(each)
        yield finding(str(node), kind(each.code, each.subject, each.message, remedy, each.evidence))
