"""HA's own balancing (``crs: ha-auto-rebalance=1``): which service the CRM would move, for no reason but balance.

A stand-in for the real scoring: load is the number of services on a node. It looks at no memory, as the real one by
default does not, and an empty node is its favourite target.
"""

from __future__ import annotations

from noout.lab.world import ha_rules
from noout.lab.world.model import Cluster

GAP = 2  # services that the fullest node has more than the emptiest, before one is moved


def is_on(cluster: Cluster) -> bool:
    parts = cluster.options.get("crs", "").split(",")
    return any(part.partition("=")[::2] == ("ha-auto-rebalance", "1") for part in parts)


def next_move(cluster: Cluster) -> tuple[str, str] | None:
    """(sid, target) of the move that evens out most; None while anything is unsettled or all is even."""
    ha = cluster.ha
    if not is_on(cluster) or any(each.state != "started" or each.requested for each in ha.services.values()):
        return None
    online = sorted(name for name, status in ha.node_status.items() if status == "online")
    load = {name: sorted(sid for sid, each in ha.services.items() if each.node == name) for name in online}
    for fullest in sorted(online, key=lambda name: -len(load[name])):
        for emptiest in sorted(online, key=lambda name: len(load[name])):
            if len(load[fullest]) - len(load[emptiest]) < GAP:
                break
            for sid in load[fullest]:
                if emptiest in ha_rules.candidates(cluster, sid) and _as_liked(cluster, sid, emptiest):
                    return sid, emptiest
    return None


def _as_liked(cluster: Cluster, sid: str, target: str) -> bool:
    """Not against the priorities of the service's own rule."""
    rule = ha_rules.node_rule(cluster, sid)
    best = ha_rules.best(cluster, sid)
    return rule is None or best is None or rule.nodes.get(target, -1) == rule.nodes.get(best, -1)
