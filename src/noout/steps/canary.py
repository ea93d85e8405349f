"""The first guest that goes to a target over a network is watched there before the next one follows.

PVE calls a migration well whose guest nobody can reach any more. So its service must have answered after its arrival;
one that falls silent where it was moved goes back to where it answered (or waits for a person, by policy), and nobody
else is sent that way. Guests whose service nobody asks cannot be watched: those that can go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from noout.domain.cluster import Guest, GuestId, NodeId
from noout.domain.maintenance import Action, Json, Maintenance, Moved, Observation
from noout.domain.maintenance import Move as PlannedMove
from noout.domain.reasons import Blocker, Caution
from noout.steps import actions, checks
from noout.steps.avoid import suspects
from noout.steps.flights import limit_bytes_s
from noout.steps.rules import Rules
from noout.steps.step import Blocked, Decision, Hold, Note, attempt, exhausted, is_pending, warn_once

ANSWER_S = 120.0  # neither heard nor called silent for so long: the prober itself is in trouble
POLL_S = 2.0
HOMEWARD = "return"  # the step whose moves go home

Way = tuple[NodeId, str]  # target and network


@dataclass(frozen=True, slots=True)
class Arrival:
    """A guest where this step's move has put it."""

    moved: Moved
    guest: Guest

    @property
    def ways(self) -> frozenset[Way]:
        return ways(self.guest, self.guest.node)


def ways(guest: Guest, target: NodeId) -> frozenset[Way]:
    return frozenset((target, bridge) for bridge in guest.bridges)


def arrivals(step: str, m: Maintenance, seen: Observation) -> list[Arrival]:
    """Guests whose last move was this step's, and that run where it put them."""
    last = {moved.guest: moved for moved in m.moved}
    found = []
    for moved in last.values():
        guest = seen.cluster.guest(moved.guest)
        if guest is None or moved.target is None or moved.homeward is not (step == HOMEWARD):
            continue
        if guest.node == moved.target and guest.running:
            found.append(Arrival(moved, guest))
    return found


def is_watched(guest: GuestId, seen: Observation) -> bool:
    """Its service is asked and has answered: only then does its silence, or its answer, mean anything."""
    return seen.answered.get(guest) is not None


def has_answered(each: Arrival, m: Maintenance, seen: Observation) -> bool:
    at = seen.answered.get(each.guest.id)
    return (at is not None and at > each.moved.finished) or each.guest.id in m.silence_accepted


def unproven(step: str, m: Maintenance, seen: Observation) -> list[Arrival]:
    """Guests that arrived and whose service has not been heard since."""
    return [
        each
        for each in arrivals(step, m, seen)
        if is_watched(each.guest.id, seen) and not has_answered(each, m, seen)
    ]  # fmt: skip


# --- who may follow --------------------------------------------------------------------------------------------


def may_go(
    step: str, ready: Sequence[tuple[PlannedMove, Guest]], m: Maintenance, seen: Observation
) -> list[tuple[PlannedMove, Guest]]:
    """Of the moves that are ready, those that need not wait for a canary."""
    arrived = arrivals(step, m, seen)
    proven: set[Way] = set()
    for each in arrived:
        proven |= each.ways if is_watched(each.guest.id, seen) and has_answered(each, m, seen) else set()
    tested: set[Way] = set()
    for each in arrived:
        tested |= each.ways if is_watched(each.guest.id, seen) and not has_answered(each, m, seen) else set()
    tested |= _on_their_way(m, seen)
    watchable = {way for move, guest in ready if is_watched(guest.id, seen) for way in _needed(move, guest)}
    found = []
    for move, guest in ready:
        open_ways = _needed(move, guest) - proven
        unwatched = not is_watched(guest.id, seen)
        if open_ways & tested or (unwatched and open_ways & watchable):
            continue
        found.append((move, guest))
    return found


def _needed(move: PlannedMove, guest: Guest) -> frozenset[Way]:
    """The ways on which this move must be, or have, a canary: none for a guest that is down."""
    return ways(guest, move.target) if move.target is not None and guest.running else frozenset()


def _on_their_way(m: Maintenance, seen: Observation) -> set[Way]:
    found: set[Way] = set()
    for pending in m.pending:
        target = pending.action.args.get("target")
        if pending.action.verb not in ("migrate", "ha-migrate") or not target:
            continue
        guest = seen.cluster.guest(actions.guest_id(pending.action))
        if guest is not None and is_watched(guest.id, seen):
            found |= ways(guest, NodeId(m.node.cluster, str(target)))
    return found


def unwatched(moves: Iterable[PlannedMove], m: Maintenance, seen: Observation) -> Note | None:
    """Said once: for each target to which no guest goes whose service is asked; for all at once where none is asked."""
    asked: dict[NodeId, bool] = {}
    for move in moves:
        guest = seen.cluster.guest(move.guest)
        if move.target is not None and guest is not None and guest.running:
            asked[move.target] = asked.get(move.target, False) or move.guest in seen.answered
    if not seen.answered:
        asked = {m.node: False}
    for place, somebody in asked.items():
        if not somebody:
            said = f"nobody watches {place.name}: no guest that goes there has a probe"
            said = said if seen.answered else "nobody watches the guests: none of them has a probe"
            remedy = "probe one of them ([probes.services]): it then goes first, the others when it answers"
            if (note := warn_once(m, Caution("canary.nobody", str(place), said, remedy))) is not None:
                return note
    return None


