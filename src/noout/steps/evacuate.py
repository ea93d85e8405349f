"""1 · Every guest leaves the node, as the plan orders; then HA is told to send it nobody new.

Observed placement decides. A guest is moved only from where the plan has it; one that came later, or that somebody
else moved, makes a new plan. A move that fails three times is planned anew once, then blocks, naming the guest.
"""

from __future__ import annotations

from noout.domain.cluster import Guest, GuestId, GuestStatus
from noout.domain.maintenance import Action, Maintenance, Move, MoveKind, Observation
from noout.domain.reasons import Blocker
from noout.steps import actions, checks, cordon
from noout.steps.bring_back import start_again
from noout.steps.effects import Reconciler
from noout.steps.guest_effects import running_move
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
MOVE_VERBS = frozenset({"migrate", "ha-migrate"})


class Evacuate(Reconciler):
    name = "evacuate"
    sees: frozenset[Sight] = frozenset()

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        if m.plan is None:
            return Ask("plan", "there is none yet")
        if (action := overdue(self.name, m, seen)) is not None and not exhausted(m, action.key):
            return Act((action,))
        if why := _why_plan_anew(m):
            return Ask("plan", why)
        if blockers := checks.silent_guests(m, seen):
            return Blocked(blockers)
        if (decision := cordon.calm(self.name, m, seen)) is not None:
            return decision
        todo = [move for move in m.plan.moves if move.kind is not MoveKind.SHUTDOWN and not is_done(move, m, seen)]
        if todo:
            return _or_new_plan(next_moves(self.name, todo, m, seen, m.plan.streams), m)
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


def next_moves(step: str, todo: list[Move], m: Maintenance, seen: Observation, streams: int) -> Decision:
    """The moves that may start now, in the plan's order; or why none may."""
    flying = [pending for pending in m.pending if pending.action.verb in MOVE_VERBS]
    ha_busy = any(pending.action.verb == "ha-migrate" for pending in flying)  # HA guests go one at a time
    ready: list[Action] = []
    stuck: list[Blocker] = []
    soonest: float | None = None
    unfinished = {move.guest for move in todo}
    for move in todo:
        guest = seen.cluster.guest(move.guest)
        if guest is None or any(is_of(pending.action, move.guest) for pending in m.pending):
            continue
        action = actions.move(step, move, guest)
        if exhausted(m, action.key):
            stuck.append(_gave_up(action, m))
        elif (again := retry_at(m, action.key)) is not None and seen.at < again:
            wait = (again - seen.at).total_seconds()
            soonest = wait if soonest is None else min(soonest, wait)
        elif any(each in unfinished for each in move.after) or (action.verb == "ha-migrate" and ha_busy):
            continue
        elif (blocker := _no_room(move, guest, m, seen)) is not None:
            stuck.append(blocker)
        else:
            ready.append(action)
    if ready and len(flying) < streams:
        return Act(tuple(ready))
    if flying:
        return Hold("guests to arrive", POLL_S)
    if soonest is not None:
        return Hold("a failed move is tried again soon", max(soonest, 1.0), "time")
    return Blocked(tuple(stuck)) if stuck else Hold("guests wait for each other", POLL_S)


def _gave_up(action: Action, m: Maintenance) -> Blocker:
    return Blocker(
        "guest.move-failed",
        action.subject,
        f"{action.says}: failed {m.failed[action.key]} times: {m.why_failed.get(action.key, '')}",
        "mend the cause shown, or move it by hand; resume tries again",
    )


def _no_room(move: Move, guest: Guest, m: Maintenance, seen: Observation) -> Blocker | None:
    """The target must be online and hold the guest's RAM on top of what runs there or is on its way there, now."""
    if move.target is None:
        return None
    node = seen.cluster.node(move.target)
    if node is None or not node.online:
        return Blocker(
            "target.offline", str(move.guest), f"{move.target.name}, where {move.name} should go, is not online",
            "bring it back, or resume for a new plan",
        )  # fmt: skip
    if not guest.running or m.plan is None:
        return None
    load = next((each for each in m.plan.loads if each.node == move.target), None)
    # As in the plan: all but the reserve; yet a node may hold again what it held before anything moved.
    limit = max(node.ram_bytes - load.reserve_bytes, load.before_bytes) if load else node.ram_bytes
    coming = sum(
        other.ram_bytes
        for pending in m.pending
        if pending.action.args.get("target") == node.id.name
        and (other := seen.cluster.guest(GuestId.parse(pending.action.subject))) is not None
        and other.node != node.id
    )
    here = [other for other in seen.cluster.guests_on(node.id) if other.status is not GuestStatus.STOPPED]
    short = sum(other.ram_bytes for other in here if not other.template) + coming + guest.ram_bytes - limit
    if short > 0:
        return Blocker(
            "target.full", str(move.guest),
            f"{move.name} does not fit on {node.id.name} any more: {short / actions.GIB:.1f} GiB short",
            "make room there, or resume for a new plan",
        )  # fmt: skip
    return None


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


def _or_new_plan(decision: Decision, m: Maintenance) -> Decision:
    """What stops a move (its target went away or filled up, it failed too often) is a reason for one new plan."""
    if isinstance(decision, Blocked):
        reasons = [f"{each.code} {each.subject}" for each in decision.blockers]
        if m.facts.get("replan_why") != reasons:
            return Note("replan", reasons)
    return decision


def _why_plan_anew(m: Maintenance) -> str:
    """What was recorded since the plan was made and is not in it; "" when nothing."""
    if m.replan_wanted_at is None:
        return ""
    why = m.facts.get("replan_why") or "something happened that the plan does not know"
    return ", ".join(str(each) for each in why) if isinstance(why, list) else str(why)
