"""RAM: what a node has, what must stay free, what is taken. Hard at every instant; a migrating guest counts twice."""

from __future__ import annotations

from collections.abc import Callable

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, Guest, GuestStatus, Node, NodeId
from noout.plan.policy import GIB, Policy

# The CRUSH host of a node; None where Ceph keeps no data on it.
CrushHost = Callable[[NodeId], str | None]


def own_name(node: NodeId) -> str | None:
    """Where nothing else is configured, a node's CRUSH host has the node's name."""
    return node.name


def holds_ram(guest: Guest) -> bool:
    """Whether the guest occupies its RAM where it is; a paused or unknown one does."""
    return not guest.template and guest.status is not GuestStatus.STOPPED


def reserve_bytes(node: Node, ceph: CephState | None, policy: Policy, crush_host: CrushHost = own_name) -> int:
    """Kept free for the OS and the OSDs of the node's CRUSH host."""
    host = crush_host(node.id)
    osds = len(ceph.osds_of(host)) if ceph and host else 0
    return policy.os_reserve_bytes + osds * policy.osd_reserve_bytes


def taken_bytes(state: ClusterState) -> dict[NodeId, int]:
    """RAM promised to the guests of each node."""
    taken = {node.id: 0 for node in state.nodes}
    for guest in state.guests:
        if holds_ram(guest):
            taken[guest.node] += guest.ram_bytes
    return taken


def limits_bytes(
    state: ClusterState, ceph: CephState | None, policy: Policy, crush_host: CrushHost = own_name
) -> dict[NodeId, int]:
    """RAM that guests may take on each node: all of it less the reserve."""
    return {node.id: max(0, node.ram_bytes - reserve_bytes(node, ceph, policy, crush_host)) for node in state.nodes}


def gib(size: float) -> str:
    """ "7.5 GiB"."""
    return f"{size / GIB:.1f}".removesuffix(".0") + " GiB"
