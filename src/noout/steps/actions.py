"""Every effect there is, said in full: what a person reads, and what they would type to do it by hand.

Commands are exact and work from any node of the cluster that is up, unless they name the node to be on.
"""

from __future__ import annotations

from collections.abc import Sequence

from noout.domain.cluster import Guest, GuestId, GuestKind, NodeId
from noout.domain.maintenance import Action, Move, MoveKind
from noout.steps.setting_effects import quietened

SHUTDOWN_TIMEOUT_S = 180
KIB = 1024  # the unit of PVE's bwlimit
GIB = 1024**3


def move(step: str, each: Move, guest: Guest, limit_bytes_s: float = 0.0) -> Action:
    """Migrate, relocate or queue with HA. The guest is where ``guest.node`` says; it goes to ``each.target``.

    ``limit_bytes_s``: what it may send; HA takes no limit.
    """
    assert each.target is not None
    here, there, vmid = guest.node.name, each.target.name, guest.id.vmid
    kind = guest.kind.value
    online = guest.kind is GuestKind.QEMU and guest.alive
    if each.ha:
        sid = f"{'vm' if guest.kind is GuestKind.QEMU else 'ct'}:{vmid}"
        command = f"ha-manager migrate {sid} {there}"
        says = f"Ask HA to move {each.name} ({guest.id}) from {here} to {there}"
    else:
        options = " --online 1" if online else (" --restart 1" if guest.running else "")
        if each.with_conntrack and online:
            options += " --with-conntrack-state 1"
        if each.with_local_disks:
            options += " --with-local-disks 1"
        if each.target_storage:
            options += f" --target{'-' if kind == 'lxc' else ''}storage {each.target_storage}"
        if limit_bytes_s:
            options += f" --bwlimit {int(limit_bytes_s / KIB)}"
        command = f"pvesh create /nodes/{here}/{kind}/{vmid}/migrate --target {there}{options}"
        how = {MoveKind.LIVE: "Migrate", MoveKind.RELOCATE: "Relocate (stop, move, start)"}.get(each.kind, "Move")
        says = f"{how} {each.name} ({guest.id}) from {here} to {there}"
    return Action(
        step, "ha-migrate" if each.ha else "migrate", str(guest.id), says, command,
        {"name": each.name, "kind": each.kind.value, "source": here, "target": there, "running": guest.running,
         "with_local_disks": each.with_local_disks, "target_storage": each.target_storage,
         "with_conntrack": each.with_conntrack and online, "expected_s": each.expected_s,
         "limit_bytes_s": 0.0 if each.ha else limit_bytes_s},
    )  # fmt: skip


def cancel(step: str, guest: Guest, upid: str, why: str) -> Action:
    return Action(
        step, "cancel", str(guest.id), f"Cancel the migration of {guest.name} ({guest.id}): {why}",
        f"pvesh delete /nodes/{guest.node.name}/tasks/{upid}", {"upid": upid, "why": why},
    )  # fmt: skip


def shutdown_guest(step: str, each: Move, guest: Guest) -> Action:
    command = (
        f"pvesh create /nodes/{guest.node.name}/{guest.kind.value}/{guest.id.vmid}/status/shutdown"
        f" --timeout {SHUTDOWN_TIMEOUT_S} --forceStop 0"
    )
    return Action(
        step, "shutdown-guest", str(guest.id),
        f"Shut down {each.name} ({guest.id}) by consent: it cannot leave {guest.node.name}", command,
        {"name": each.name, "kind": MoveKind.SHUTDOWN.value, "source": guest.node.name, "target": None},
    )  # fmt: skip


def start_guest(step: str, guest: Guest) -> Action:
    return Action(
        step, "start-guest", str(guest.id), f"Start {guest.name} ({guest.id}) on {guest.node.name} again",
        f"pvesh create /nodes/{guest.node.name}/{guest.kind.value}/{guest.id.vmid}/status/start",
        {"name": guest.name, "kind": MoveKind.SHUTDOWN.value, "source": guest.node.name, "target": None},
    )  # fmt: skip


def maintenance_mode(step: str, node: NodeId, on: bool) -> Action:
    return Action(
        step, "cordon" if on else "uncordon", str(node),
        f"{'Set' if on else 'End'} HA maintenance mode of {node.name}",
        f"ha-manager crm-command node-maintenance {'enable' if on else 'disable'} {node.name}",
    )  # fmt: skip


def sid(guest: Guest) -> str:
    return guest.ha.sid if guest.ha else f"{'vm' if guest.kind is GuestKind.QEMU else 'ct'}:{guest.id.vmid}"


def add_rule(step: str, name: str, guests: Sequence[Guest], nodes: Sequence[str]) -> Action:
    """A strict rule: these guests may be on these nodes, where they are, and on no other."""
    sids, where = ",".join(sid(guest) for guest in guests), ",".join(nodes)
    return Action(
        step, "add-rule", name, f"Keep {len(guests)} HA guests on the nodes where they may be now, by rule {name}",
        f"pvesh create /cluster/ha/rules --rule {name} --type node-affinity --resources {sids} --nodes {where} "
        "--strict 1",
        {"guests": ",".join(str(guest.id) for guest in guests), "nodes": where},
    )  # fmt: skip


