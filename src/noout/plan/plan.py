"""One node's plan: who leaves where and when, how all come home, what stands in the way, and what it will cost."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, Guest, GuestId, NodeId
from noout.domain.customers import quiet_hours
from noout.domain.maintenance import Move, MoveKind, Plan
from noout.domain.reasons import Blocker, Caution
from noout.plan import network, own, quiet
from noout.plan.capacity import CrushHost, limits_bytes, own_name
from noout.plan.choice import Choice, choose_targets
from noout.plan.forecast import forecast, mirrored
from noout.plan.groups import away_from, shared_parts
from noout.plan.layout import Unit
from noout.plan.lint import lint
from noout.plan.loads import loads, no_spare, tight
from noout.plan.movability import WayOut, may_be_shut_down
from noout.plan.policy import Policy
from noout.plan.returns import unwanted, way_home
from noout.plan.safety import safety
from noout.plan.sanity import contradicted, contradictions, refuse_malformed
from noout.plan.schedule import Ground, in_order, with_dependencies
from noout.plan.shortage import Shortage
from noout.plan.targets import Filter
from noout.plan.times import bound_and_estimate, timed
from noout.plan.units import Units
from noout.plan.volumes import title

DEFAULT = Policy()


@dataclass(frozen=True, slots=True)
class _Task:
    """What all the parts of one planning look at."""

    state: ClusterState
    node: NodeId
    policy: Policy
    ground: Ground
    guests: Mapping[GuestId, Guest]
    here: frozenset[GuestId]  # on the node to be emptied
    late: frozenset[GuestId] = frozenset()  # guests held by something that passes


def _task(
    state: ClusterState, node: NodeId, policy: Policy, limits: Mapping[NodeId, int], outs: Sequence[WayOut]
) -> _Task:
    guests = {guest.id: guest for guest in state.guests}
    ground = Ground(state, {each: guest.node for each, guest in guests.items()}, limits)
    here = frozenset(guest.id for guest in state.guests_on(node))
    return _Task(state, node, policy, ground, guests, here, frozenset(o.guest.id for o in outs if o.late))


def make_plan(
    state: ClusterState,
    ceph: CephState | None,
    node: NodeId,
    *,
    now: datetime,
    policy: Policy = DEFAULT,
    parent: Plan | None = None,
    crush_host: CrushHost = own_name,
    avoid: Mapping[GuestId, frozenset[NodeId]] = MappingProxyType({}),
    prefer: frozenset[NodeId] = frozenset(),
    staying: Callable[[Sequence[Move]], Mapping[GuestId, str]] = lambda moves: {},
) -> Plan:
    """Plan the evacuation of ``node`` and the way home. ``crush_host``: where each node's OSDs are in Ceph's map.
    ``avoid``: nodes to which a guest is not to be sent any more. ``prefer``: nodes to take before any other, as far
    as rules and room allow. ``staying``: of the moves found, whose guests are not to come home, and why.

    Deterministic in its arguments. A state that cannot be true raises UsageError; whatever forbids the maintenance
    is a blocker of the plan, and the moves that would be possible are still shown. Times by the model in
    ``schedule``; the lower bound is max(bytes to copy / what the node can send + set-up, longest single migration).
    """
    refuse_malformed(state, node, now)
    if parent is not None:  # what was agreed to when it began holds as long as it lasts
        policy = replace(policy, consents=policy.consents | frozenset(parent.consents))
    unknown, asked = own.unknown(state, policy), policy
    reasons = (*safety(state, ceph, node, crush_host), *contradictions(state))
    prefer = away_from(node, prefer, (each.id for each in state.nodes), policy.parts)
    limits = limits_bytes(state, ceph, policy, crush_host)
    draft = _draft(state, node, network.settled(policy, state, ceph), limits, avoid, prefer)
    task, choice, outs, units, moves, stuck = (
        draft.task, draft.choice, draft.outs, draft.units, draft.moves, draft.stuck
    )  # fmt: skip
    policy, mine = task.policy, task.policy.noout_guests
    carried = loads(state, moves, policy, ceph, crush_host)
    survives = draft.survives
    home = way_home(state, moves, limits, policy, staying(moves))
    shortage = Shortage(choice, outs, units, limits, policy)
    blockers = [*unknown, *_in_the_way(reasons, outs), *(shortage.blocker(unit) for unit in stuck)]
    cautions = [*_known(reasons, outs), *_cautions(task, moves), *unwanted(home.stays), *tight(carried, node, policy)]
    cautions += [no_spare(choice, node, state.name)] if survives is False else []
    cautions += quiet.cautions(moves, now)
    cautions += _on_the_network(network.caution(asked, state, ceph), moves)
    bound, estimate = bound_and_estimate(moves, node, task.guests, policy)
    plan = Plan(
        id="",
        node=node,
        made_at=now,
        observed_at=state.at,
        streams=policy.parallel,
        moves=timed(moves, policy),
        returns=timed(home.moves, policy),
        blockers=tuple(blockers),
        cautions=tuple(cautions),
        loads=carried,
        lower_bound_s=bound,
        estimate_s=estimate,
        survives_another_node=survives,
        parent=parent.id if parent else None,
        consents=tuple(sorted(policy.consents)),
        noout_guests=tuple(sorted(mine)),
        stays=home.stays,
        lead_s=policy.setup_s,
        stream_bytes_s=policy.stream_bytes_s if policy.shared is not False else 0.0,
    )
    return _checked(replace(plan, id=_identity(plan)), state, policy, ceph, crush_host)


@dataclass(frozen=True, slots=True)
class Sketch:
    """What it costs to empty a node: ``moving_s`` as expected; ``survives``: one node more could be lost then."""

    moves: int
    wire_bytes: int
    moving_s: float
    survives: bool


def sketch(
    state: ClusterState, ceph: CephState | None, node: NodeId, policy: Policy, crush_host: CrushHost = own_name
) -> Sketch:
    """The way out that ``make_plan`` would take and N+1 after it, and nothing else: to compare with, not to carry
    out. Targets are not exchanged for the sake of balance."""
    limits = limits_bytes(state, ceph, policy, crush_host)
    prefer = away_from(node, frozenset(), (each.id for each in state.nodes), policy.parts)
    draft = _draft(state, node, network.settled(policy, state, ceph), limits, prefer=prefer, balance=False)
    going = [move for move in draft.moves if move.target is not None]
    _, estimate_s = bound_and_estimate(draft.moves, node, draft.task.guests, draft.task.policy)
    sent = sum(move.wire_bytes or move.ram_bytes for move in going)
    return Sketch(len(going), sent, estimate_s[0], draft.survives is True)


@dataclass(frozen=True, slots=True)
class _Draft:
    """The way out. ``stuck`` finds no room; ``survives`` is None where there are such."""

    task: _Task
    outs: Sequence[WayOut]
    units: Units
    choice: Choice
    moves: Sequence[Move]
    stuck: tuple[Unit, ...]

    @property
    def survives(self) -> bool | None:
        return self.choice.survives() if not self.stuck else None


def _draft(
    state: ClusterState,
    node: NodeId,
    policy: Policy,
    limits: Mapping[NodeId, int],
    avoid: Mapping[GuestId, frozenset[NodeId]] = MappingProxyType({}),
    prefer: frozenset[NodeId] = frozenset(),
    *,
    balance: bool = True,
) -> _Draft:
    """``policy``: with the network as it was observed."""
    policy = replace(policy, noout_guests=own.own_guests(state, policy))
    torn = contradicted(state)
    here = sorted((g for g in state.guests_on(node) if g.id not in torn), key=lambda g: g.id)
    outs = [own.way_out(guest, state, policy) for guest in here]
    task = _task(state, node, policy, limits, outs)
    units = Units(state, filter := Filter(state, node, avoid, policy), policy, prefer)
    choice = choose_targets(outs, units, limits, balance=balance)
    stopped = tuple(u for u in choice.left_over if all(may_be_shut_down(g, policy) for g in u.guests))
    stuck = tuple(u for u in choice.left_over if u not in stopped)
    moves = [*_moves(task, choice, filter), *_shutdowns(task, outs, stopped)]
    return _Draft(task, outs, units, choice, moves, stuck)


def _checked(plan: Plan, state: ClusterState, policy: Policy, ceph: CephState | None, crush_host: CrushHost) -> Plan:
    """No plan leaves unchecked: what the replay finds wrong with it is a blocker, never carried out."""
    wrong = tuple(
        Blocker("plan.unsound", str(plan.node), sentence, "this is a fault of the planner: please report it")
        for sentence in lint(plan, state, policy, ceph, crush_host)
    )
    return replace(plan, blockers=(*plan.blockers, *wrong)) if wrong else plan


def _moves(task: _Task, choice: Choice, filter: Filter) -> list[Move]:
    """The placement as moves, in their final order."""
    moves = _executable(task, choice.order)
    assert moves is not None, "a layout's own order is executable"
    before = {move.guest: set(move.after) for move in moves}
    for node in {move.source for move in moves if move.source != task.node}:
        arrivals = [move.guest for move in moves if move.target == node]
        for earlier, later in itertools.pairwise(arrivals):
            before[later].add(earlier)
    mine = task.policy.noout_guests
    better = with_dependencies(own.last(in_order(moves, before, task.late), mine), task.ground)
    better = better or with_dependencies(own.last(moves, mine), task.ground)
    found = own.waiting(_explained(task, better or moves), mine, task.here)
    return [
        replace(
            move, failback_off=move.target is not None and filter.fetched_back(task.guests[move.guest], move.target)
        )
        for move in found
    ]


def _executable(task: _Task, order: Sequence[tuple[Unit, NodeId]]) -> list[Move] | None:
    moves = [_move(task, unit, guest, node) for unit, node in order for guest in unit.guests]
    return with_dependencies(moves, task.ground)


def _move(task: _Task, unit: Unit, guest: Guest, target: NodeId) -> Move:
    out = own.way_out(guest, task.state, task.policy)
    kind = out.kind or MoveKind.LIVE
    expected = forecast(guest, kind, task.policy)
    return Move(
        guest=guest.id,
        name=guest.name,
        kind=kind,
        source=guest.node,
        target=target,
        ram_bytes=guest.ram_bytes,
        ha=guest.ha is not None,
        with_local_disks=bool(guest.local_disks),
        target_storage=unit.allowed[target],
        expected_s=expected.expected_s,
        expected_blackout_ms=expected.blackout_ms,
        wire_bytes=expected.wire_bytes,
        alone=expected.alone,
        throttled=expected.throttled,
        mirrors=mirrored(guest, target, unit.allowed[target]),
        why=f"{title(guest)} {out.why}",
        ejects=out.ejects,
        quiet=quiet_hours(task.policy.customers, guest),
        with_conntrack=kind is MoveKind.LIVE and guest.ha is None and guest.firewalled and _knows_conntrack(task.state),
    )


def _knows_conntrack(state: ClusterState) -> bool:
    """Whether this version's migration has ``with-conntrack-state``: seen in the schema of PVE 9.2."""
    major, _, rest = state.version.partition(".")
    minor = rest.partition(".")[0]
    return major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= (9, 2)


