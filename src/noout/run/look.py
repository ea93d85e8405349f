"""One observation for one step: everything it may rest on, looked at now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from noout.domain.cluster import GuestId, MigrationProgress, Near, NodeId, Task
from noout.domain.errors import NooutError
from noout.domain.maintenance import Maintenance, Observation, Pending
from noout.run.context import Context, Read, Sighting
from noout.steps import checks
from noout.steps.exposure import given_up
from noout.steps.flights import MOVE_VERBS, next_look_s
from noout.steps.guest_effects import MOVING_KINDS
from noout.steps.site import Site
from noout.steps.step import Sight

AT_EASE_S = 3600.0  # how old a configuration may be that no list says to have changed, while nothing rests on it
SETTLING_S = 3.0  # between two looks at a guest whose migration is over
CLOCKS_DIFFER = timedelta(seconds=60)  # a node's clock may be behind ours by so much


async def look(
    ctx: Context,
    m: Maintenance,
    sees: frozenset[Sight],
    near: Near | None = None,
    before: Observation | None = None,
) -> Observation:
    """Raises what the doors raise: nothing is decided on half a picture (a mute BMC is part of the picture).

    ``near``: the cluster need not be looked at beyond this. ``before``: what was seen in this same step."""
    site = ctx.site(m.node)
    answered = await ctx.answered(m)  # first of all: it may have to wait for the prober's first answers
    begins, exposed = "crush_host" not in m.facts, given_up(m)
    # What blocks a run is looked at closely: it may be mended where no list tells.
    anew = "anew" in sees or begins or exposed or bool(m.blockers) or m.replan_wanted_at is not None
    if near is not None:
        near = replace(near, guests=near.guests | await _ended(ctx, m, site))
    cluster = await site.hypervisor.observe(keep_s=None if anew else AT_EASE_S, near=None if anew else near)
    asks_ceph = site.ceph is not None and ("ceph" in sees or begins or exposed)
    ceph = await site.ceph.observe() if site.ceph is not None and asks_ceph and before is None else None
    ceph = before.ceph if before is not None else ceph
    hardware = await site.bmc.observe(log=False) if "hardware" in sees else None
    seen = Observation(
        ctx.clock.now(), cluster, ceph, hardware, await ctx.silent(m), answered, shell=site.hypervisor.has_shell
    )
    if "ok-to-stop" in sees and site.ceph is not None:
        osds = [osd.id for osd in checks.osds_of_node(m, seen) if osd.up]
        answer = await site.ceph.ok_to_stop(osds) if osds and ceph is not None and ceph.fresh else None
        seen = replace(seen, ok_to_stop=answer)
    return await _moves(ctx, m, seen, site)


def adopted(pending: Pending, seen: Observation) -> str | None:
    """The UPID of the running migration that carries out this pending move, when we do not know one yet.

    One that goes elsewhere is somebody else's: it is waited for, and neither taken for ours nor cancelled.
    """
    upid = _unknown(pending, seen)
    known = seen.progress.get(GuestId.parse(pending.action.subject)) if upid in seen.tasks else None
    return upid if known is not None and _is_ours(pending, known) else None


def _unknown(pending: Pending, seen: Observation) -> str | None:
    """A running migration of this pending move's guest, whosever it is, while we know none."""
    if pending.upid or pending.action.verb not in MOVE_VERBS:
        return None
    vmid = pending.action.subject.rpartition("/")[2]
    running = (each for each in seen.cluster.running_tasks if each.kind in MOVING_KINDS and each.subject == vmid)
    return next((task.upid for task in running), None)


def _is_ours(pending: Pending, found: MigrationProgress) -> bool:
    return found.target == pending.action.args.get("target")


async def _moves(ctx: Context, m: Maintenance, seen: Observation, site: Site) -> Observation:
    """With what the tasks of pending actions say; a task that cannot be read now says nothing."""
    tasks: dict[str, Task] = {}
    progress: dict[GuestId, MigrationProgress] = {}
    due: dict[GuestId, datetime] = {}
    stalled: set[GuestId] = set()
    for pending in m.pending:
        upid = pending.upid or _unknown(pending, seen)
        if upid is None:
            if (past := await _past(pending, seen, site)) is not None:
                progress[GuestId.parse(pending.action.subject)] = past
            continue
        moves = pending.action.verb in MOVE_VERBS
        try:
            found = await _log(ctx, m, pending, upid, site, anew=_is_there(pending, seen)) if moves else None
            if upid != pending.upid and (found is None or not _is_ours(pending, found)):
                continue
            if (task := await _task(ctx, pending, upid, seen, site)) is not None:
                tasks[upid] = task
        except NooutError:
            continue
        if not moves:
            continue
        guest = GuestId.parse(pending.action.subject)
        due[guest] = ctx.logs[upid].due
        if found is not None:
            progress[guest] = found
        if upid in tasks and tasks[upid].running and _stands_still(ctx, upid, found, seen):
            stalled.add(guest)
    return replace(seen, tasks=tasks, progress=progress, due=due, stalled=frozenset(stalled))