def delete_rule(step: str, name: str) -> Action:
    return Action(step, "delete-rule", name, f"Delete rule {name}", f"pvesh delete /cluster/ha/rules/{name}")


def failback(step: str, guest: Guest, on: bool) -> Action:
    says = f"Let HA bring {guest.name} ({guest.id}) back by itself again"
    return Action(
        step, "failback-back" if on else "failback-off", str(guest.id),
        says if on else f"Let HA not fetch {guest.name} ({guest.id}) back while it is away",
        f"ha-manager set {sid(guest)} --failback {int(on)}",
    )  # fmt: skip


def onboot(step: str, guest: Guest, on: bool) -> Action:
    return Action(
        step, "onboot-back" if on else "onboot-off", str(guest.id),
        f"Let {guest.name} ({guest.id}) {'' if on else 'not '}start with {guest.node.name}{' again' if on else ''}",
        f"pvesh set /nodes/{guest.node.name}/{guest.kind.value}/{guest.id.vmid}/config --onboot {int(on)}",
    )  # fmt: skip


def rebalancer(step: str, crs: str, on: bool) -> Action:
    """``crs``: the setting as it was before it was switched off."""
    return Action(
        step, "rebalancer-back" if on else "rebalancer-off", crs,
        f"{'Set' if on else 'Stop'} HA's own balancing of guests{' as it was' if on else ''}",
        f"pvesh set /cluster/options --crs {crs if on else quietened(crs)}",
    )  # fmt: skip


def locate(step: str, node: NodeId, on: bool) -> Action:
    return Action(
        step, "led-on" if on else "led-off", str(node),
        f"Switch the locator LED of {node.name} {'on' if on else 'off'}",
        f"ipmitool -H BMC-OF-{node.name} -I lanplus -U USER -E chassis identify {'force' if on else '0'}",
    )  # fmt: skip


def fail_mgr(step: str, mgr: str) -> Action:
    return Action(step, "fail-mgr", mgr, f"Let a standby take over from the active mgr {mgr}", "ceph mgr fail")


def fail_mds(step: str, mds: str) -> Action:
    return Action(step, "fail-mds", mds, f"Let a standby take over from the active MDS {mds}", f"ceph mds fail {mds}")


def set_flag(step: str, flag: str, host: str) -> Action:
    return Action(
        step, f"set-{flag}", host, f"Set {flag} for host {host} (no other host is touched)",
        f"ceph osd set-group {flag} {host}", {"flag": flag},
    )  # fmt: skip


def unset_flag(step: str, flag: str, host: str) -> Action:
    return Action(
        step, f"unset-{flag}", host, f"Release {flag} of host {host}",
        f"ceph osd unset-group {flag} {host}", {"flag": flag},
    )  # fmt: skip


def cluster_noout(step: str, cluster: str, on: bool) -> Action:
    """Where host flags are refused: the whole cluster's noout, which Proxmox VE's API can set."""
    return Action(
        step, "set-cluster-noout" if on else "unset-cluster-noout", cluster,
        "Set noout for the whole cluster: host flags are refused" if on else "Release noout of the whole cluster",
        f"pvesh set /cluster/ceph/flags/noout --value {int(on)}",
    )  # fmt: skip


def service(step: str, node: NodeId, action: str, name: str) -> Action:
    """``action`` start | stop, ``name`` "osd.3" or "mon.pve3"."""
    what = name.split(".", 1)[0]
    return Action(
        step, f"{action}-{what}", name, f"{action.capitalize()} {name} on {node.name}",
        f"pvesh create /nodes/{node.name}/ceph/{action} --service {name}", {"node": str(node)},
    )  # fmt: skip


def shutdown_node(step: str, node: NodeId) -> Action:
    return Action(
        step, "shutdown-node", str(node), f"Shut {node.name} down (its BMC must then say: power off)",
        f"pvesh create /nodes/{node.name}/status --command shutdown",
    )  # fmt: skip


def force_off(step: str, node: NodeId) -> Action:
    return Action(
        step, "force-off", str(node), f"Cut the power of {node.name} by its BMC: its system is down and it stays on",
        f"ipmitool -H BMC-OF-{node.name} -I lanplus -U USER -E chassis power off",
    )  # fmt: skip


def force_off_key(node: NodeId) -> str:
    """The one place where power is ever cut."""
    return force_off("repair", node).key


def power_on(step: str, node: NodeId) -> Action:
    return Action(
        step, "power-on", str(node), f"Switch {node.name} on by its BMC",
        f"ipmitool -H BMC-OF-{node.name} -I lanplus -U USER -E chassis power on",
    )  # fmt: skip


def guest_id(action: Action) -> GuestId:
    return GuestId.parse(action.subject)
