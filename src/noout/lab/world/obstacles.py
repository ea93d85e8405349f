"""What PVE refuses to migrate, in the words of qemu-server's own code; where they were recorded, in those."""

from __future__ import annotations

import re
from collections.abc import Iterator

from noout.lab.world.model import Cluster, Disk, Guest, Node

_LIVE_ONLY = ("amd-sev", "intel-tdx")
_LINKED = re.compile(r"(?:^|[:/])(base-\d+-[^/]+)/")
_LEVELS = {"x86-64-v3": {"avx", "avx2", "bmi1", "bmi2", "fma"}, "x86-64-v4": {"avx512f"}, "-AES": {"aes"}}
SCAN = "Problem found while scanning volumes - can't migrate VM - check log"


def replication_targets(cluster: Cluster, guest: Guest) -> set[str]:
    return {str(job["target"]) for job in cluster.replication_jobs if job["guest"] == guest.vmid}


def mapped_live(cluster: Cluster, guest: Guest, key: str) -> bool:
    found = cluster.mappings.get(guest.mapped[key])
    return found is not None and found.live and key.startswith("hostpci")


def missing_mappings(cluster: Cluster, guest: Guest, node: str) -> list[str]:
    """Keys of the guest's mapped devices for which the node has none."""
    return sorted(
        key
        for key, name in guest.mapped.items()
        if name not in cluster.mappings or node not in cluster.mappings[name].nodes
    )


def at_once(cluster: Cluster, guest: Guest, target: str, *, by_ha: bool) -> str | None:
    """Why the task ends as soon as it began: devices, mappings, replication, settings."""
    running = guest.has_process
    replicas = replication_targets(cluster, guest)
    if running and replicas and target not in replicas and not by_ha:  # HA's own migration forces it
        return (
            f"Cannot live-migrate replicated VM to node '{target}' - not a replication target. Use 'force' to override."
        )
    devices = [*guest.local_resources, *(s for s in _LIVE_ONLY if running and s in guest.settings)]
    if devices:
        return f"can't migrate VM which uses local devices: {', '.join(devices)}"
    if missing := missing_mappings(cluster, guest, target):
        return f"can't migrate to '{target}': missing mapped devices {', '.join(missing)}"
    stuck = [f"{key}:{name}" for key, name in sorted(guest.mapped.items()) if not mapped_live(cluster, guest, key)]
    if running and stuck:
        return f"can't live migrate running VM which uses following mapped devices: {', '.join(stuck)}"
    if running and "clipboard=vnc" in guest.settings.get("vga", ""):
        return "VMs with 'clipboard' set to 'vnc' are not live migratable!"
    return None


def local_resources(cluster: Cluster, guest: Guest) -> list[str]:
    """As the precondition lists them: mapped devices among them while the guest runs, unless they can move live."""
    devices = [*guest.local_resources, *(s for s in _LIVE_ONLY if guest.has_process and s in guest.settings)]
    return devices + [key for key in sorted(guest.mapped) if guest.has_process and not mapped_live(cluster, guest, key)]


def volume_errors(cluster: Cluster, guest: Guest, local: list[Disk], target: str, copied: bool) -> Iterator[str]:
    """Lines about local volumes that cannot go; ``copied``: attached local disks may be copied."""
    replicated = target in replication_targets(cluster, guest)
    for disk in local:
        if disk.cdrom or not copied:
            tail = "can't live migrate attached local disks without with-local-disks option"
            yield f"can't migrate local disk '{disk.volid}': {tail}"
        elif guest.snapshots and guest.has_process and not (replicated and disk.replicate):
            tail = "online storage migration not possible if non-replicated snapshot exists"
            yield f"can't migrate local disk '{disk.volid}': {tail}"
        elif found := _LINKED.search(disk.volid):
            yield f"can't migrate '{disk.volid}' as it's a clone of '{found[1]}'"


def on_start(cluster: Cluster, guest: Guest, node: Node) -> str | None:
    """Why the target cannot start the machine that is to take over."""
    for bridge in guest.bridges:
        zone = cluster.vnets.get(bridge)
        there = node.name in cluster.zone_nodes.get(zone, []) if zone else bridge in node.bridges
        if not there:
            return f"bridge '{bridge}' does not exist"
    lacks = needed_flags(guest, cluster.nodes[guest.node]) - set(node.cpu_flags.split())
    if lacks:
        return f"kvm: Host doesn't support requested features: {', '.join(sorted(lacks))}"
    return None


def needed_flags(guest: Guest, home: Node) -> set[str]:
    """What its CPU type asks for and its node has."""
    cpu_type, _, rest = guest.cpu_type.partition(",")
    has = set(home.cpu_flags.split())
    if cpu_type in ("host", "max"):
        return has
    asked = set(re.findall(r"\+([\w.-]+)", rest))
    for level, flags in _LEVELS.items():
        asked |= flags if level in cpu_type else set()
    return asked & has
