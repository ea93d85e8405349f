"""Does a plan hold? An independent check of it over the observed cluster, sharing no code with what placed it.

Each move by itself, all of them together, the way home, and a replay that times them as badly as they may be timed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from noout.domain.ceph import CephState
from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, GuestKind, GuestStatus, Node, NodeId
from noout.domain.maintenance import Move, MoveKind, Plan
from noout.plan.lint_facts import misstated, wrong_table
from noout.plan.lint_schedule import misscheduled
from noout.plan.policy import PASSING_LOCKS, Policy
from noout.plan.replay import afterwards, breaches

_MAY = {
    MoveKind.LIVE: "a running or paused VM that nothing ties to its node",
    MoveKind.RELOCATE: "a running container without devices of its node",
    MoveKind.OFFLINE: "a stopped guest",
    MoveKind.SHUTDOWN: "a running guest of the node",
}


def lint(
    plan: Plan,
    state: ClusterState,
    policy: Policy | None = None,
    ceph: CephState | None = None,
    crush_host: Callable[[NodeId], str | None] = lambda node: node.name,
) -> tuple[str, ...]:
    """Everything that is wrong with the plan, as sentences; empty when it holds.

    A plan with blockers is allowed to leave out the guests that its blockers name. Without ``ceph`` the OSDs' share
    of the reserve is taken from the plan's own table, which may only say more than the policy's minimum.
    """
    policy = policy or Policy()
    if state.node(plan.node) is None:
        return (f"{plan.node} is not a node of the cluster",)
    limits = _limits(plan, state, policy, ceph, crush_host)
    guests = {guest.id: guest for guest in state.guests}
    wrong = [*_figures(plan, policy)]
    wrong += _each_move(plan.moves, guests, state, plan.node, policy)
    wrong += _consents(plan.moves, guests, policy)
    wrong += _disk_room(plan.moves, guests, state)
    wrong += _accounting(plan, state)
    wrong += _fetched_back(plan.moves, guests, state)
    wrong += _own(plan, state, policy)
    wrong += misscheduled(plan, state, policy)
    wrong += misstated(plan, state, policy)
    if wrong:
        return tuple(dict.fromkeys(wrong))  # a replay of moves that cannot be would only repeat this
    before = {guest.id: guest.node for guest in state.guests}
    away = afterwards(plan.moves, before)
    wrong += breaches(plan.moves, state, before, limits)
    wrong += _at_the_end(state, guests, away, plan.node)
    wrong += _bystanders(plan, state)
    wrong += _way_home(plan, state, away, limits)
    wrong += wrong_table(plan, state)
    return tuple(dict.fromkeys(wrong))


def _limits(
    plan: Plan,
    state: ClusterState,
    policy: Policy,
    ceph: CephState | None,
    crush_host: Callable[[NodeId], str | None],
) -> dict[NodeId, int]:
    stated = {load.node: load.reserve_bytes for load in plan.loads}
    limits = {}
    for node in state.nodes:
        reserve = max(policy.os_reserve_bytes, stated.get(node.id, 0))
        if ceph is not None:
            osds = sum(1 for osd in ceph.osds if osd.host == crush_host(node.id))
            reserve = policy.os_reserve_bytes + osds * policy.osd_reserve_bytes
        limits[node.id] = max(0, node.ram_bytes - reserve)
    return limits


def _figures(plan: Plan, policy: Policy) -> Iterator[str]:
    if plan.streams < 1:
        yield f"{plan.streams} streams cannot move anything"
    elif plan.streams > policy.streams:
        yield f"{plan.streams} streams are more than the {policy.streams} of the policy"
    low, high = plan.estimate_s
    if not 0 <= plan.lower_bound_s <= low <= high < float("inf"):
        yield f"the times do not agree: bound {plan.lower_bound_s:g} s, estimate {low:g} to {high:g} s"


def _each_move(
    moves: Sequence[Move], guests: Mapping[GuestId, Guest], state: ClusterState, leaving: NodeId, policy: Policy
) -> Iterator[str]:
    """What can be said of a move by itself: guest, kind, source, target."""
    nodes = {node.id: node for node in state.nodes}
    seen: set[GuestId] = set()
    for move in moves:
        guest = guests.get(move.guest)
        if guest is None:
            yield f"{move.guest} is moved but not in the cluster"
            continue
        if move.guest in seen:
            yield f"{move.guest} is moved twice"
        seen.add(move.guest)
        if guest.node != move.source:
            yield f"{move.guest} is on {guest.node.name}, not on {move.source.name}"
        if guest.ram_bytes != move.ram_bytes:
            yield f"{move.guest} has {_gib(guest.ram_bytes)}, the plan says {_gib(move.ram_bytes)}"
        if (guest.ha is not None) != move.ha:
            yield f"{move.guest} is {'' if guest.ha else 'not '}managed by HA, and the plan has it otherwise"
        yield from _kind(move, guest, leaving)
        yield from _drives(move, guest, policy)
        if move.target is not None:
            yield from _target(move, guest, nodes, state, leaving)
            if not _pinned_there(guest, move.target, policy):
                yield f"{move.guest} is pinned by its tags, and not to its target {move.target.name}"
    yield from _waits(moves)


def _kind(move: Move, guest: Guest, leaving: NodeId) -> Iterator[str]:
    running = guest.status is GuestStatus.RUNNING
    fits = {
        MoveKind.LIVE: (running or guest.status is GuestStatus.PAUSED) and _free(guest),
        MoveKind.RELOCATE: running and guest.kind is GuestKind.LXC and not guest.local_resources,
        MoveKind.OFFLINE: guest.status is GuestStatus.STOPPED and not guest.template,
        MoveKind.SHUTDOWN: running and guest.node == leaving and guest.ha is None,
    }
    if not fits[move.kind]:
        yield f"{move.guest} cannot be moved {move.kind.value}: that is for {_MAY[move.kind]}"
    if (move.target is None) != (move.kind is MoveKind.SHUTDOWN):
        yield f"{move.guest}: a {move.kind.value} move {'needs a' if move.target is None else 'has no'} target"
    if guest.lock and guest.lock not in PASSING_LOCKS:
        yield f"{move.guest} is locked ({guest.lock})"
    if move.target is not None and bool(guest.local_disks) != move.with_local_disks:
        yield f"{move.guest}: its local disks and the plan's word about them do not agree"


def _free(guest: Guest) -> bool:
    """A VM that PVE can migrate live, wherever to."""
    tied = guest.local_resources or guest.not_live or any(not device.live for device in guest.mapped)
    frozen = guest.snapshots and any(not (guest.replicas and disk.replicate) for disk in guest.local_disks)
    return guest.kind is GuestKind.QEMU and not tied and not frozen


def _drives(move: Move, guest: Guest, policy: Policy) -> Iterator[str]:
    """ISOs of the node: taken out by consent, or in the way."""
    isos = {(disk.key, disk.volume) for disk in guest.local_isos}
    if move.target is not None and isos - set(move.ejects):
        yield f"{move.guest} has an ISO in its drive that only {guest.node.name} can read"
    if set(move.ejects) - isos:
        yield f"{move.guest}: the plan takes out what is not an ISO of its node"
    if move.ejects and policy.eject_isos != "eject" and policy.eject_tag not in guest.tags:
        yield f"{move.guest} would lose its ISO for a while and nobody agreed to it"


def _pinned_there(guest: Guest, target: NodeId, policy: Policy) -> bool:
    pins = [tag for tag in guest.tags if tag.startswith(policy.pin_tag)]
    return not pins or f"{policy.pin_tag}{target.name}".lower() in (tag.lower() for tag in pins)


def _target(
    move: Move, guest: Guest, nodes: Mapping[NodeId, Node], state: ClusterState, leaving: NodeId
) -> Iterator[str]:
    assert move.target is not None
    target, home = nodes.get(move.target), nodes[guest.node]
    where = move.target.name
    if target is None:
        yield f"{move.guest}: its target {move.target} is not a node of the cluster"
        return
    if target.id == leaving:
        yield f"{move.guest} is moved onto {where}, which is to be emptied"
    if target.id == home.id:
        yield f"{move.guest} is moved to where it is"
    if not target.online:
        yield f"{move.guest}: its target {where} is offline"
    if target.ha_state == "maintenance" or (where, "maintenance") in state.ha_requests:
        yield f"{move.guest}: its target {where} is itself in maintenance"
    rows = {(store.node, store.name): store for store in state.storages}
    known = {name for node, name in rows if node == home.id} | home.storages
    for name in {disk.storage for disk in guest.disks if disk.shared} & known:
        row = rows.get((target.id, name))
        if not (row.available if row is not None else name in target.storages):
            yield f"{move.guest}: its target {where} has no storage {name}"
    for bridge in set(guest.bridges) & home.bridges - target.bridges:
        yield f"{move.guest}: its target {where} has no bridge {bridge}"
    yield from _fits_there(move, guest, home, target)
    alike = not home.cpu_model or not target.cpu_model or home.cpu_model == target.cpu_model
    if move.kind is MoveKind.LIVE and guest.cpu_type == "host" and not alike:
        yield f"{move.guest} has CPU type host and its target {where} another CPU"


def _fits_there(move: Move, guest: Guest, home: Node, target: Node) -> Iterator[str]:
    where = target.id.name
    for nic in guest.nics:
        if (nic.tag is not None or nic.trunks) and nic.bridge in home.vlan_aware - target.vlan_aware:
            yield f"{move.guest}: on {where} {nic.bridge} passes no VLANs on"
    for device in guest.mapped:
        if where in device.lacking:
            yield f"{move.guest}: its target {where} has no device for {device.name}"
    jobs = {job.target: job.removing for job in guest.replicas}
    if jobs and guest.status is not GuestStatus.STOPPED and where not in jobs:
        yield f"{move.guest} is replicated, and not to its target {where}"
    if jobs.get(where):
        yield f"{move.guest}: its replication to {where} is being removed"
    if jobs and move.target_storage is not None:
        yield f"{move.guest} is replicated: its disks cannot change to {move.target_storage}"
    lost = home.cpu_flags - target.cpu_flags if target.cpu_flags else frozenset()
    if move.kind is MoveKind.LIVE and lost and (guest.cpu_type in ("host", "max") or guest.cpu_flags & lost):
        yield f"{move.guest}: the CPU of {where} lacks flags that it uses"


def _consents(moves: Sequence[Move], guests: Mapping[GuestId, Guest], policy: Policy) -> Iterator[str]:
    """Nobody is interrupted who did not agree to it."""
    wanted = {MoveKind.RELOCATE: policy.relocate_tag, MoveKind.SHUTDOWN: policy.shutdown_tag}
    for move in moves:
        guest = guests.get(move.guest)
        tag = wanted.get(move.kind)
        if guest is not None and tag is not None and tag not in guest.tags and guest.id not in policy.consents:
            yield f"{move.guest} would be interrupted ({move.kind.value}) and nobody agreed to it"


def _fetched_back(moves: Sequence[Move], guests: Mapping[GuestId, Guest], state: ClusterState) -> Iterator[str]:
    """A guest that HA would move once more by itself has its failback switched off, and no other has."""
    usable = {node.id.name for node in state.nodes if node.online and node.ha_state != "maintenance"}
    for move in moves:
        guest = guests.get(move.guest)
        rules = [r for r in state.rules if r.enabled and r.kind is Affinity.NODE and move.guest in r.guests]
        liked = [{node: p for node, p in rule.nodes if node in usable} for rule in rules]
        better = any(max(p.values()) > p.get(move.target.name, -1) for p in liked if p and move.target)
        wanted = better and guest is not None and guest.ha is not None and guest.ha.failback
        if wanted != move.failback_off:
            yield f"{move.guest}: HA would {'' if wanted else 'not '}fetch it back, and the plan has it otherwise"


def _own(plan: Plan, state: ClusterState, policy: Policy) -> Iterator[str]:
    """What noout runs in goes last, and only in a way that it survives."""
    others = {move.guest for move in plan.moves if move.source == plan.node and move.target is not None}
    for move in (each for each in plan.moves if each.guest in policy.noout_guests):
        if move.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN):
            yield f"{move.guest} is noout's own and would be stopped"
        if early := others - set(move.after) - policy.noout_guests:
            yield f"{move.guest} is noout's own and does not wait for {min(early)}"


def _disk_room(moves: Sequence[Move], guests: Mapping[GuestId, Guest], state: ClusterState) -> Iterator[str]:
    """Local disks find their storage on the target, with room for all that come."""
    left = {(s.node, s.name): s.total_bytes - s.used_bytes for s in state.storages if s.available}
    shared = {(s.node, s.name) for s in state.storages if s.shared}
    for move in moves:
        guest = guests.get(move.guest)
        if guest is None or move.target is None:
            continue
        there = any(job.target == move.target.name for job in guest.replicas)
        for disk in guest.carried:
            if there and disk.replicate:
                continue
            place = (move.target, move.target_storage or disk.storage)
            if place in shared and move.target_storage is not None:
                yield f"{move.guest}: its disk {disk.key} would not come home from {place[1]}, which is shared"
            left[place] = left.get(place, 0) - disk.size_bytes
            if left[place] < 0:
                yield f"{move.guest}: {place[1]} on {move.target.name} has no room for its disk {disk.key}"


def _waits(moves: Sequence[Move]) -> Iterator[str]:
    """What a move waits for must come before it; then nothing can wait for itself."""
    place = {move.guest: index for index, move in enumerate(moves)}
    for index, move in enumerate(moves):
        for each in move.after:
            if each not in place:
                yield f"{move.guest} waits for {each}, which does not move"
            elif place[each] >= index:
                yield f"{move.guest} waits for {each}, which does not move before it"


def _accounting(plan: Plan, state: ClusterState) -> Iterator[str]:
    """Every guest that runs on the node leaves it, is shut down by consent, or is named by a blocker."""
    moved = {move.guest for move in plan.moves}
    excused = {blocker.subject for blocker in plan.blockers} | {
        name for blocker in plan.blockers for name in blocker.evidence.get("guests", "").split(", ")
    }
    for guest in state.guests:
        needs = guest.node == plan.node and not guest.template and guest.status is not GuestStatus.STOPPED
        if needs and guest.id not in moved and str(guest.id) not in excused:
            yield f"{guest.id} runs on {plan.node.name} and is not in the plan"


def _at_the_end(
    state: ClusterState, guests: Mapping[GuestId, Guest], where: Mapping[GuestId, NodeId], leaving: NodeId
) -> Iterator[str]:
    """The node rules and the togetherness rules; what was against a rule before may stay so."""
    before = {guest: one.node for guest, one in guests.items()}
    for rule in (each for each in state.rules if each.enabled and each.strict):
        members = [guest for guest in sorted(rule.guests) if guest in before]
        if rule.kind is Affinity.NODE:
            names = {name for name, _ in rule.nodes}
            for guest in members:
                if where[guest] != before[guest] and where[guest].name not in names:
                    yield f"{guest} ends on {where[guest].name}: rule {rule.name} allows {', '.join(sorted(names))}"
        elif rule.kind is Affinity.TOGETHER:
            running = [g for g in members if guests[g].running]
            gone = [guest for guest in running if where[guest] != leaving]
            for first, second in itertools.pairwise(gone):
                if before[first] == before[second] and where[first] != where[second]:
                    yield f"{first} and {second} are parted: rule {rule.name} keeps them together"


def _bystanders(plan: Plan, state: ClusterState) -> Iterator[str]:
    """A guest of another node may move only to make room, which shows in that another move waits for it."""
    awaited = {each for move in plan.moves for each in move.after}
    bound = [rule.guests for rule in state.rules if rule.enabled and rule.strict and rule.kind is Affinity.TOGETHER]
    for move in plan.moves:
        if move.source == plan.node:
            continue
        with_others = any(move.guest in together and together & awaited for together in bound)
        if move.guest not in awaited and not with_others:
            yield f"{move.guest} is moved off {move.source.name} for no reason: nothing waits for it"
        elif not move.why:
            yield f"{move.guest} is moved off {move.source.name} and the plan does not say why"


def _way_home(
    plan: Plan, state: ClusterState, away: Mapping[GuestId, NodeId], limits: Mapping[NodeId, int]
) -> Iterator[str]:
    """The returns undo the moves, each once, and end where everybody was."""
    out = {move.guest: move for move in plan.moves}
    back = [move.guest for move in plan.returns]
    home = {guest.id: guest.node for guest in state.guests}
    yield from (f"{guest} returns twice" for guest in sorted(set(back)) if back.count(guest) > 1)
    yield from (f"{guest} returns without having left" for guest in sorted(set(back) - out.keys()))
    yield from _staying(plan, out, set(back), away)
    known = [move for move in plan.returns if move.guest in out]
    for move in known:
        yield from _homeward(move, out[move.guest], away, home)
    yield from (f"on the way home {each}" for each in _waits(plan.returns))
    if any(move.target is not None and move.target not in limits for move in known):
        return
    held: dict[NodeId, int] = {}
    for guest in state.guests:
        if guest.status is not GuestStatus.STOPPED and not guest.template:
            held[guest.node] = held.get(guest.node, 0) + guest.ram_bytes
    # A node may hold on the way home what it held before, even where that was above its limit.
    relaxed = {node: max(limit, held.get(node, 0)) for node, limit in limits.items()}
    yield from (f"on the way home, {each}" for each in breaches(known, state, away, relaxed))


def _staying(
    plan: Plan, out: Mapping[GuestId, Move], back: set[GuestId], away: Mapping[GuestId, NodeId]
) -> Iterator[str]:
    """Whoever does not return is named, where it will be, with the reason."""
    named = {stay.guest for stay in plan.stays}
    yield from (f"{guest} does not return" for guest in sorted(out.keys() - back - named))
    for stay in plan.stays:
        if stay.guest in back:
            yield f"{stay.guest} is said to stay, and returns"
        elif stay.guest not in out or away[stay.guest] != stay.node or not stay.why:
            yield f"{stay.guest} is said to stay on {stay.node.name}, which no move or no reason bears out"


def _homeward(move: Move, went: Move, away: Mapping[GuestId, NodeId], home: Mapping[GuestId, NodeId]) -> Iterator[str]:
    if move.kind is not went.kind:
        yield f"{move.guest} left by {went.kind.value} and returns by {move.kind.value}"
    if move.kind is MoveKind.SHUTDOWN:
        return
    if move.source != away[move.guest]:
        yield f"{move.guest} returns from {move.source.name}, but is on {away[move.guest].name}"
    if move.target != home[move.guest]:
        yield f"{move.guest} ends on {move.target.name if move.target else 'no node'}, not at home"


def _gib(size: float) -> str:
    return f"{size / 1024**3:.1f} GiB"
