"""RAM: what a node has, what must stay free, what is taken. Hard at every instant; a migrating guest counts twice."""

from __future__ import annotations

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, Guest, GuestStatus, Node, NodeId
from noout.plan.policy import GIB, Policy


def holds_ram(guest: Guest) -> bool:
    """Whether the guest occupies its RAM where it is; a paused or unknown one does."""
    return not guest.template and guest.status is not GuestStatus.STOPPED


def reserve_bytes(node: Node, ceph: CephState | None, policy: Policy) -> int:
    """Kept free for the OS and the OSDs of the CRUSH host that has the node's name."""
    osds = len(ceph.osds_of(node.id.name)) if ceph else 0
    return policy.os_reserve_bytes + osds * policy.osd_reserve_bytes


def taken_bytes(state: ClusterState) -> dict[NodeId, int]:
    """RAM promised to the guests of each node."""
    taken = {node.id: 0 for node in state.nodes}
    for guest in state.guests:
        if holds_ram(guest):
            taken[guest.node] += guest.ram_bytes
    return taken


def limits_bytes(state: ClusterState, ceph: CephState | None, policy: Policy) -> dict[NodeId, int]:
    """RAM that guests may take on each node: all of it less the reserve."""
    return {node.id: max(0, node.ram_bytes - reserve_bytes(node, ceph, policy)) for node in state.nodes}


def gib(size: float) -> str:
    """ "7.5 GiB"."""
    return f"{size / GIB:.1f}".removesuffix(".0") + " GiB"
