"""Nodes that share a part: a chassis, a power distribution unit, a switch. What strikes the part strikes them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from noout.domain.cluster import NodeId
from noout.domain.reasons import Caution

PARTS = ("chassis", "pdu", "switch")


@dataclass(frozen=True, slots=True)
class Part:
    """``kind``: "chassis", "pdu", "switch"; ``nodes``: all that depend on it."""

    kind: str
    name: str
    nodes: frozenset[NodeId]


def mates(node: NodeId, parts: Iterable[Part]) -> frozenset[NodeId]:
    """The other nodes that share a part with it."""
    return frozenset(each for part in parts if node in part.nodes for each in part.nodes) - {node}


def shared_parts(node: NodeId, used: Iterable[NodeId | None], parts: Sequence[Part]) -> list[Caution]:
    """Which nodes share which part with this one, and which of them are to take its guests all the same."""
    found = []
    targets = set(used)
    for part in parts:
        others = sorted(part.nodes - {node})
        if node not in part.nodes or not others:
            continue
        names = ", ".join(each.name for each in others)
        said = f"{node.name} shares {part.kind} {part.name} with {names}"
        taking = ", ".join(each.name for each in others if each in targets)
        said += f", and {taking} must take guests of it: nowhere else is room for all" if taking else ""
        remedy = f"when the work is on the {part.kind} itself, empty all of them: noout plan {node.name} "
        remedy += " ".join(f"--with {each.name}" for each in others)
        found.append(Caution("plan.shares-part", str(node), said, remedy, {"part": f"{part.kind} {part.name}"}))
    return found


def away_from(
    node: NodeId, preferred: frozenset[NodeId], nodes: Iterable[NodeId], parts: Sequence[Part]
) -> frozenset[NodeId]:
    """``preferred``, or all nodes, without those that share a part with this one: the part may fail while somebody
    works on it, so they are the last choice."""
    near = mates(node, parts)
    return (preferred or frozenset(nodes)) - near if near else preferred
