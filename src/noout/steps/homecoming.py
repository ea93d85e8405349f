"""6 · The guests come home in the plan's order; those that were shut down by consent start first: they are dark now."""

from __future__ import annotations

from noout.domain.maintenance import Maintenance, Move, Observation
from noout.steps import checks
from noout.steps.effects import Reconciler
from noout.steps.evacuate import away, is_done, next_moves, overdue, start_again
from noout.steps.step import Act, Blocked, Decision, Finished, Sight, exhausted


class Homecoming(Reconciler):
    name = "return"
    sees: frozenset[Sight] = frozenset()

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        if (action := overdue(self.name, m, seen)) is not None and not exhausted(m, action.key):
            return Act((action,))
        if (decision := start_again(self.name, m, seen)) is not None:
            return decision
        if blockers := checks.silent_guests(m, seen):
            return Blocked(blockers)
        todo = [move for move in (m.plan.returns if m.plan else ()) if _wanted(move, m, seen)]
        if todo:
            return next_moves(self.name, todo, m, seen, m.plan.streams if m.plan else 1)
        home = [str(guest) for guest in sorted(away(m)) if _is_home(guest, m, seen)]
        left = [str(guest) for guest in sorted(away(m)) if not _is_home(guest, m, seen)]
        return Finished({"home_by_others": home, "leftovers": left})

    def undo(self, m: Maintenance, seen: Observation) -> Decision:
        return Finished({"leftovers": [str(guest) for guest in sorted(away(m))]})


def _wanted(move: Move, m: Maintenance, seen: Observation) -> bool:
    """A guest we took away, still where we put it, and nobody said it may stay there."""
    return move.guest in away(m) and move.guest not in m.left_away and not is_done(move, m, seen)


def _is_home(guest: object, m: Maintenance, seen: Observation) -> bool:
    return any(each.id == guest for each in seen.cluster.guests_on(m.node))
