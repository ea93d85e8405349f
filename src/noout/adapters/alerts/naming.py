"""Which node a metric or an alert is about, by one of its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from noout.domain.cluster import NodeId


@dataclass(frozen=True)
class Naming:
    """``label``: the one that names the node. ``nodes``: its value -> node, where it does not begin with the node's
    name. ``known``: the cluster's nodes; what names none of them is about none."""

    cluster: str
    known: frozenset[str]
    label: str = "instance"
    nodes: Mapping[str, str] = field(default_factory=dict)

    def node_of(self, labels: Mapping[str, str]) -> NodeId | None:
        """``pve3``, ``pve3:9100``, ``pve3.example.net:9290`` are all pve3; None where it is no node of the cluster."""
        told = labels.get(self.label, "")
        host = told.rpartition(":")[0] if ":" in told else told
        tried = (self.nodes.get(told), self.nodes.get(host), host, host.partition(".")[0])
        name = next((each for each in tried if each in self.known), None)
        return NodeId(self.cluster, name) if name is not None else None