def _explained(task: _Task, moves: Sequence[Move]) -> list[Move]:
    """Say for which guest each third party steps aside."""
    result = []
    for move in moves:
        if move.source != task.node:
            waiting = [each.name or str(each.guest) for each in moves if move.guest in each.after]
            whom = ", ".join(waiting) or "the guests it is kept together with"
            move = replace(move, why=f"{move.name or move.guest} steps aside on {move.source.name}: room for {whom}")
        result.append(move)
    return result


def _shutdowns(task: _Task, outs: Sequence[WayOut], stopped: Sequence[Unit]) -> list[Move]:
    """Guests that stay and are shut down by consent, last of all."""
    why = {out.guest.id: f"{title(out.guest)} {out.why}" for out in outs if out.kind is MoveKind.SHUTDOWN}
    for guest in (guest for unit in stopped for guest in unit.guests):
        why[guest.id] = f"{title(guest)} finds no room elsewhere: shut down by consent, stays here"
    guests, policy = [task.guests[each] for each in why], task.policy
    return [
        Move(
            guest=guest.id,
            name=guest.name,
            kind=MoveKind.SHUTDOWN,
            source=task.node,
            target=None,
            ram_bytes=guest.ram_bytes,
            ha=guest.ha is not None,
            expected_s=forecast(guest, MoveKind.SHUTDOWN, policy).expected_s,
            expected_blackout_ms=forecast(guest, MoveKind.SHUTDOWN, policy).blackout_ms,
            why=why[guest.id],
            quiet=quiet_hours(policy.customers, guest),
        )
        for guest in sorted(guests, key=lambda g: g.id)
    ]


