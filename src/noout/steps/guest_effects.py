"""Effects on guests: moving, cancelling a move, shutting down by consent, starting again."""

from __future__ import annotations

from noout.domain.cluster import Guest, GuestId, GuestKind, GuestStatus, NodeId, Task
from noout.domain.errors import Refused
from noout.domain.maintenance import Action, Json, Maintenance, Observation, Pending
from noout.steps.actions import SHUTDOWN_TIMEOUT_S, guest_id
from noout.steps.site import Site
from noout.steps.step import Failed, NotYet, Verdict, Verified

MOVING_KINDS = frozenset({"qmigrate", "vzmigrate"})
# A move that was asked for and of which nothing is to be seen after this long did not begin.
SETTLE_S = 60.0
# HA decides in rounds of 10 s; a queued move of which nothing shows after this long was dropped or bounced back.
HA_SETTLE_S = 180.0
CANCELLED = "cancelled, as "  # how the failure of a move begins that we ended ourselves


def _guest(action: Action, seen: Observation) -> Guest:
    found = seen.cluster.guest(guest_id(action))
    if found is None:
        raise Refused(f"guest {action.subject} is no longer there", remedy="see who removed it")
    return found


async def migrate(action: Action, seen: Observation, site: Site) -> str | None:
    guest, target = _guest(action, seen), NodeId(seen.cluster.name, str(action.args["target"]))
    checked = await site.hypervisor.precondition(guest, target)
    if reasons := checked.blocked.get(target.name):
        raise Refused(f"{guest.name} ({guest.id}) may not go to {target.name}: {'; '.join(reasons)}")
    storage = action.args.get("target_storage")
    task = await site.hypervisor.migrate(
        guest,
        target,
        online=guest.kind is GuestKind.QEMU and guest.alive,
        with_local_disks=bool(action.args.get("with_local_disks")),
        target_storage=str(storage) if storage else None,
        with_conntrack=bool(action.args.get("with_conntrack")),
        limit_bytes_s=float(action.args.get("limit_bytes_s") or 0.0),
    )
    return task.upid


async def ha_migrate(action: Action, seen: Observation, site: Site) -> None:
    await site.hypervisor.ha_migrate(_guest(action, seen), NodeId(seen.cluster.name, str(action.args["target"])))


async def cancel(action: Action, seen: Observation, site: Site) -> None:
    await site.hypervisor.cancel(str(action.args["upid"]))


async def shutdown(action: Action, seen: Observation, site: Site) -> str | None:
    return (await site.hypervisor.shutdown_guest(_guest(action, seen), SHUTDOWN_TIMEOUT_S)).upid


async def start(action: Action, seen: Observation, site: Site) -> str | None:
    return (await site.hypervisor.start_guest(_guest(action, seen))).upid


# --- looking --------------------------------------------------------------------------------------------------


def running_move(seen: Observation, guest: GuestId) -> Task | None:
    """The migration of this guest that runs now, whoever started it."""
    return next(
        (task for task in seen.cluster.running_tasks if task.kind in MOVING_KINDS and task.subject == str(guest.vmid)),
        None,
    )


def _age_s(pending: Pending, seen: Observation) -> float:
    return (seen.at - pending.since).total_seconds()


def _task(pending: Pending, seen: Observation) -> Task | None:
    return seen.tasks.get(pending.upid) if pending.upid else None


def _arrived(pending: Pending, seen: Observation, guest: Guest, otherwise: str = "") -> Verdict:
    """On the target, unlocked, nobody migrating it: it has moved. Is it also as it was before? If not, that is said
    with the move: a guest that is paused over there must come home all the same."""
    progress = seen.progress.get(guest.id)
    evidence: dict[str, Json] = {"blackout_ms": progress.blackout_ms if progress else None}
    evidence |= {"rate_bytes_s": progress.rate_bytes_s} if progress and progress.rate_bytes_s else {}
    if pending.action.args.get("running") and guest.status is not GuestStatus.RUNNING:
        expected_s = float(pending.action.args.get("expected_s") or 0.0)
        # The time counts from the asking: a long copy must leave as much time for settling as a short one.
        if guest.status is GuestStatus.UNKNOWN or _age_s(pending, seen) < SETTLE_S + 10 * expected_s:
            return NotYet(f"{guest.name} is on {guest.node.name} but {guest.status.value}")
        otherwise = otherwise or guest.status.value
    return Verified(evidence | ({"arrived": otherwise} if otherwise else {}))


