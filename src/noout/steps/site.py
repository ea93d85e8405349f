"""The doors a step may use when it acts: one cluster, its Ceph, the BMC of the node in maintenance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from noout.domain.cluster import NodeId
from noout.ports import Bmc, CephCluster, Clock, Hypervisor


@dataclass(frozen=True, slots=True)
class Site:
    """``crush_host`` names the node's CRUSH host; None when Ceph keeps no data on it."""

    hypervisor: Hypervisor
    ceph: CephCluster | None
    bmc: Bmc
    clock: Clock
    crush_host: Callable[[NodeId], str | None]
