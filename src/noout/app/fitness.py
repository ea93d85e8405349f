"""May noout act on this node at all? What the configuration leaves out must not be taken for what is not there.

Asked once, before a maintenance is opened; a plan, which changes nothing, may be made without.
"""

from __future__ import annotations

from noout.app.compose import Installation
from noout.app.support import support_in
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.errors import Refused

CEPH_STORAGES = frozenset({"rbd", "cephfs"})


async def require_fit(found: Installation, state: ClusterState, node: NodeId) -> str:
    """The fsid of the Ceph whose data the node may hold; "" without one.

    Raises UsageError without a BMC; Refused for an untried version, and where OSDs of the node might be overlooked.
    """
    found.bmc(node)  # only it can prove that the power is off
    _version(found, state)
    ceph = found.cephs.get(node.cluster)
    if ceph is None:
        _no_ceph_overlooked(found, state)
        return ""
    machines, seen = await ceph.osd_machines(), await ceph.observe()
    host = found.crush_host(node)
    here = {osd for osd, machine in machines.items() if machine == node.name}
    there = {osd.id for osd in seen.osds if osd.host == host}
    if overlooked := sorted(here - there):
        hosts = sorted({osd.host for osd in seen.osds if osd.id in overlooked})
        named = ", ".join(f"osd.{osd}" for osd in overlooked)
        raise Refused(
            f"{named} of {node} would be overlooked: in Ceph's CRUSH map under {', '.join(hosts) or 'no host'}, "
            f"not under {host}",
            remedy=f'name its CRUSH host: [clusters.{node.cluster}.ceph] hosts = {{ {node.name} = "{hosts[0]}" }}'
            if hosts and not here & there
            else "noout can hold the data of one CRUSH host a node: carry this maintenance out by hand",
        )
    if foreign := sorted(osd for osd in there if machines.get(osd, node.name) != node.name):
        raise Refused(
            f"CRUSH host {host} is not {node} alone: osd.{foreign[0]} runs on {machines[foreign[0]]}",
            remedy=f"correct [clusters.{node.cluster}.ceph] hosts",
        )
    return seen.fsid


def _version(found: Installation, state: ClusterState) -> None:
    support = support_in(state)
    accepted = found.settings.clusters[state.name].accept_version
    if support.acts(accepted):
        return
    remedy = "`noout plan` and `--mode advise` work"
    if support.kind == "unrecorded":
        remedy += (
            "; when you have compared what noout shows with what you see, and moved a guest of your own in step mode: "
            f'set [clusters.{state.name}] accept_version = "{support.minor}"'
        )
        if accepted is not None:
            remedy += f' (it says "{accepted}")'
    else:
        remedy += "; upgrade the cluster for the rest"
    raise Refused(
        f"{state.name} runs Proxmox VE {state.version or 'of an unknown version'}, on which noout changes nothing: "
        f"{support.sentence}",
        remedy=remedy,
    )


def _no_ceph_overlooked(found: Installation, state: ClusterState) -> None:
    """Without a way to ask Ceph its data cannot be held."""
    stores = sorted({each.name for each in state.storages if each.kind in CEPH_STORAGES})
    if stores and found.settings.clusters[state.name].ceph.enabled:
        raise Refused(
            f"{state.name} keeps data in Ceph ({', '.join(stores)}), and noout has no shell to hold it with",
            remedy=f"set [clusters.{state.name}.shell] with its hosts; if that Ceph runs on none of these nodes: "
            f"[clusters.{state.name}.ceph] enabled = false",
        )