def _why_it_ended(guest: GuestId, task: Task, m: Maintenance) -> str:
    """The task's own words; or ours, when it was cancelled by us."""
    cancels = (each.action for each in m.pending if each.action.verb == "cancel" and each.action.subject == str(guest))
    ours = next(cancels, None)
    return f"{CANCELLED}{ours.args['why']}" if ours else (task.exit_status or "the task failed")


def has_moved(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    guest = seen.cluster.guest(guest_id(pending.action))
    target, task = pending.action.args["target"], _task(pending, seen)
    if guest is None:
        return Failed("the guest is no longer there")
    if running_move(seen, guest.id) is not None or (task is not None and task.running):
        return NotYet("the migration is running")
    if guest.node.name == target:
        return (
            NotYet("still locked")
            if guest.lock == "migrate" and _age_s(pending, seen) < 600
            else _arrived(pending, seen, guest)
        )
    if guest.node.name != pending.action.args["source"]:
        return Failed(f"it is on {guest.node.name} now: somebody else moved it")
    if task is not None and task.ok is False:
        return Failed(_why_it_ended(guest.id, task, m))
    settled = _age_s(pending, seen) >= SETTLE_S
    return (
        Failed("no migration of it is running and it has not moved")
        if settled
        else NotYet("nothing to be seen of it yet")
    )


def has_moved_by_ha(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    """The CRM's node is the target AND its state is started AND the guest is unlocked: nothing less is a move."""
    guest = seen.cluster.guest(guest_id(pending.action))
    target, task = pending.action.args["target"], _task(pending, seen)
    if guest is None:
        return Failed("the guest is no longer there")
    if guest.ha is None:
        return has_moved(pending, m, seen)
    if guest.ha.state == "error":
        here = guest.node.name == target and guest.lock is None and running_move(seen, guest.id) is None
        return _arrived(pending, seen, guest, "HA state error") if here else Failed("HA put it into state error")
    if running_move(seen, guest.id) is not None or guest.lock == "migrate" or guest.ha.state in {"migrate", "relocate"}:
        return NotYet(f"HA says {guest.ha.state}")
    if guest.node.name == target and guest.ha.node == target:
        wanted = {"started"} if pending.action.args.get("running") else {"stopped", "ignored", "disabled", "started"}
        return _arrived(pending, seen, guest) if guest.ha.state in wanted else NotYet(f"HA says {guest.ha.state}")
    if task is not None and task.ok is False:
        return Failed(_why_it_ended(guest.id, task, m))
    if _age_s(pending, seen) >= HA_SETTLE_S:
        return Failed(f"HA says {guest.ha.state} on {guest.ha.node}: it did not move it, or moved it back")
    return NotYet("HA has not begun")


def is_cancelled(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    """Settled when the move it ended is settled: that one's failure names this cancellation as its cause."""
    subject = pending.action.subject
    moving = any(each.action.verb != "cancel" and each.action.subject == subject for each in m.pending)
    if not moving:
        return Verified()
    return NotYet("still running") if _age_s(pending, seen) < 2 * SETTLE_S else Failed("the task does not stop")


def is_down(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    guest, task = seen.cluster.guest(guest_id(pending.action)), _task(pending, seen)
    if guest is None:
        return Failed("the guest is no longer there")
    if guest.status is GuestStatus.STOPPED:
        return Verified()
    if task is not None and task.ok is False:
        return Failed(f"it did not shut down: {task.exit_status}")
    return (
        NotYet("shutting down")
        if _age_s(pending, seen) < SHUTDOWN_TIMEOUT_S + SETTLE_S
        else Failed("it does not shut down")
    )


def is_running(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    guest, task = seen.cluster.guest(guest_id(pending.action)), _task(pending, seen)
    if guest is None:
        return Failed("the guest is no longer there")
    if guest.running and guest.lock is None:
        return Verified()
    if task is not None and task.ok is False:
        return Failed(f"it did not start: {task.exit_status}")
    return NotYet("starting") if _age_s(pending, seen) < SETTLE_S * 2 else Failed("it does not start")
