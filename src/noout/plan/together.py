"""Several nodes at once: those that share the part which is worked on. None takes a guest of another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.errors import UsageError
from noout.domain.maintenance import Plan
from noout.domain.reasons import Blocker, Caution
from noout.plan.capacity import CrushHost, own_name
from noout.plan.forward import after_moves
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from noout.plan.wary import Ill, rather, wary

# Said of one node at a time, and here of all of them at once instead.
_OF_ALL = frozenset({"cluster.quorum", "cluster.no-vote-to-lose", "cluster.node-away"})


def plan_together(
    state: ClusterState,
    ceph: CephState | None,
    nodes: Sequence[NodeId],
    *,
    now: datetime,
    policy: Policy,
    crush_host: CrushHost = own_name,
    ill: Ill = MappingProxyType({}),
) -> tuple[Plan, ...]:
    """A plan for each node, to be carried out in this order, all of them away at the end. What forbids that all are
    away at once is a blocker of every plan. Whether one node more could be lost is said of the last plan alone: it is
    the one after which all are away. ``ill``: nodes to take only where there is no other, and why.
    """
    if len(set(nodes)) != len(nodes) or len(nodes) < 2:
        raise UsageError("a node is named twice", remedy="name each node of the group once")
    group = frozenset(nodes)
    reasons = tuple(_all_away(state, ceph, nodes, crush_host))
    blockers = tuple(each for each in reasons if isinstance(each, Blocker))
    cautions = tuple(each for each in reasons if isinstance(each, Caution))
    avoid = {guest.id: group for guest in state.guests}
    plans: list[Plan] = []
    for node in nodes:
        plan = make_plan(
            state, ceph, node, now=now, policy=policy, crush_host=crush_host, avoid=avoid,
            prefer=rather(frozenset(), (each.id for each in state.nodes), ill),
        )  # fmt: skip
        plan = wary(plan, {each: why for each, why in ill.items() if each not in group})
        last = len(plans) + 1 == len(nodes)
        plans.append(
            replace(
                plan,
                blockers=(*blockers, *(each for each in plan.blockers if each.code not in _OF_ALL)),
                cautions=(*cautions, *(each for each in plan.cautions if each.code not in _OF_ALL)),
                survives_another_node=plan.survives_another_node if last else None,
            )
        )
        away = after_moves(state, plan.moves)
        state = replace(away, nodes=tuple(replace(each, online=each.online and each.id != node) for each in away.nodes))
    return tuple(plans)


def _all_away(
    state: ClusterState, ceph: CephState | None, nodes: Sequence[NodeId], crush_host: CrushHost
) -> Iterator[Blocker | Caution]:
    names = " and ".join(node.name for node in nodes)
    count = state.votes_without(*nodes)
    if count.left < count.needed:
        said = f"without {names} {count.left} of {count.total} votes are left and {count.needed} are needed"
        yield Blocker("cluster.quorum", state.name, f"{said}: the cluster would stop",
                      "add a node or a QDevice (pvecm qdevice setup ADDRESS)")  # fmt: skip
    elif count.left == count.needed:
        said = f"without {names} {count.left} of {count.total} votes are left, just enough"
        yield Caution("cluster.no-vote-to-lose", state.name, f"{said}: losing one more node would fence the rest")
    hosts = {host for node in nodes if (host := crush_host(node)) is not None}
    if ceph is None:
        return
    there = hosts | {node.name for node in nodes}
    left = [mon for mon in ceph.quorum if ceph.mon_hosts.get(mon, mon) not in there]
    if ceph.mons and len(left) * 2 <= len(ceph.mons):
        yield Blocker("ceph.mon-quorum", ceph.fsid, f"without {names} {len(left)} of {len(ceph.mons)} mons are left: "
                      "no majority, all storage would stop", "add mons on other nodes")  # fmt: skip
    holding = hosts & set(ceph.hosts)
    for pool in ceph.pools:
        if pool.size - len(holding) < pool.min_size and len(holding) > 1:
            yield Blocker(
                "ceph.pool-min-size", pool.name, f"pool {pool.name} has size {pool.size} and min_size {pool.min_size}: "
                f"data with copies on {names} could not be written while all of them are away",
                f"give it {len(holding) + pool.min_size} copies, or keep its guests away from it; where CRUSH puts "
                "only one copy into the shared part this does not hold, but noout does not know",
                {"size": str(pool.size), "min_size": str(pool.min_size), "hosts": ", ".join(sorted(holding))},
            )  # fmt: skip
