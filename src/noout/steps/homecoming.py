"""6 · The guests come home in the plan's order; those that were shut down by consent start first: they are dark now."""

from __future__ import annotations

from noout.domain.maintenance import Maintenance, Move, Observation
from noout.steps import canary, checks, cordon, media
from noout.steps.bring_back import start_again
from noout.steps.effects import Reconciler
from noout.steps.evacuate import is_done, next_moves, overdue
from noout.steps.rules import RULES, Rules
from noout.steps.step import Act, Blocked, Decision, Finished, Sight, exhausted
from noout.steps.whereabouts import away, leftovers


class Homecoming(Reconciler):
    name = "return"
    sees: frozenset[Sight] = frozenset({"ceph"})

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        if (action := overdue(self.name, m, seen)) is not None and not exhausted(m, action.key):
            return Act((action,))
        if (decision := cordon.open_again(self.name, m, seen) or start_again(self.name, m, seen)) is not None:
            return decision
        if (decision := canary.watch(self.name, m, seen, self.rules)) is not None:
            return decision
        if blockers := checks.not_as_before(m, seen):
            return Blocked(blockers)
        todo = [move for move in (m.plan.returns if m.plan else ()) if _wanted(move, m, seen)]
        if todo:
            return next_moves(self.name, todo, m, seen, self.rules)
        decision = canary.wait_for_answers(self.name, m, seen) or media.put_back(self.name, m, seen)
        if decision is not None:
            return decision
        if (decision := cordon.stir(self.name, m, seen)) is not None:
            return decision
        return Finished({"leftovers": leftovers(m, seen)})

    def undo(self, m: Maintenance, seen: Observation) -> Decision:
        """Whoever is home stays home, and whoever is away is safe there."""
        return Finished({"leftovers": leftovers(m, seen)})


def _wanted(move: Move, m: Maintenance, seen: Observation) -> bool:
    """A guest we took away, still where we put it, and nobody said it may stay there. (Starts have no target.)"""
    if move.target is None or move.guest not in away(m) or move.guest in m.left_away:
        return False
    return not is_done(move, m, seen)
