"""Judges what was carried out, whoever planned it: RAM and rules at every instant, and whether everybody left.

It knows the cluster before and the moves with their times, nothing else: no plan, and no code of any planner. While a
guest moves it takes its RAM on both nodes, and counts as present on both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from noout.domain.cluster import Affinity, ClusterState, GuestId, GuestStatus, NodeId


@dataclass(frozen=True, slots=True)
class Executed:
    """One migration as it happened; times in seconds since the beginning."""

    guest: GuestId
    source: NodeId
    target: NodeId
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Sentences, by what they are about; nothing in any of them: the execution was faultless."""

    overcommitted: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)  # a guest moved from where it was not, or twice at once
    left: list[GuestId] = field(default_factory=list)  # still on the node that was to be emptied

    @property
    def ram_safe(self) -> bool:
        return not self.overcommitted

    @property
    def sound(self) -> bool:
        return not (self.overcommitted or self.rules or self.impossible or self.left)


def judge(state: ClusterState, limits: Mapping[NodeId, int], leaving: NodeId, trace: Iterable[Executed]) -> Verdict:
    """Replay the moves in time. Where one ends as another begins, the end comes first."""
    moves = list(trace)
    verdict = Verdict()
    ram = {guest.id: guest.ram_bytes for guest in state.guests}
    at = {guest.id: guest.node for guest in state.guests}
    present: dict[NodeId, set[GuestId]] = defaultdict(set)
    used: dict[NodeId, int] = defaultdict(int)
    for guest in state.guests:
        if not guest.template and guest.status is not GuestStatus.STOPPED:
            present[guest.node].add(guest.id)
            used[guest.node] += guest.ram_bytes
    strangers = _strangers(state)
    moving: set[GuestId] = set()
    edges = [(move.end_s, 0, index) for index, move in enumerate(moves)]
    edges += [(move.start_s, 1, index) for index, move in enumerate(moves)]
    for when, begins, index in sorted(edges):
        move = moves[index]
        if not begins:
            moving.discard(move.guest)
            present[move.source].discard(move.guest)
            used[move.source] -= ram[move.guest]
            at[move.guest] = move.target
            continue
        if at[move.guest] != move.source or move.guest in moving or move.end_s < move.start_s:
            verdict.impossible.append(f"{when:.0f} s: {move.guest} cannot move from {move.source}")
        moving.add(move.guest)
        present[move.target].add(move.guest)
        used[move.target] += ram[move.guest]
        if used[move.target] > limits[move.target]:
            verdict.overcommitted.append(f"{when:.0f} s: {move.target} is beyond its RAM with {move.guest}")
        met = strangers[move.guest] & present[move.target]
        verdict.rules.extend(f"{when:.0f} s: {move.guest} meets {other} on {move.target}" for other in sorted(met))
        if not _allowed(state, move.guest, move.target):
            verdict.rules.append(f"{when:.0f} s: {move.guest} may not be on {move.target}")
    verdict.left.extend(sorted(guest for guest in present[leaving] if at[guest] == leaving))
    return verdict


def _strangers(state: ClusterState) -> dict[GuestId, set[GuestId]]:
    """Whom each guest strictly stays apart from."""
    found: dict[GuestId, set[GuestId]] = defaultdict(set)
    for rule in state.rules:
        if rule.enabled and rule.strict and rule.kind is Affinity.APART:
            for guest in rule.guests:
                found[guest] |= rule.guests - {guest}
    return found


def _allowed(state: ClusterState, guest: GuestId, node: NodeId) -> bool:
    pins = (r for r in state.rules if r.enabled and r.strict and r.kind is Affinity.NODE and guest in r.guests)
    return all(node.name in dict(rule.nodes) for rule in pins)
