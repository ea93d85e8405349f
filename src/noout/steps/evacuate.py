"""1 · Every guest leaves the node, as the plan orders; then HA is told to send it nobody new.

Observed placement decides. A guest is moved only from where the plan has it; one that came later, or that somebody
else moved, makes a new plan. A move that fails three times is planned anew once, then blocks, naming the guest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from noout.domain.cluster import Guest, GuestId, GuestStatus
from noout.domain.maintenance import Action, Maintenance, Move, MoveKind, Observation, Plan
from noout.domain.reasons import Blocker
from noout.plan.release import Flight, startable
from noout.steps import actions, backoff, canary, checks, cordon, locks, media, quiet
from noout.steps.avoid import NO_NEW_PLAN, given_up, nodes_to_avoid, with_target
from noout.steps.bring_back import start_again
from noout.steps.effects import Reconciler
from noout.steps.flights import MOVE_VERBS, in_flight, limit_bytes_s, soonest_s
from noout.steps.guest_effects import CANCELLED, running_move
from noout.steps.room import no_room
from noout.steps.rules import RULES, Rules
from noout.steps.step import (
    Act,
    Ask,
    Blocked,
    Decision,
    Finished,
    Hold,
    Note,
    Sight,
    exhausted,
    is_pending,
    retry_at,
)  # fmt: skip
from noout.steps.whereabouts import not_home

POLL_S = 5.0
NO_END_S = 900.0  # a migration is given ten times its estimate, and at least this, before it is cancelled
MOVABLE = frozenset({"", "running", "paused", "suspended"})  # QEMU's words for a guest with which nothing is wrong
GIVEN_UP = "target.given-up"
WORTH_A_PLAN = frozenset({"target.offline", "target.full", "guest.move-failed"})


class Evacuate(Reconciler):
    name = "evacuate"
    sees: frozenset[Sight] = frozenset({"ceph"})

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        if m.plan is None:
            return Ask("plan", "there is none yet")
        if (action := overdue(self.name, m, seen)) is not None and not exhausted(m, action.key):
            return Act((action,))
        if why := _why_plan_anew(m):
            return Ask("plan", why)
        if (decision := canary.watch(self.name, m, seen, self.rules)) is not None:
            return decision
        if blockers := checks.not_as_before(m, seen):
            return Blocked(blockers)
        if (decision := cordon.calm(self.name, m, seen)) is not None:
            return decision
        todo = [move for move in m.plan.moves if move.kind is not MoveKind.SHUTDOWN and not is_done(move, m, seen)]
        if (note := _another_target(self.name, todo, m, seen)) is not None:
            return note
        if todo:
            return _or_new_plan(next_moves(self.name, todo, m, seen, self.rules), m)
        if (decision := canary.wait_for_answers(self.name, m, seen)) is not None:
            return decision
        if strays := checks.strays(m, seen):
            return Blocked(
                tuple(
                    Blocker(
                        "guest.unplanned", str(guest.id), f"the plan says nothing about {guest.name} ({guest.id})",
                        "move it by hand or shut it down; the run goes on by itself",
                    )
                    for guest in strays
                )
            )  # fmt: skip
        return cordon.close(self.name, m, seen)

    def undo(self, m: Maintenance, seen: Observation) -> Decision:
        """Guests stay where they are safe; those shut down by consent start again where they are."""
        given_back = (
            cordon.open_again(self.name, m, seen)
            or start_again(self.name, m, seen)
            or media.put_back(self.name, m, seen)
            or cordon.wake_again(self.name, m, seen)
            or cordon.stir(self.name, m, seen)
        )
        if given_back is not None:
            return given_back
        return Finished({"guests_away": [str(guest) for guest in not_home(m, seen)]})


def is_done(move: Move, m: Maintenance, seen: Observation) -> bool:
    """By what is seen: the guest is not where the move takes it from (or, for a shutdown, it is down)."""
    guest = seen.cluster.guest(move.guest)
    if guest is None:
        return True
    if any(is_of(pending.action, move.guest) for pending in m.pending):
        return False
    return guest.node != move.source


def is_of(action: Action, guest: GuestId) -> bool:
    return action.verb in MOVE_VERBS and action.subject == str(guest)


@dataclass(slots=True)
class _Sorted:
    """The moves that are left, by what stands in their way."""

    ready: list[tuple[Move, Guest]] = field(default_factory=list)
    stuck: list[Blocker] = field(default_factory=list)
    locked: dict[GuestId, str] = field(default_factory=dict)  # due, and locked
    waits: list[str] = field(default_factory=list)  # for a lock that is not waited for too long yet
    quiet: dict[Move, datetime] = field(default_factory=dict)  # left alone until then, by their customers' wish
    soonest_s: float | None = None  # until a failed one may be tried again


def next_moves(step: str, todo: list[Move], m: Maintenance, seen: Observation, rules: Rules) -> Decision:
    """The moves that may start now, in the plan's order and beside those that are under way; or why none may."""
    flying = in_flight(todo, m, seen)
    if backoff.strain(seen):
        flying = [Flight(each.move) for each in flying]  # nothing is begun before another is over
    found = _sort(step, todo, m, seen, rules)
    if (waits := locks.waits_now(found.locked, m, seen)) != locks.recorded(m):
        return Note(locks.FACT, waits)
    if (said := backoff.note(m, seen)) is not None:
        return said
    ready = dict(canary.may_go(step, found.ready, m, seen))
    streams = backoff.streams(m.plan.streams if m.plan else 1, m, seen, rules)
    if going := startable(ready, flying, streams):
        if (caution := canary.unwatched(todo, m, seen)) is not None:
            return caution
        return Act(tuple(_first_effect(step, move, ready[move], m) for move in going))
    if flying or any(pending.action.verb in ("eject", "insert") for pending in m.pending):
        return Hold("arrivals", "guests to arrive", soonest_s(m, seen, POLL_S))
    if ready and not streams:
        return Hold("slow-ceph", backoff.why(seen), POLL_S, backoff.limit(m, rules))
    if found.ready and (decision := canary.wait_for_answers(step, m, seen)) is not None:
        return decision
    if found.soonest_s is not None:
        return Hold("retry", "a failed move is tried again soon", max(found.soonest_s, 1.0))
    if found.stuck:
        return Blocked(tuple(found.stuck))
    if found.waits:
        return Hold("lock", found.waits[0], POLL_S, locks.limit(found.locked, m, rules))
    if found.quiet:
        return quiet.hold(found.quiet, seen.at)
    return Hold("each-other", "guests wait for each other", POLL_S)


