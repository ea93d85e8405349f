"""How much must be looked at: while nothing but moves is under way, what these moves concern.

Any other decision than to start the next move, or to wait for those under way, is taken on a whole look; and a move is
started only after a look of its own, in the same step: at its guest where it is, at all guests of its target, at
everybody's place and lock, at the members and their quorum, and at HA where HA is to move it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from noout.domain.cluster import GuestId, Near, NodeId
from noout.domain.maintenance import Action, Maintenance, Pending
from noout.steps.exposure import given_up
from noout.steps.flights import MOVE_VERBS
from noout.steps.step import Decision, Hold

MOVING = frozenset({"evacuate", "return"})  # the steps that move guests
LONG = timedelta(seconds=60)  # after which a move's task is looked for among those that run
RESTS = frozenset({"arrivals", "retry"})  # waits that rest on nothing else


def near(m: Maintenance, step: str, now: datetime) -> Near | None:
    """What a look is confined to, to begin with; None: nothing."""
    plain = m.step == step and step in MOVING and not (m.aborting or m.blockers or m.doubted or m.paused)
    known = "crush_host" in m.facts and m.replan_wanted_at is None and not given_up(m)
    homeward = step == "return"
    begun = bool(m.pending) or any(moved.homeward is homeward for moved in m.moved)
    if not (plain and known and begun) or not all(_is_followed(each) for each in m.pending):
        return None
    return Near(
        flying=frozenset(_guest(each.action) for each in m.pending),
        tasks=frozenset(_place(each.action, "source") for each in m.pending if now - each.since >= LONG),
        ha=any(each.action.verb == "ha-migrate" for each in m.pending),
    )


def _is_followed(pending: Pending) -> bool:
    """A move that was taken up for certain, with a log to read or in the hands of HA."""
    if pending.action.verb not in MOVE_VERBS or not pending.started or pending.unknown:
        return False
    return pending.upid is not None or pending.action.verb == "ha-migrate"


def enough(seen: Near, decision: Decision, chosen: Action | None) -> bool:
    """Whether the decision may rest on this look. ``chosen``: of its effects, the one that would be next."""
    if chosen is None:
        return isinstance(decision, Hold) and decision.code in RESTS
    return chosen.verb in MOVE_VERBS and closer(seen, chosen) == seen


def closer(seen: Near, chosen: Action | None) -> Near | None:
    """What must be looked at for this effect; None: everything."""
    if chosen is None or chosen.verb not in MOVE_VERBS:
        return None
    asked = (_guest(chosen), _place(chosen, "source"))
    places, by_ha = seen.nodes | {_place(chosen, "target")}, seen.ha or chosen.verb == "ha-migrate"
    return replace(seen, guests=seen.guests | {asked}, nodes=places, ha=by_ha, effect=True)


def _guest(action: Action) -> GuestId:
    return GuestId.parse(action.subject)


def _place(action: Action, end: str) -> NodeId:
    return NodeId(_guest(action).cluster, str(action.args[end]))
