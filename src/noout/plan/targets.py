"""The static filter: which nodes a guest may go to at all, and why not to the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, GuestKind, Node, NodeId, Rule, Storage
from noout.domain.maintenance import MoveKind
from noout.plan.cpus import why_not_there
from noout.plan.policy import Policy

DEFAULT = Policy()


@dataclass(frozen=True, slots=True)
class Targets:
    """``allowed``: node -> storage for the guest's local disks (None: those of the same names, or none needed).
    ``preferred``: the allowed nodes that also follow the preferred rules. ``refused``: node -> why not."""

    allowed: Mapping[NodeId, str | None] = field(default_factory=dict)
    preferred: frozenset[NodeId] = frozenset()
    refused: Mapping[NodeId, str] = field(default_factory=dict)


class Filter:
    """Answers for one cluster and one node to be emptied."""

    def __init__(
        self,
        state: ClusterState,
        leaving: NodeId,
        avoid: Mapping[GuestId, frozenset[NodeId]] = MappingProxyType({}),
        policy: Policy = DEFAULT,
    ) -> None:
        self.leaving = leaving
        self.policy = policy
        self.avoid = avoid
        self.nodes = [node for node in state.nodes if node.id != leaving]
        self.by_id = {node.id: node for node in state.nodes}
        self.requested = {node for node, mode in state.ha_requests if mode == "maintenance"}
        self.rules: dict[object, list[Rule]] = {}
        for rule in state.rules:
            if rule.enabled and rule.kind is Affinity.NODE:
                for guest in rule.guests:
                    self.rules.setdefault(guest, []).append(rule)
        self.stores: dict[NodeId, dict[str, Storage]] = {}
        for store in state.storages:
            self.stores.setdefault(store.node, {})[store.name] = store
        self.reach = {node.id: self._reached(node) for node in state.nodes}
        self.zone_of = dict(state.vnets)
        self.online = {node.id.name for node in state.nodes if node.online and node.ha_state != "maintenance"}
        self._alike: dict[object, Targets] = {}
        self._starts: dict[object, frozenset[NodeId]] = {}
        self._likes: dict[NodeId, tuple[object, ...]] = {node.id: self._like(node) for node in state.nodes}
        self._classes: dict[tuple[object, ...], list[Node]] = {}  # nodes that differ in nothing that could matter
        for node in self.nodes:
            self._classes.setdefault(self._likes[node.id], []).append(node)
        self._everywhere = frozenset(node.id for node in self.nodes if node.online and not self._unwell(node))

    def _like(self, node: Node) -> tuple[object, ...]:
        """All that ``_unreachable`` looks at in a node."""
        return (node.online, self._unwell(node), self.reach[node.id], node.bridges, node.vlan_aware)

    def _unwell(self, node: Node) -> bool:
        return node.ha_state in {"maintenance", "fence", "gone", "unknown"} or node.id.name in self.requested

    def _reached(self, node: Node) -> frozenset[str]:
        rows = self.stores.get(node.id, {})
        down = {name for name, row in rows.items() if not row.available}
        return node.storages.union(rows) - down

    def of(self, guest: Guest, kind: MoveKind) -> Targets:
        """Where this guest may go, its own node excepted. Guests that differ in nothing that matters share it."""
        sort = self._sort(guest, kind)
        if sort is None:
            return self._of(guest, kind)
        found = self._alike.get(sort)
        if found is None:
            found = self._alike[sort] = self._of(guest, kind)
        return found

    def _sort(self, guest: Guest, kind: MoveKind | None) -> tuple[object, ...] | None:
        """Everything about a guest that the filter looks at; None where that is too much to be shared."""
        if guest.carried or guest.mapped or guest.replicas or self.avoid.get(guest.id):
            return None
        return (
            kind,
            guest.node if kind is not None else self._likes[guest.node],
            tuple(dict.fromkeys(disk.storage for disk in guest.disks if disk.shared)),
            guest.bridges,
            tuple((nic.key, nic.bridge, nic.tag, nic.trunks) for nic in guest.nics),
            guest.cpu_type,
            guest.cpu_flags,
            guest.ha is not None and guest.ha.failback,
            tuple(rule.name for rule in self.rules.get(guest.id, ())) if self.rules else (),
            self._named(guest, self.policy.pin_tag),
            self._named(guest, self.policy.prefer_tag),
        )

    @staticmethod
    def _named(guest: Guest, prefix: str) -> frozenset[str]:
        """The nodes that the guest's tags name after this prefix; PVE writes tags in lower case."""
        return frozenset(tag.removeprefix(prefix) for tag in guest.tags if tag.startswith(prefix))

    def _of(self, guest: Guest, kind: MoveKind) -> Targets:
        allowed: dict[NodeId, str | None] = {}
        refused: dict[NodeId, str] = {}
        for node in self.nodes:
            if node.id == guest.node:
                continue
            reason = self._why_not(guest, kind, node)
            if reason is None and guest.carried and kind is not MoveKind.SHUTDOWN:
                found, store = self._room_for_disks(guest, node)
                reason = None if found else "has no storage with room for its local disks"
                allowed |= {node.id: store} if found else {}
            elif reason is None:
                allowed[node.id] = None
            if reason is not None:
                refused[node.id] = reason
        liked = [dict(r.nodes) for r in self.rules.get(guest.id, []) if not r.strict]
        preferred = frozenset(n for n in allowed if all(n.name in classes for classes in liked))
        wished = self._named(guest, self.policy.prefer_tag)
        preferred = frozenset(n for n in preferred if n.name.lower() in wished) or preferred
        quiet = preferred  # HA's settings stay as they are
        if guest.ha is not None and guest.id in self.rules:
            quiet = frozenset(n for n in preferred if not self.fetched_back(guest, n))
        return Targets(allowed, quiet or preferred, refused)

    def could_start(self, guest: Guest) -> frozenset[NodeId]:
        """The nodes on which the guest could be started anew if the one it is on were lost."""
        if len(self._classes) == 1 and guest.id not in self.rules and self._likes[guest.node] in self._classes:
            return self._everywhere  # whatever it has where it is, it has there too
        sort = self._sort(guest, None)
        if sort is None:
            return self._could_start(guest)
        found = self._starts.get(sort)
        if found is None:
            found = self._starts[sort] = self._could_start(guest)
        return found

    def _could_start(self, guest: Guest) -> frozenset[NodeId]:
        alike = self._classes.values()
        usable = [node for nodes in alike if self._unreachable(guest, nodes[0]) is None for node in nodes]
        strict = [dict(rule.nodes) for rule in self.rules.get(guest.id, []) if rule.strict]
        return frozenset(node.id for node in usable if all(node.id.name in classes for classes in strict))

    def _why_not(self, guest: Guest, kind: MoveKind, node: Node) -> str | None:
        if node.id in self.avoid.get(guest.id, ()):
            return "was tried, or is suspected, and given up"
        if (reason := self._unreachable(guest, node)) is not None:
            return reason
        for device in guest.mapped:
            if node.id.name in device.lacking:
                return f"has no device for the mapping {device.name}"
        if kind is not MoveKind.OFFLINE and guest.replicas and not guest.replicated_to(node.id.name):
            return "is not a target of the guest's replication"
        if any(each.removing for each in guest.replicas if each.target == node.id.name):
            return "is the target of a replication that is being removed"
        if kind is MoveKind.LIVE and (reason := why_not_there(guest, self.by_id[guest.node], node)) is not None:
            return reason
        return self._rule_against(guest, node)

    def _unreachable(self, guest: Guest, node: Node) -> str | None:
        if not node.online:
            return "is offline"
        if self._unwell(node):
            return "is itself in maintenance or not well"
        home = self.by_id[guest.node]
        for disk in guest.disks:
            # A storage that its own node does not list is one we know nothing of: never a reason.
            if disk.shared and disk.storage in self.reach[home.id] and disk.storage not in self.reach[node.id]:
                return f"has no storage {disk.storage}"
        return self._no_network(guest, home, node)

    def _no_network(self, guest: Guest, home: Node, node: Node) -> str | None:
        """A network that the guest has where it is and would not have there."""
        for bridge in guest.bridges:
            if bridge in home.bridges and bridge not in node.bridges:
                zone = self.zone_of.get(bridge)
                return f"has no bridge {bridge}" if zone is None else f"has no network {bridge} (SDN zone {zone})"
        for nic in guest.nics:
            tagged = nic.tag is not None or nic.trunks
            if tagged and nic.bridge in home.vlan_aware and nic.bridge not in node.vlan_aware:
                which = "VLANs" if nic.trunks else f"VLAN {nic.tag}"
                return f"has a bridge {nic.bridge} that is not VLAN-aware, and the guest's {nic.key} needs {which}"
        return None

    def _rule_against(self, guest: Guest, node: Node) -> str | None:
        for rule in self.rules.get(guest.id, []):
            classes = dict(rule.nodes)
            if rule.strict and node.id.name not in classes:
                return f"is excluded by rule {rule.name}"
        pins = self._named(guest, self.policy.pin_tag)
        if pins and node.id.name.lower() not in pins:
            tags = ", ".join(f"{self.policy.pin_tag}{pin}" for pin in sorted(pins))
            return f"is excluded by the guest's {tags}"
        return None

    def fetched_back(self, guest: Guest, node: NodeId) -> bool:
        """HA would take it away from there again: its failback is on, and a rule likes another node better."""
        if guest.ha is None or not guest.ha.failback:
            return False
        return any(self._likes_another(node, dict(rule.nodes)) for rule in self.rules.get(guest.id, []))

    def _likes_another(self, node: NodeId, classes: dict[str, int]) -> bool:
        """HA brings a service with failback to the best class of nodes that are online; the node to be emptied is
        online until its guests have left."""
        best = max((priority for name, priority in classes.items() if name in self.online), default=None)
        return best is not None and classes.get(node.name) != best

    def _room_for_disks(self, guest: Guest, node: Node) -> tuple[bool, str | None]:
        content = "rootdir" if guest.kind is GuestKind.LXC else "images"
        rows = {
            name: row.total_bytes - row.used_bytes
            for name, row in self.stores.get(node.id, {}).items()
            if row.available and (not row.content or content in row.content)
        }
        need: dict[str, int] = {}
        replicated = guest.replicated_to(node.id.name)
        for disk in guest.carried:
            size = 0 if replicated and disk.replicate else disk.size_bytes  # what is replicated is there already
            need[disk.storage] = need.get(disk.storage, 0) + size
        if all(rows.get(name, -1) >= size for name, size in need.items()):
            return True, None
        if len(need) > 1 or guest.replicas or guest.kept:
            # One target storage for disks of several could not be undone on the way home; replication and what
            # only snapshots refer to need the storage of the same name.
            return False, None
        # PVE copies no disk off a shared storage: what was put there would not come home.
        own = {name: free for name, free in rows.items() if not self.stores[node.id][name].shared}
        roomy = sorted((name for name, free in own.items() if free >= sum(need.values())), key=lambda n: (-own[n], n))
        return (True, roomy[0]) if roomy else (False, None)