# --- what becomes of one that does not answer --------------------------------------------------------------------


def watch(step: str, m: Maintenance, seen: Observation, rules: Rules) -> Decision | None:
    """What the guests that have arrived call for before anything else moves; None: go on."""
    if rules.canary == "return" and (decision := _back(step, m, seen)) is not None:
        return decision
    if silent := checks.silent_guests(m, seen):
        return Blocked(silent)
    return Blocked(tuple(found)) if (found := _suspicions(step, m, seen)) else None


def wait_for_answers(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Until everybody whose service is asked has answered where it is now; None when all have."""
    waiting = unproven(step, m, seen)
    if not waiting:
        return None
    late = [each for each in waiting if (seen.at - each.moved.finished).total_seconds() > ANSWER_S]
    if late:
        return Blocked(tuple(_no_word(each) for each in late))
    first = waiting[0].guest
    return Hold("answer", f"the service of {first.name} ({first.id}) to answer on {first.node.name}", POLL_S)


def _no_word(each: Arrival) -> Blocker:
    guest = each.guest
    return Blocker(
        "canary.no-answer", str(guest.id),
        f"nobody knows whether {guest.name} ({guest.id}) answers on {guest.node.name}: the prober has not heard it",
        "see that the prober works and reaches it; the run goes on when it answers, or when you resume the run",
    )  # fmt: skip


def _back(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """The way back of a guest that has not answered since it arrived; None when nobody is to go back, or can."""
    for each in arrivals(step, m, seen):
        guest = each.guest
        action = _way_back(step, each, m)
        if is_pending(m, action.key):
            return Hold("arrivals", f"{guest.name} ({guest.id}) to be back on {each.moved.source.name}", POLL_S)
        if guest.id not in seen.silent - m.silence_accepted or has_answered(each, m, seen):
            continue
        if checks.is_starting(each.moved, seen.at) or not is_watched(guest.id, seen):
            continue
        source = seen.cluster.node(each.moved.source)
        if source is None or not source.online or guest.lock or exhausted(m, action.key):
            continue
        if not any(_same(known, each) for known in suspects(m)):
            return Note("suspects", [*suspects(m), _suspect(each)])
        return attempt(m, seen, action, code="guest.silent", remedy="move it back by hand, then resume")
    return None


def _way_back(step: str, each: Arrival, m: Maintenance) -> Action:
    """The move undone, as the plan's own way in the other direction says where it says something."""
    moved, guest = each.moved, each.guest
    other = (m.plan.moves if step == HOMEWARD else m.plan.returns) if m.plan else ()
    planned = next((move for move in other if move.guest == guest.id and move.target is not None), None)
    base = planned or PlannedMove(guest.id, moved.name, moved.kind, guest.node, moved.source, guest.ram_bytes)
    local = bool(guest.local_disks)
    move = replace(
        base, source=guest.node, target=moved.source, ha=guest.ha is not None, with_local_disks=local, after=(),
        target_storage=base.target_storage if local else None, ejects=(),
    )  # fmt: skip
    action = actions.move(step, move, guest, limit_bytes_s(move, m))
    says = f"{action.says} again: its service does not answer on {guest.node.name}"
    return replace(action, says=says, args={**action.args, "homeward": not moved.homeward})


def _suspect(each: Arrival) -> dict[str, Json]:
    return {
        "guest": str(each.guest.id),
        "name": each.guest.name,
        "target": each.guest.node.name,
        "networks": sorted(each.guest.bridges),
        "moved": each.moved.started.isoformat(),
        "accepted": False,
    }


def _same(known: Mapping[str, Json], each: Arrival) -> bool:
    return (known["guest"], known["moved"]) == (str(each.guest.id), each.moved.started.isoformat())


def _suspicions(step: str, m: Maintenance, seen: Observation) -> list[Blocker]:
    """Where a guest did not answer: a person looks before anybody else is sent there."""
    here = arrivals(step, m, seen)
    found = []
    for known in suspects(m):
        still = next((each for each in here if _same(known, each)), None)
        if known.get("accepted") or (still is not None and has_answered(still, m, seen)):
            continue
        guest = seen.cluster.guest(GuestId.parse(str(known["guest"])))
        where = f", it is on {guest.node.name} now" if guest is not None and still is None else ""
        over = " and ".join(known["networks"]) or "its network"
        way = f"{known['target']} over {over}"
        then = "tries it again" if step == HOMEWARD else "sends nobody there any more"
        found.append(
            Blocker(
                "canary.failed", f"{m.node.cluster}/{known['target']}",
                f"{known['name']} ({known['guest']}) did not answer on {known['target']}{where}: "
                f"nobody else is sent to {way}",
                f"look at {over} on {known['target']}; resume the run when you know: it {then}",
                {"guest": str(known["guest"]), "networks": over},
            )
        )  # fmt: skip
    return found