async def _ended(ctx: Context, m: Maintenance, site: Site) -> frozenset[tuple[GuestId, NodeId]]:
    """Guests whose migration is over by its log, or that HA has in hand, each with where it should be now."""
    found = set()
    for pending in m.pending:
        there = GuestId.parse(pending.action.subject), NodeId(m.node.cluster, str(pending.action.args.get("target")))
        if pending.upid is None:
            found |= {there} if pending.action.verb == "ha-migrate" else set()
            continue
        try:
            told = await _log(ctx, m, pending, pending.upid, site)
        except NooutError:
            continue
        if told is not None and told.over:
            found.add(there)
    return frozenset(found)


async def _log(
    ctx: Context, m: Maintenance, pending: Pending, upid: str, site: Site, *, anew: bool = False
) -> MigrationProgress | None:
    """What the log says; as it was last read, until it is worth reading again. ``anew``: it is."""
    now, known = ctx.clock.now(), ctx.logs.get(upid)
    if known is None and pending.upid == upid and pending.started:
        known = ctx.logs[upid] = Read(
            None, pending.since + timedelta(seconds=next_look_s(pending, m, None, pending.since))
        )
    if known is not None and known.over:
        ctx.logs[upid] = replace(known, due=now + timedelta(seconds=SETTLING_S))
        return known.progress
    if known is not None and now < known.due and not anew:
        return known.progress
    told = await site.hypervisor.progress(upid)
    was = known.progress if known is not None else None
    same = told is not None and was is not None and (told.transferred_bytes, told.blackout_ms) == (
        was.transferred_bytes, was.blackout_ms
    )  # fmt: skip
    read = Read(told, now + timedelta(seconds=next_look_s(pending, m, told, now)), doubtful=told is None or same)
    ctx.logs[upid] = replace(read, due=now + timedelta(seconds=SETTLING_S)) if read.over else read
    return told


async def _task(ctx: Context, pending: Pending, upid: str, seen: Observation, site: Site) -> Task | None:
    """How the task stands: asked for where its log does not tell that it goes on. None: it is over, and all that
    counts is where the guest is."""
    read = ctx.logs.get(upid) if pending.action.verb in MOVE_VERBS else None
    if read is not None and read.over and _is_there(pending, seen):
        return None
    if read is None or read.doubtful or read.over:
        return await site.hypervisor.task(upid)
    guest = GuestId.parse(pending.action.subject)
    return Task(upid, str(pending.action.args.get("source")), "", str(guest.vmid), running=True)


def _is_there(pending: Pending, seen: Observation) -> bool:
    """Whether the guest is where the move takes it, with no lock on it."""
    guest = seen.cluster.guest(GuestId.parse(pending.action.subject))
    return guest is not None and guest.node.name == pending.action.args.get("target") and guest.lock is None


async def _past(pending: Pending, seen: Observation, site: Site) -> MigrationProgress | None:
    """What the log says of a move that came and went between two looks: HA's own migrations are told by no UPID. Asked
    for once it has arrived, as far as the cluster tells; None where nobody can say."""
    if pending.action.verb not in MOVE_VERBS:
        return None
    guest = seen.cluster.guest(GuestId.parse(pending.action.subject))
    target = pending.action.args.get("target")
    if guest is None or guest.node.name != target or guest.lock is not None:
        return None
    if guest.ha is not None and (guest.ha.node != target or guest.ha.state != "started"):
        return None
    source = NodeId(guest.node.cluster, str(pending.action.args.get("source")))
    try:
        for task in await site.hypervisor.moves_made(guest, source, pending.since - CLOCKS_DIFFER):
            found = await site.hypervisor.progress(task.upid)
            if found is not None and _is_ours(pending, found):
                return found
    except NooutError:
        pass
    return None


def _stands_still(ctx: Context, upid: str, found: MigrationProgress | None, seen: Observation) -> bool:
    """Nothing is logged while `transferred` stands still, so it is timed here; from the first figure on: before it,
    local disks are copied, or a container is stopped, and nothing tells how far that is."""
    if found is None or not found.total_bytes:
        return False
    transferred = found.transferred_bytes
    last = ctx.sightings.get(upid)
    if last is None or last.transferred_bytes != transferred:
        ctx.sightings[upid] = Sighting(transferred, seen.at)
        return False
    return (seen.at - last.since).total_seconds() >= ctx.stall_s
