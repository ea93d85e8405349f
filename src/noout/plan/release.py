"""Which moves may start now: the one rule that the plan's times are played by and that the execution follows.

At most ``streams`` moves from or to one node copy at once: it is that node's link which they share. Setting up takes
seconds in which nothing is sent, so a move may begin beside them for each that is *ending*: that one will have copied
all by the time the next is set up. A move that goes ``alone`` starts when nobody else still copies, and nobody starts
beside it; HA moves one guest at a time; no storage is read or written by two copies of disks at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from noout.domain.cluster import GuestId
from noout.domain.maintenance import Move, MoveKind

CLEANUP_S = 4.0  # measured: about 4 s after the last page
BESIDE = 4  # set up or cleaned up beside those that copy (more with more streams): small guests need most for that


@dataclass(frozen=True, slots=True)
class Flight:
    """A move that has begun and is not over. ``ending``: what it has left to copy takes no longer than a set-up."""

    move: Move
    ending: bool = False


class Turn(Enum):
    NOW = "now"
    LATER = "later"  # others may start before it
    NEXT = "next"  # nobody starts before it, or it would never find its moment


def turn(move: Move, flying: Sequence[Flight], streams: int) -> Turn:
    """Whether the move may start beside those that fly. What it waits for by ``after`` is not looked at here."""
    copying = [each.move for each in flying if not each.ending]
    beside = [each for each in copying if each.source == move.source or each.target == move.target]
    full = streams < 1 or len(beside) >= streams or len(flying) >= streams + max(streams, BESIDE)
    if full or any(each.move.alone for each in flying) or (move.alone and copying):
        return Turn.NEXT
    if move.ha and any(each.move.ha for each in flying):
        return Turn.LATER
    storages = set(move.mirrors)
    return Turn.LATER if any(storages & set(each.move.mirrors) for each in flying) else Turn.NOW


def startable(ready: Iterable[Move], flying: Sequence[Flight], streams: int) -> list[Move]:
    """Of the moves that wait for nobody, in the plan's order, each that may start now; only one of them at a time."""
    return list(_startable(ready, flying, streams))


def _startable(ready: Iterable[Move], flying: Sequence[Flight], streams: int) -> Iterator[Move]:
    for move in ready:
        when = turn(move, flying, streams)
        if when is Turn.NEXT:
            return
        if when is Turn.NOW:
            yield move
            if move.alone:
                return


def foreseeable(move: Move) -> bool:
    """Whether it can be told when a move is ending: a VM's memory alone, sent by PVE at once, and not in a race."""
    return move.kind is MoveKind.LIVE and not (move.alone or move.ha or move.with_local_disks)


def timeline_s(
    moves: Sequence[Move],
    streams: int,
    lead_s: float = 0.0,
    length: Callable[[Move], float] = lambda move: move.expected_s,
) -> dict[GuestId, tuple[float, float]]:
    """Start and end (s) of each move when they are played by this rule, each as long as ``length`` says.

    Guests that are shut down are left out: that happens at the rack, not while the others move.
    """
    todo = {move.guest: move for move in moves if move.kind is not MoveKind.SHUTDOWN}
    times: dict[GuestId, tuple[float, float]] = {}
    flying: dict[GuestId, Move] = {}
    now = 0.0

    def copied_at(move: Move) -> float:
        end = times[move.guest][1]
        return max(times[move.guest][0], end - CLEANUP_S - lead_s) if lead_s and foreseeable(move) else end

    def waits(move: Move) -> bool:
        return any(each in todo or each in flying for each in move.after)

    while todo:
        flying = {guest: move for guest, move in flying.items() if times[guest][1] > now}
        flights = [Flight(move, copied_at(move) <= now) for move in flying.values()]
        ready = (move for move in todo.values() if not waits(move))
        first = next(_startable(ready, flights, max(1, streams)), None)
        if first is None and not flying:  # they wait for each other, which no plan that holds has
            first = next(iter(todo.values()))
        if first is not None:
            times[first.guest] = (now, now + length(first))
            flying[first.guest] = todo.pop(first.guest)
            continue
        now = min(at for move in flying.values() for at in (copied_at(move), times[move.guest][1]) if at > now)
    return times


def makespan_s(
    moves: Sequence[Move],
    streams: int,
    lead_s: float = 0.0,
    length: Callable[[Move], float] = lambda move: move.expected_s,
) -> float:
    """When the last move ends (s)."""
    return max((end for _, end in timeline_s(moves, streams, lead_s, length).values()), default=0.0)
