"""HA rules as questions: where may a resource be, who keeps whom away, which node would the CRM choose."""

from __future__ import annotations

from noout.lab.world.model import Cluster, HaRule


def node_rule(cluster: Cluster, sid: str) -> HaRule | None:
    for rule in cluster.ha.rules.values():
        if rule.type == "node-affinity" and not rule.disable and sid in rule.resources:
            return rule
    return None


def kept_apart(cluster: Cluster, sid: str) -> list[str]:
    """The resources that must not share a node with this one."""
    found: set[str] = set()
    for rule in cluster.ha.rules.values():
        if rule.affinity == "negative" and not rule.disable and sid in rule.resources:
            found.update(r for r in rule.resources if r != sid)
    return sorted(found)


def kept_together(cluster: Cluster, sid: str) -> list[str]:
    found: set[str] = set()
    for rule in cluster.ha.rules.values():
        if rule.affinity == "positive" and not rule.disable and sid in rule.resources:
            found.update(r for r in rule.resources if r != sid)
    return sorted(found)


def blocking(cluster: Cluster, sid: str, target: str) -> list[str]:
    """Resources on ``target``, or on their way there, that negative affinity keeps this one away from."""
    services = cluster.ha.services
    return [s for s in kept_apart(cluster, sid) if s in services and target in (services[s].node, services[s].target)]


def candidates(cluster: Cluster, sid: str) -> list[str]:
    """Online nodes that the rules allow, best first by priority, then fewest services, then name. No look at RAM."""
    ha = cluster.ha
    online = [n for n, status in ha.node_status.items() if status == "online"]
    rule = node_rule(cluster, sid)
    priority = dict.fromkeys(online, 0)
    if rule is not None:
        inside = [n for n in online if n in rule.nodes]
        if inside or rule.strict:
            online = inside
        priority = {n: rule.nodes.get(n, 0) for n in online}
    online = [n for n in online if not blocking(cluster, sid, n)]
    load = {n: sum((s.target or s.node) == n for s in ha.services.values()) for n in online}
    return sorted(online, key=lambda n: (-priority.get(n, 0), load[n], n))


def best(cluster: Cluster, sid: str, other_than: str = "") -> str | None:
    return next((n for n in candidates(cluster, sid) if n != other_than), None)


def misplaced(cluster: Cluster, sid: str) -> str | None:
    """Where the rules pull a started resource to, or None if it may stay."""
    service, resource = cluster.ha.services[sid], cluster.ha.resources[sid]
    rule = node_rule(cluster, sid)
    if rule is not None:
        choice = best(cluster, sid)
        outside = service.node not in rule.nodes
        if choice and outside and (rule.strict or resource.failback) and choice in rule.nodes:
            return choice
        if choice and resource.failback and rule.nodes.get(choice, 0) > rule.nodes.get(service.node, 0):
            return choice
    for other in kept_apart(cluster, sid):
        # of two that should be apart, the later one by name goes
        if other in cluster.ha.services and cluster.ha.services[other].node == service.node and other < sid:
            return best(cluster, sid, service.node)
    return None
