"""Which node a person means."""

from __future__ import annotations

from noout.domain.cluster import NodeId
from noout.domain.errors import UsageError


def resolve(nodes: list[NodeId], text: str) -> NodeId:
    """A node by ``CLUSTER/NODE``, or by its bare name where unique; UsageError otherwise."""
    exact = [each for each in nodes if str(each) == text]
    named = exact or [each for each in nodes if each.name == text]
    if len(named) == 1:
        return named[0]
    if named:
        raise UsageError(f"{text} is a node of several clusters", remedy=f"say {' or '.join(map(str, named))}")
    known = ", ".join(sorted(map(str, nodes))) or "none"
    raise UsageError(f"there is no node {text}", remedy=f"known: {known}")