def _on_the_network(said: Caution | None, moves: Sequence[Move]) -> list[Caution]:
    return [said] if said is not None and any(move.wire_bytes for move in moves) else []


def _in_the_way(reasons: Sequence[Blocker | Caution], outs: Sequence[WayOut]) -> list[Blocker]:
    found = [reason for reason in reasons if isinstance(reason, Blocker)]
    return found + [blocker for out in outs for blocker in out.blockers]


def _known(reasons: Sequence[Blocker | Caution], outs: Sequence[WayOut]) -> list[Caution]:
    """What was to be said before anything was placed."""
    found = [reason for reason in reasons if isinstance(reason, Caution)]
    return found + [caution for out in outs for caution in out.cautions]


def _cautions(task: _Task, moves: Sequence[Move]) -> list[Caution]:
    found: list[Caution] = []
    policy = task.policy
    found += [own.caution(move) for move in moves if move.guest in policy.noout_guests]
    found += shared_parts(task.node, (move.target for move in moves if move.source == task.node), policy.parts)
    for move in moves:
        name, subject = move.name or str(move.guest), str(move.guest)
        if move.failback_off:
            said = f"HA would fetch {name} back at once: its failback is switched off while it is away, and put back"
            found.append(Caution("guest.failback", subject, said))
        if move.kind is MoveKind.RELOCATE:
            said = f"{name} restarts when it moves, there and back: about {move.expected_blackout_ms / 1000:.0f} s each"
            found.append(Caution("guest.restarts", subject, said, "its owner agreed; tell them the time"))
        elif move.kind is MoveKind.SHUTDOWN:
            said = f"{name} is down during the repair: about {policy.repair_s / 60:.0f} min is assumed"
            found.append(Caution("guest.down", subject, said, "its owner agreed; tell them the time"))
        guest = task.guests.get(move.guest)
        if move.with_local_disks and guest and not guest.replicas:
            said = f"{name} takes its local disks along: they are copied there and back"
            found.append(Caution("guest.local-disks", subject, said))
        if move.throttled:
            said = f"{name} rewrites its memory nearly as fast as it can be sent: it is slowed down while it moves"
            found.append(Caution("guest.hot", subject, said, "move it in a quiet hour"))
    found += [each for each in (_unknown_networks(task, moves), _firewalled(task, moves)) if each is not None]
    return found


