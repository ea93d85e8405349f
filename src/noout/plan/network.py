"""What the migrations of one node may use of the network they share, as far as it can be seen.

Proxmox VE names the network of migrations and how they are sent (``migration`` in datacenter.cfg); Ceph and corosync
name the addresses they use. Where any of those lies in the migrations' network, they share its links. Nobody tells
which networks lie on one cable, nor how fast that is: both can be said in the configuration, and are assumed else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState
from noout.domain.reasons import Caution
from noout.plan.policy import MIB, Policy

IN_FULL = "[clusters.NAME.network] shared = false, if nothing else uses its links; true, if so"
PERHAPS = "perhaps "


def settled(policy: Policy, state: ClusterState, ceph: CephState | None) -> Policy:
    """The policy with what was left open about the network decided by what is seen; open means yes where it is not."""
    encrypted = state.migration_type != "insecure" if policy.encrypted is None else policy.encrypted
    shared = policy.shared
    if shared is None:
        shared = bool(sharers(state, ceph))
    return replace(policy, encrypted=encrypted, shared=shared)


def sharers(state: ClusterState, ceph: CephState | None) -> tuple[str, ...]:
    """Who uses the migrations' network beside them: "Ceph", "corosync"; or who may, as it was not seen ("perhaps ...").

    Without a network of their own migrations go between the nodes' own addresses.
    """
    others = {"corosync": state.corosync_addresses} | ({"Ceph": ceph.addresses} if ceph is not None else {})
    own = frozenset(node.ip for node in state.nodes if node.ip)
    found = []
    for name, addresses in others.items():
        if not addresses:
            found.append(PERHAPS + name)
        elif _any_in(addresses, state.migration_network) if state.migration_network else addresses & own or not own:
            found.append(name)
    return tuple(found)


def _any_in(addresses: Iterable[str], network: str) -> bool:
    """Whether one of the addresses lies in the network ("10.0.0.0/24"); one that cannot be read counts as in it."""
    try:
        net = ipaddress.ip_network(network, strict=False)
        return any(ipaddress.ip_address(each) in net for each in addresses)
    except ValueError:
        return True


def caution(asked: Policy, state: ClusterState, ceph: CephState | None) -> Caution | None:
    """Said where the network is taken as shared because nobody saw whether it is; ``asked``: as it was configured."""
    perhaps = [each for each in sharers(state, ceph) if each.startswith(PERHAPS)]
    if asked.shared is not None or not perhaps:
        return None
    whom = " and ".join(each.removeprefix(PERHAPS) for each in perhaps)
    rate = f"{settled(asked, state, ceph).cap_bytes_s / MIB:.0f} MiB/s"
    said = f"it was not seen whether migrations share their network with {whom}: together they are kept to {rate}"
    return Caution("plan.network-shared", state.name, said, IN_FULL, {"with": whom, "rate": rate})