def _sort(step: str, todo: list[Move], m: Maintenance, seen: Observation, rules: Rules) -> _Sorted:
    found = _Sorted()
    unfinished = {move.guest for move in todo}
    for move in todo:
        guest = seen.cluster.guest(move.guest)
        if guest is None or any(concerns(pending.action, move.guest) for pending in m.pending):
            continue
        action = _first_effect(step, move, guest, m)
        again = retry_at(m, action.key)
        if (blocker := _hopeless(step, action, move, guest, m)) is not None:
            found.stuck.append(blocker)
        elif again is not None and seen.at < again:
            wait_s = (again - seen.at).total_seconds()
            found.soonest_s = wait_s if found.soonest_s is None else min(found.soonest_s, wait_s)
        elif any(each in unfinished for each in move.after):
            continue
        elif (free := quiet.may_move_from(move, m, seen.at)) > seen.at:
            found.quiet[move] = free
        elif (lock := locks.lock_of(guest, seen)) is not None:
            found.locked[guest.id] = lock
            if (blocker := locks.too_long(guest, lock, m, seen, rules)) is not None:
                found.stuck.append(blocker)
            else:
                found.waits.append(locks.waiting_for(guest, lock, seen))
        elif (blocker := _not_as_planned(move, guest) or no_room(move, guest, m, seen)) is not None:
            found.stuck.append(blocker)
        else:
            found.ready.append((move, guest))
    return found


def concerns(action: Action, guest: GuestId) -> bool:
    """An effect on this guest, or on one of its drives."""
    return action.subject == str(guest) or action.subject.startswith(f"{guest}:")


def _first_effect(step: str, move: Move, guest: Guest, m: Maintenance) -> Action:
    """What must come first: a local ISO leaves its drive before its guest can leave the node."""
    moved = actions.move(step, move, guest, limit_bytes_s(move, m))
    return next(iter(media.ejects_left(step, move, guest)), None) or moved


