"""How each guest can leave its node, and what stands in the way, with the remedy a person can carry out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from noout.domain.cluster import ClusterState, Guest, GuestKind, GuestStatus
from noout.domain.maintenance import MoveKind
from noout.domain.reasons import Blocker, Caution
from noout.plan.policy import PASSING_LOCKS, Policy
from noout.plan.volumes import title, tool, volume_blockers

# What the CRM is in the middle of, or has given up on: nothing can be ordered of such a service.
_HA_UNSETTLED = frozenset({"migrate", "relocate", "fence", "recovery", "error", "freeze", "request_stop"})
# QEMU's words for a guest that a person or the guest itself has paused; all others mean that something is wrong.
_PAUSED_WELL = frozenset({"", "paused", "suspended"})


@dataclass(frozen=True, slots=True)
class WayOut:
    """``kind`` None: the guest does not leave; then ``blockers`` say why it should, or ``cautions`` why it may stay.

    ``late``: it is held by something that passes, and leaves as late as possible.
    """

    guest: Guest
    kind: MoveKind | None
    why: str = ""
    blockers: tuple[Blocker, ...] = ()
    cautions: tuple[Caution, ...] = ()
    ejects: tuple[tuple[str, str], ...] = ()
    late: bool = False


def way_out(guest: Guest, state: ClusterState, policy: Policy) -> WayOut:
    """How this guest leaves its node."""
    if guest.template or guest.status is GuestStatus.STOPPED:
        out = _at_rest(guest, state, policy)
    elif hindrance := _not_now(guest):
        return WayOut(guest, None, blockers=hindrance)
    else:
        out = _leaves(guest, state, policy)
    passing = _passing(guest, state, policy) if out.kind is not None else ()
    return replace(out, cautions=(*out.cautions, *passing), late=bool(passing))


def may_step_aside(guest: Guest, state: ClusterState, policy: Policy) -> bool:
    """Whether a guest of another node may be moved to make room: only live, and with nothing local to it."""
    out = way_out(guest, state, policy)
    if guest.id in policy.noout_guests:
        return False
    return out.kind is MoveKind.LIVE and guest.running and not guest.carried and not out.ejects and not out.late


def may_be_shut_down(guest: Guest, policy: Policy) -> bool:
    """By consent, and never in a way that ends in a hard stop: HA's own shutdown does, and a paused guest hears
    nothing."""
    return policy.may_shut_down(guest) and guest.running and guest.ha is None


def _leaves(guest: Guest, state: ClusterState, policy: Policy) -> WayOut:
    """A guest that has a process, and that nothing holds at the moment."""
    if devices := _devices(guest):
        return _bound(guest, policy, devices)
    if guest.not_live:
        return _frozen(guest, policy)
    if stays := volume_blockers(guest, state):
        return _shut_down(guest, policy, "cannot take its volumes along") or WayOut(guest, None, blockers=stays)
    if guest.local_isos and not policy.may_eject(guest):
        return WayOut(guest, None, blockers=_isos(guest, policy))
    if guest.kind is GuestKind.LXC:
        return _container(guest, policy)
    if guest.ha is not None and any(not (guest.replicas and disk.replicate) for disk in guest.local_disks):
        return WayOut(guest, None, blockers=(_ha_disks(guest),))
    return _live(guest)


def _live(guest: Guest) -> WayOut:
    why, cautions = "moves live", []
    disks = ", ".join(disk.key for disk in guest.local_disks)
    if disks and guest.replicas:
        why = f"moves live to a node that has a replica of its disks ({disks}); only what is new is copied"
    elif disks:
        why = f"moves live with its local disks ({disks}), which are copied first"
    if guest.mapped:
        why += f", with {', '.join(each.key for each in guest.mapped)} of the same mapping there"
    if guest.status is GuestStatus.PAUSED:
        why = why.replace("moves live", "is paused: moves live and stays paused", 1)
        said = f"{title(guest)} is paused; it moves like a running guest and stays paused"
        cautions.append(Caution("guest.paused", str(guest.id), said, f"see who paused it: qm status {guest.id.vmid}"))
    ejects, told = _ejected(guest)
    return WayOut(guest, MoveKind.LIVE, why, cautions=(*cautions, *told), ejects=ejects)


def _ejected(guest: Guest) -> tuple[tuple[tuple[str, str], ...], tuple[Caution, ...]]:
    """What is taken out of its drives, by consent, and the word about it."""
    ejects = tuple((disk.key, disk.volume) for disk in guest.local_isos)
    if not ejects:
        return (), ()
    said = ", ".join(f"{volume} ({drive})" for drive, volume in ejects)
    message = f"{title(guest)}: {said} is taken out of its drive before the move and put back when it is home again"
    return ejects, (Caution("guest.iso-ejected", str(guest.id), message, "by consent; nothing to do"),)


def _at_rest(guest: Guest, state: ClusterState, policy: Policy) -> WayOut:
    """Stopped guests and templates need no RAM; those that start with the node leave, so that they do not start
    at power-on, before anybody accepted the repair; so do those that HA is to keep running."""
    name = title(guest)
    if guest.template:
        return WayOut(guest, None, cautions=(_stays(guest, "guest.template", f"{name} is a template and stays"),))
    wanted = guest.ha is not None and guest.ha.requested_state in ("started", "enabled")
    if not guest.onboot and not wanted:
        said = f"{name} is stopped and stays: while the node is off it cannot be started"
        return WayOut(guest, None, cautions=(_stays(guest, "guest.stopped", said),))
    stuck_iso = guest.local_isos and not policy.may_eject(guest)
    lock = guest.lock is not None and guest.lock not in PASSING_LOCKS
    if lock or guest.carried or stuck_iso or guest.local_resources or volume_blockers(guest, state):
        said = f"{name} is stopped and bound to the node: its onboot is switched off until the repair is accepted"
        remedy = f"nothing to do; without VM.Config.Options: {tool(guest)} set {guest.id.vmid} --onboot 0"
        if guest.lock is not None:
            said = f"{name} is stopped, locked and bound to the node: its onboot cannot be changed"
            remedy = f"when nothing runs any more: {tool(guest)} unlock {guest.id.vmid}"
        if not guest.onboot:
            said = f"{name} is stopped though HA is to run it, and is bound to the node"
            remedy = f"see `ha-manager status`; if nobody needs it: ha-manager set {_sid(guest)} --state stopped"
        return WayOut(guest, None, cautions=(Caution("guest.starts-at-power-on", str(guest.id), said, remedy),))
    why = "is stopped but starts with its node: moved so that it does not start early"
    if wanted:
        why = "is stopped but HA is to run it: moved so that it can"
    ejects, told = _ejected(guest)
    return WayOut(guest, MoveKind.OFFLINE, why, cautions=told, ejects=ejects)


def _stays(guest: Guest, code: str, message: str) -> Caution:
    return Caution(code, str(guest.id), message, "nothing to do, unless somebody needs it during the repair")


def _sid(guest: Guest) -> str:
    return guest.ha.sid if guest.ha else ""


def _not_now(guest: Guest) -> tuple[Blocker, ...]:
    """What only a person can end."""
    name, subject, vmid = title(guest), str(guest.id), guest.id.vmid
    if guest.lock and guest.lock not in PASSING_LOCKS:
        return (
            Blocker(
                "guest.locked",
                subject,
                f"{name} is locked ({guest.lock}), which does not end by itself",
                f"see what the {guest.lock} is about and finish it; if nothing runs any more: "
                f"{tool(guest)} unlock {vmid}",
                {"lock": guest.lock, "transient": "no"},
            ),
        )
    stands = guest.status is GuestStatus.PAUSED and guest.qmp_status not in _PAUSED_WELL
    if not guest.alive or stands:
        told = guest.qmp_status if stands else guest.status.value
        return (
            Blocker(
                "guest.not-running",
                subject,
                f"{name} is {told}, neither running nor stopped",
                f"resume it or shut it down ({tool(guest)} status {vmid}), then plan again",
                {"status": told},
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
    return ()


def _passing(guest: Guest, state: ClusterState, policy: Policy) -> tuple[Caution, ...]:
    """What holds the guest now and ends by itself: said, and waited for by the run, with a limit."""
    minutes = f"{policy.lock_wait_s / 60:.0f} min"
    vmid = str(guest.id.vmid)
    busy = [task for task in state.running_tasks if task.subject == vmid and "migrate" in task.kind]
    if not guest.lock and not busy:
        return ()
    what = f"is locked ({guest.lock})" if guest.lock else f"is being moved by somebody else ({busy[0].kind})"
    evidence = {"lock": guest.lock or "", "transient": "yes"} | ({"task": busy[0].upid} if busy else {})
    return (
        Caution(
            "guest.locked-for-now",
            str(guest.id),
            f"{title(guest)} {what}: noout moves it late and waits up to {minutes} for it",
            f"if nothing holds it any more: {tool(guest)} unlock {vmid}",
            evidence,
        ),
    )


def _devices(guest: Guest) -> tuple[str, ...]:
    """The devices that tie a running guest to its node: its own, and mapped ones that cannot move live."""
    return (*guest.local_resources, *(each.key for each in guest.mapped if not each.live))


def _shut_down(guest: Guest, policy: Policy, why: str) -> WayOut | None:
    """Shut down by consent; None without consent. Never where it would end in a hard stop."""
    if not policy.may_shut_down(guest):
        return None
    if guest.ha is not None:
        said = f"{title(guest)} is managed by HA, whose shutdown ends in a hard stop when it takes too long"
        remedy = f"take it out of HA's hands for the repair: ha-manager set {_sid(guest)} --state ignored"
        return WayOut(guest, None, blockers=(Blocker("guest.ha-shutdown", str(guest.id), said, remedy),))
    if not guest.running:
        said = f"{title(guest)} {why}, and as it is paused it does not hear a shutdown"
        remedy = f"resume it (qm resume {guest.id.vmid}), then plan again"
        return WayOut(guest, None, blockers=(Blocker("guest.not-running", str(guest.id), said, remedy),))
    return WayOut(guest, MoveKind.SHUTDOWN, f"{why}: shut down by consent, stays here")


def _bound(guest: Guest, policy: Policy, keys: tuple[str, ...]) -> WayOut:
    devices = ", ".join(keys)
    if (out := _shut_down(guest, policy, f"is bound to the node by {devices}")) is not None:
        return out
    mapped = {each.key: each.name for each in guest.mapped}
    named = ", ".join(f"{key} (mapping {mapped[key]})" if key in mapped else key for key in keys)
    return WayOut(
        guest,
        None,
        blockers=(
            Blocker(
                "guest.passthrough",
                str(guest.id),
                f"{title(guest)} uses {named} of this node and cannot move",
                f"tag it {policy.shutdown_tag} when its owner agrees to a shutdown for the repair, or remove "
                f"{devices} (`{tool(guest)} set {guest.id.vmid} --delete {','.join(keys)}`); for this time alone: "
                f"--consent {guest.id}",
                {"devices": devices},
            ),
        ),
    )


def _frozen(guest: Guest, policy: Policy) -> WayOut:
    """Its settings let PVE move it only while it is stopped."""
    settings = ", ".join(guest.not_live)
    if (out := _shut_down(guest, policy, f"cannot move live with {settings}")) is not None:
        return out
    said = f"{title(guest)} is set up with {settings}, with which PVE does not migrate a running guest"
    remedy = f"tag it {policy.shutdown_tag} when its owner agrees to a shutdown for the repair, or remove the setting"
    found = Blocker("guest.not-live", str(guest.id), said, remedy, {"settings": settings})
    return WayOut(guest, None, blockers=(found,))


def _isos(guest: Guest, policy: Policy) -> tuple[Blocker, ...]:
    return tuple(
        Blocker(
            "guest.local-iso",
            str(guest.id),
            f"{title(guest)} has {disk.volume} in its drive {disk.key}, which no other node can read",
            f"when nobody needs it: qm set {guest.id.vmid} --{disk.key} none,media=cdrom; or tag it "
            f"{policy.eject_tag}, and noout takes it out and puts it back",
            {"volume": disk.volume, "drive": disk.key},
        )
        for disk in guest.local_isos
    )


def _ha_disks(guest: Guest) -> Blocker:
    """HA hands its own migration no target storage, and how it fares with local disks was not recorded."""
    disks = ", ".join(disk.key for disk in guest.local_disks)
    return Blocker(
        "guest.ha-local-disks",
        str(guest.id),
        f"{title(guest)} is managed by HA and has local disks ({disks}): noout does not leave their copying to HA",
        f"take it out of HA's hands (ha-manager set {_sid(guest)} --state ignored) or out of HA (ha-manager remove "
        f"{_sid(guest)}), or move {disks} to shared storage",
        {"disks": disks},
    )


def _container(guest: Guest, policy: Policy) -> WayOut:
    if policy.may_relocate(guest):
        return WayOut(guest, MoveKind.RELOCATE, "is a container: stopped, moved and started, by consent")
    if (out := _shut_down(guest, policy, "is a container whose owner agreed to a shutdown")) is not None:
        return out
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
                f"to have it stopped for the repair; for this time alone: --consent {guest.id}",
            ),
        ),
    )
