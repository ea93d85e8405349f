"""Nodes that are to be repaired themselves: who leaves another node is not planned onto them, where that can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from noout.domain.cluster import NodeId
from noout.domain.maintenance import Plan
from noout.domain.reasons import Caution

Ill = Mapping[NodeId, str]  # node -> what is proposed to be repaired there, in words


def rather(wish: frozenset[NodeId], nodes: Iterable[NodeId], ill: Iterable[NodeId]) -> frozenset[NodeId]:
    """``make_plan``'s ``prefer``: ``wish``, or all nodes, without those that are ill; only ill ones are as good as
    none. Empty: none in particular."""
    sick = frozenset(ill)
    return ((wish - sick) or (frozenset(nodes) - sick)) if sick else wish


def wary(plan: Plan, ill: Ill) -> Plan:
    """The plan, saying of each ill node that it is spared, or that it has to take guests all the same."""
    taking = Counter(move.target for move in plan.moves if move.target is not None)
    found = [_caution(node, why, taking[node]) for node, why in sorted(ill.items()) if node != plan.node]
    return replace(plan, cautions=(*plan.cautions, *found)) if found else plan


def _caution(node: NodeId, why: str, guests: int) -> Caution:
    what = f"{node.name} is to be repaired itself ({why})"
    if not guests:
        return Caution("plan.spares-ill", str(node), f"{what}: no guest is planned onto it")
    many = "1 guest goes" if guests == 1 else f"{guests} guests go"
    said = f"{what}, and {many} there all the same: no better node has room, or it was asked for"
    remedy = f"repair {node.name} first, or say why it need not be: noout decline {node} --reason TEXT"
    return Caution("plan.onto-ill", str(node), said, remedy, {"guests": str(guests)})