def _hopeless(step: str, action: Action, move: Move, guest: Guest, m: Maintenance) -> Blocker | None:
    """A move that is not tried again as it is: it failed too often, or its target was given up."""
    if exhausted(m, action.key):
        return _gave_up(action, m)
    if step != "evacuate" or move.target is None or move.target not in nodes_to_avoid(m, guest):
        return None
    tried = ", ".join(given_up(m).get(str(guest.id), ())) or move.target.name
    because = m.facts.get(NO_NEW_PLAN) or {}
    why = f" ({'; '.join(because.get('because', ()))})" if because else ""
    return Blocker(
        "guest.no-other-target", str(guest.id),
        f"{guest.name} ({guest.id}) could not be moved to {tried}, and no other node can take it{why}",
        "mend the way to one of them, or move it by hand; resume tries all of them again", {"tried": tried},
    )  # fmt: skip


def _not_as_planned(move: Move, guest: Guest) -> Blocker | None:
    """A guest that is neither running, paused nor stopped is a process that must not be moved on a guess."""
    if guest.status is GuestStatus.STOPPED or (guest.alive and guest.qmp_status in MOVABLE):
        return None
    said = f"it is {guest.qmp_status or guest.status.value}"
    if guest.status is GuestStatus.UNKNOWN:
        said = "nobody can say whether it runs"
    return Blocker(
        "guest.not-running", str(guest.id), f"{guest.name} ({guest.id}) is not moved: {said}",
        f"qm resume {guest.id.vmid} on {guest.node.name}, or shut it down; the run goes on by itself",
        {"status": guest.status.value},
    )  # fmt: skip


def _gave_up(action: Action, m: Maintenance) -> Blocker:
    return Blocker(
        "guest.move-failed",
        action.subject,
        f"{action.says}: failed {m.failed[action.key]} times: {m.why_failed.get(action.key, '')}",
        "mend the cause shown, or move it by hand; resume tries again",
    )


def overdue(step: str, m: Maintenance, seen: Observation) -> Action | None:
    """The cancellation of a migration that stands still, or that will never end, HA's own included."""
    for pending in m.pending:
        if pending.action.verb not in MOVE_VERBS:
            continue
        guest = seen.cluster.guest(actions.guest_id(pending.action))
        task = running_move(seen, guest.id) if guest else None
        if guest is None or task is None or not pending.upid or task.upid != pending.upid:
            continue
        limit_s = max(NO_END_S, 10 * float(pending.action.args.get("expected_s") or 0))
        late = (seen.at - pending.since).total_seconds() > limit_s
        if guest.id in seen.stalled or late:
            action = actions.cancel(step, guest, task.upid, "it takes far too long" if late else "it stands still")
            if not is_pending(m, action.key):
                return action
    return None


def _another_target(step: str, todo: list[Move], m: Maintenance, seen: Observation) -> Note | None:
    """A migration that we cancelled is not tried again on the same way: its target is given up, and a new plan wanted.

    Asked for once: where no plan can do without that target, the old one goes on for all the others.
    """
    reasons = []
    for move in todo:
        guest = seen.cluster.guest(move.guest)
        if guest is None or move.target is None or any(concerns(each.action, move.guest) for each in m.pending):
            continue
        avoided = move.target in nodes_to_avoid(m, guest)
        if not avoided and m.why_failed.get(actions.move(step, move, guest).key, "").startswith(CANCELLED):
            return Note("avoid", with_target(m, move))
        if avoided:
            reasons.append(f"{GIVEN_UP} {move.guest} {move.target.name}")
    asked = (m.facts.get(NO_NEW_PLAN) or {}).get("why", [])
    return Note("replan", reasons) if set(reasons) - set(asked) else None


def without_a_new_plan(m: Maintenance, refused: Plan) -> Note | None:
    """When a plan was wanted only to do without a target, and there is none: the old one goes on without that guest."""
    why = m.facts.get("replan_why")
    if not isinstance(why, list) or not all(str(each).startswith(GIVEN_UP) for each in why):
        return None
    because = [blocker.message for blocker in refused.blockers]
    return Note(NO_NEW_PLAN, {"why": why, "because": because})


def _or_new_plan(decision: Decision, m: Maintenance) -> Decision:
    """What stops a move (its target went away or filled up, it failed too often) is a reason for one new plan."""
    if isinstance(decision, Blocked):
        reasons = [f"{each.code} {each.subject}" for each in decision.blockers if each.code in WORTH_A_PLAN]
        if reasons and m.facts.get("replan_why") != reasons:
            return Note("replan", reasons)
    return decision


def _why_plan_anew(m: Maintenance) -> str:
    """What was recorded since the plan was made and is not in it; "" when nothing."""
    if m.replan_wanted_at is None:
        return ""
    why = m.facts.get("replan_why") or "something happened that the plan does not know"
    return ", ".join(str(each) for each in why) if isinstance(why, list) else str(why)
