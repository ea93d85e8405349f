"""How each guest can leave its node, and what stands in the way, with the remedy a person can carry out."""

from __future__ import annotations

from dataclasses import dataclass

from noout.domain.cluster import ClusterState, Guest, GuestKind, GuestStatus
from noout.domain.maintenance import MoveKind
from noout.domain.reasons import Blocker, Caution
from noout.plan.policy import Policy

# What the CRM is in the middle of, or has given up on: nothing can be ordered of such a service.
_HA_UNSETTLED = frozenset({"migrate", "relocate", "fence", "recovery", "error", "freeze", "request_stop"})


@dataclass(frozen=True, slots=True)
class WayOut:
    """``kind`` None: the guest does not leave; then ``blockers`` say why it should, or ``cautions`` why it may stay."""

    guest: Guest
    kind: MoveKind | None
    why: str = ""
    blockers: tuple[Blocker, ...] = ()
    cautions: tuple[Caution, ...] = ()


def title(guest: Guest) -> str:
    """ "VM 101 boekhuis-db"."""
    return f"{'CT' if guest.kind is GuestKind.LXC else 'VM'} {guest.id.vmid} {guest.name}".strip()


def way_out(guest: Guest, state: ClusterState, policy: Policy) -> WayOut:
    """How this guest leaves its node."""
    if guest.template or guest.status is GuestStatus.STOPPED:
        return _at_rest(guest)
    if hindrance := _not_now(guest, state):
        return WayOut(guest, None, blockers=hindrance)
    if guest.local_resources:
        return _bound(guest, policy)
    if guest.local_isos:
        return WayOut(guest, None, blockers=_isos(guest))
    if guest.kind is GuestKind.LXC:
        return _container(guest, policy)
    if guest.local_disks and guest.ha is not None:
        return WayOut(guest, None, blockers=(_ha_disks(guest),))
    if guest.local_disks:
        disks = ", ".join(disk.key for disk in guest.local_disks)
        return WayOut(guest, MoveKind.LIVE, f"moves live with its local disks ({disks}), which are copied first")
    return WayOut(guest, MoveKind.LIVE, "moves live")


def may_step_aside(guest: Guest, state: ClusterState, policy: Policy) -> bool:
    """Whether a guest of another node may be moved to make room: only live, and with nothing local to it."""
    out = way_out(guest, state, policy)
    return out.kind is MoveKind.LIVE and not guest.local_disks


def _at_rest(guest: Guest) -> WayOut:
    """Stopped guests and templates need no RAM; those that start with the node leave, so that they do not start
    at power-on, before anybody accepted the repair."""
    name = title(guest)
    if guest.template:
        return WayOut(guest, None, cautions=(_stays(guest, "guest.template", f"{name} is a template and stays"),))
    if not guest.onboot:
        return WayOut(guest, None, cautions=(_stays(guest, "guest.stopped", f"{name} is stopped and stays"),))
    if guest.lock or guest.local_disks or guest.local_isos or guest.local_resources:
        said = f"{name} is stopped, is bound to the node, and starts at power-on, before the repair is accepted"
        tool = "pct" if guest.kind is GuestKind.LXC else "qm"
        remedy = f"if it must not: {tool} set {guest.id.vmid} --onboot 0"
        return WayOut(guest, None, cautions=(Caution("guest.starts-at-power-on", str(guest.id), said, remedy),))
    return WayOut(guest, MoveKind.OFFLINE, "is stopped but starts with its node: moved so that it does not start early")


def _stays(guest: Guest, code: str, message: str) -> Caution:
    return Caution(code, str(guest.id), message, "nothing to do, unless somebody needs it during the repair")


def _not_now(guest: Guest, state: ClusterState) -> tuple[Blocker, ...]:
    name, subject = title(guest), str(guest.id)
    tool = "pct" if guest.kind is GuestKind.LXC else "qm"
    if guest.lock:
        return (
            Blocker(
                "guest.locked",
                subject,
                f"{name} is locked ({guest.lock})",
                f"wait until the {guest.lock} has ended; if nothing runs any more: {tool} unlock {guest.id.vmid}",
                {"lock": guest.lock},
            ),
        )
    if not guest.running:
        return (
            Blocker(
                "guest.not-running",
                subject,
                f"{name} is {guest.status.value}, neither running nor stopped",
                f"resume it or shut it down ({tool} status {guest.id.vmid}), then plan again",
                {"status": guest.status.value},
            ),
        )
    if guest.ha is not None and guest.ha.state in _HA_UNSETTLED:
        return (
            Blocker(
                "guest.ha-unsettled",
                subject,
                f"{name} is in HA state {guest.ha.state}",
                "wait until `ha-manager status` shows it started; an error state needs a person",
                {"ha": guest.ha.state},
            ),
        )
    busy = [task for task in state.running_tasks if task.subject == str(guest.id.vmid) and "migrate" in task.kind]
    if busy:
        return (
            Blocker(
                "guest.busy",
                subject,
                f"{name} is being moved by somebody else ({busy[0].kind})",
                "wait until that task has ended, then plan again",
                {"task": busy[0].upid},
            ),
        )
    return ()


def _bound(guest: Guest, policy: Policy) -> WayOut:
    devices = ", ".join(guest.local_resources)
    if policy.may_shut_down(guest):
        return WayOut(guest, MoveKind.SHUTDOWN, f"is bound to the node by {devices}: shut down by consent, stays here")
    return WayOut(
        guest,
        None,
        blockers=(
            Blocker(
                "guest.passthrough",
                str(guest.id),
                f"{title(guest)} uses {devices} of this node and cannot move",
                f"tag it {policy.shutdown_tag} when its owner agrees to a shutdown for the repair, or remove "
                f"{devices} (`qm set {guest.id.vmid} --delete {','.join(guest.local_resources)}`)",
                {"devices": devices},
            ),
        ),
    )


def _isos(guest: Guest) -> tuple[Blocker, ...]:
    return tuple(
        Blocker(
            "guest.local-iso",
            str(guest.id),
            f"{title(guest)} has {disk.volume} in its drive {disk.key}, which no other node can read",
            f"when nobody needs it: qm set {guest.id.vmid} --{disk.key} none,media=cdrom",
            {"volume": disk.volume, "drive": disk.key},
        )
        for disk in guest.local_isos
    )


def _ha_disks(guest: Guest) -> Blocker:
    """HA's own migration takes no option but the target, so local disks would make it fail."""
    disks = ", ".join(disk.key for disk in guest.local_disks)
    sid = guest.ha.sid if guest.ha else ""
    return Blocker(
        "guest.ha-local-disks",
        str(guest.id),
        f"{title(guest)} is managed by HA and has local disks ({disks}), which HA cannot take along",
        f"take it out of HA (ha-manager remove {sid}) or move {disks} to shared storage",
        {"disks": disks},
    )


def _container(guest: Guest, policy: Policy) -> WayOut:
    if policy.may_relocate(guest):
        return WayOut(guest, MoveKind.RELOCATE, "is a container: stopped, moved and started, by consent")
    if policy.may_shut_down(guest):
        return WayOut(guest, MoveKind.SHUTDOWN, "is a container whose owner agreed to a shutdown: stays here")
    return WayOut(
        guest,
        None,
        blockers=(
            Blocker(
                "guest.lxc-relocation",
                str(guest.id),
                f"{title(guest)} is a container: it cannot move without a restart of about "
                f"{policy.relocate_s:.0f} s, and nobody agreed to that",
                f"tag it {policy.relocate_tag} when its owner agrees to the restart, or {policy.shutdown_tag} "
                "to have it stopped for the repair",
            ),
        ),
    )