def _unknown_networks(task: _Task, moves: Sequence[Move]) -> Caution | None:
    """Networks of which nobody could say whether the targets have them."""
    guests = [task.guests.get(move.guest) for move in moves if move.target is not None]
    bridges = {node.id: node.bridges for node in task.state.nodes}
    unknown = {bridge for guest in guests if guest for bridge in guest.bridges if bridge not in bridges[guest.node]}
    if not unknown:
        return None
    names = ", ".join(sorted(unknown))
    said = f"it was not seen which nodes have the networks {names}"
    remedy = "let noout's role read them (SDN.Audit on /sdn/zones), or look at the targets: ip -br link"
    return Caution("guest.network-unknown", str(task.node), said, remedy, {"networks": names})


def _firewalled(task: _Task, moves: Sequence[Move]) -> Caution | None:
    """Guests whose open connections the target's firewall may drop, as it has not seen them begin."""
    live = {move.guest: move for move in moves if move.kind is MoveKind.LIVE}
    behind = [guest for guest in sorted((task.guests[each] for each in live), key=lambda g: g.id) if guest.firewalled]
    if not behind:
        return None
    said = "behind the PVE firewall: " + ", ".join(f"{guest.name} ({guest.id})" for guest in behind)
    said += ": open connections may be dropped when they move"
    without = ", ".join(str(guest.id) for guest in behind if not live[guest.id].with_conntrack)
    how = "move them in a quiet hour"
    if any(live[guest.id].with_conntrack for guest in behind):
        how = "PVE is asked to take the table of connections along (with-conntrack-state)"
        how += f", which it cannot be asked for {without}" if without else ""
    guests = ", ".join(str(guest.id) for guest in behind)
    return Caution("guest.firewall", str(task.node), said, how, {"guests": guests, "without_table": without})


def _identity(plan: Plan) -> str:
    """The same plan made at the same moment has the same id."""
    told = [(str(m.guest), m.kind.value, str(m.source), str(m.target)) for m in (*plan.moves, *plan.returns)]
    text = json.dumps([str(plan.node), plan.made_at.isoformat(), plan.observed_at.isoformat(), plan.parent, told])
    return "plan-" + hashlib.sha256(text.encode()).hexdigest()[:12]
