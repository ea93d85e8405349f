"""One observation of a cluster, put together from many answers.

Where a guest is, is what the nodes' own lists say: ``/cluster/resources`` lags by some 10 s and never decides. It
gives the pools, and the guests that no answering node lists (its node is off, or they are on their way); those are
marked unknown, never left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from noout.adapters.pve import parse
from noout.adapters.pve.client import Gone, PveClient
from noout.adapters.pve.closer import look_closer
from noout.adapters.pve.guest_config import Config, parse_config
from noout.adapters.pve.parse import Row
from noout.domain.cluster import (
    ClusterState,
    Guest,
    GuestId,
    GuestKind,
    GuestStatus,
    HaService,
    Node,
    NodeId,
    Replica,
    Storage,
)
from noout.domain.errors import Broken, Refused, Retryable

T = TypeVar("T")
AT_ONCE = 8  # requests in flight
AT_ONCE_AT_EASE = 2  # ... where nobody waits for the answer: each is a connection of its own
LISTS_AGAIN = 2  # how often nodes are listed again when guests moved between two lists


@dataclass
class _Kept:
    """An answer that seldom changes. ``mark``: what must stay the same for it to be good still."""

    at: datetime
    mark: object
    data: Any


@dataclass(frozen=True)
class _NodeFacts:
    status: Row = field(default_factory=dict)
    network: Sequence[Row] = ()
    storages: tuple[Storage, ...] = ()


@dataclass
class _Lists:
    """The guests as the nodes list them: (node, kind, vmid) -> row; ``silent``: online nodes that did not answer."""

    rows: dict[tuple[str, GuestKind, int], Row] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def places(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for node, _, vmid in self.rows:
            found.setdefault(vmid, set()).add(node)
        return found


class Observer:
    """Observes one cluster. Configurations and inventories are kept up to ``keep_s`` of Clock time, and read anew as
    soon as the guest's row, its node or the node's uptime says that something changed."""

    def __init__(self, client: PveClient, *, keep_s: float = 60.0) -> None:
        self.client = client
        self.cluster = client.name
        self.keep_s = keep_s
        self._kept: dict[tuple[str, ...], _Kept] = {}

    async def observe(self, keep_s: float | None = None) -> ClusterState:
        """``keep_s``: for this look alone, in place of the usual one. Then nothing hurries either."""
        gate = asyncio.Semaphore(AT_ONCE if keep_s is None else AT_ONCE_AT_EASE)
        get = _Getter(self.client, gate, self.keep_s if keep_s is None else keep_s)
        version, cluster_status, listed, resources, current, manager, wishes, rules, options = await _all(
            get("/version"),
            get("/cluster/status"),
            get("/nodes"),
            get("/cluster/resources"),
            get.or_empty("/cluster/ha/status/current"),
            get.or_empty("/cluster/ha/status/manager_status"),
            get.or_empty("/cluster/ha/resources"),
            get.or_empty("/cluster/ha/rules"),
            get("/cluster/options"),
        )
        quorate, members = parse.membership(cluster_status)
        nodes_rows = {str(row["node"]): row for row in parse.rows(listed) if row.get("node")}
        members = members or {name: {"online": row.get("status") == "online"} for name, row in nodes_rows.items()}
        online = sorted(name for name, row in members.items() if parse.boolean(row.get("online")))
        lists, facts, tasks = await _all(
            self._lists(get, online, resources),
            self._facts(get, online, nodes_rows),
            self._tasks(get, online),
        )
        storages = self._storages(facts, resources)
        services = parse.ha_services(manager, current, wishes)
        replicas = await self._replicas(get, storages)
        guests = await self._guests(get, lists, members, resources, storages, services, replicas)
        nodes = self._nodes(members, nodes_rows, facts, parse.ha_node_states(manager))
        vnets = await self._vnets(get, nodes, guests)
        votes, qdevice_votes, corosync_addresses = await self._votes(get, online)
        return ClusterState(
            name=self.cluster,
            at=self.client.clock.now(),
            quorate=quorate,
            version=str(parse.table(version).get("version") or ""),
            nodes=_with_vnets(nodes, vnets, parse.zones(resources)),
            guests=guests,
            storages=storages,
            rules=parse.rules(self.cluster, rules),
            ha_armed=parse.ha_armed(manager, current),
            ha_requests=parse.ha_requests(manager),
            running_tasks=tasks,
            migration_network=parse.migration_network(options),
            migration_type=parse.migration_type(options),
            corosync_addresses=corosync_addresses,
            crs=parse.crs(options),
            vnets=vnets,
            votes=votes,
            qdevice_votes=qdevice_votes,
        )

    # --- nodes -------------------------------------------------------------------------------------------

    async def _facts(self, get: _Getter, online: Sequence[str], listed: Mapping[str, Row]) -> dict[str, _NodeFacts]:
        async def of(name: str) -> _NodeFacts:
            status, network, storage = await _all(
                get(f"/nodes/{name}/status"),
                get(f"/nodes/{name}/network"),
                get(f"/nodes/{name}/storage"),
            )
            return _NodeFacts(
                parse.table(status), parse.rows(network), parse.storages(NodeId(self.cluster, name), storage)
            )

        async def kept(name: str) -> _NodeFacts:
            # An uptime that went down is a reboot: the time of boot, in steps of two minutes, is the mark.
            uptime_s = parse.whole(listed.get(name, {}).get("uptime"))
            booted = round((self.client.clock.now().timestamp() - uptime_s) / 120)
            try:
                own: _NodeFacts = await self._keep(get, ("node", name), booted, lambda: of(name))
            except Retryable:  # online for corosync, deaf for the API
                return _NodeFacts()
            return own

        return dict(zip(online, await _all(*(kept(name) for name in online)), strict=True))

    def _nodes(
        self,
        members: Mapping[str, Row],
        listed: Mapping[str, Row],
        facts: Mapping[str, _NodeFacts],
        ha_states: Mapping[str, str],
    ) -> tuple[Node, ...]:
        found = []
        for name in sorted(members):
            own = facts.get(name, _NodeFacts())
            node = parse.node(
                self.cluster, name, members[name], listed.get(name, {}), own.status, own.network, own.storages
            )
            found.append(replace(node, ha_state=ha_states.get(name, "")))
        return tuple(found)

    def _storages(self, facts: Mapping[str, _NodeFacts], resources: Any) -> tuple[Storage, ...]:
        answered = {name for name, own in facts.items() if own.storages}
        told = [storage for own in facts.values() for storage in own.storages]
        told += [
            each
            for each in parse.storages_from_resources(self.cluster, resources)
            if each.node.name not in answered
        ]  # fmt: skip
        return tuple(sorted(told, key=lambda storage: (storage.node, storage.name)))

    async def _vnets(self, get: _Getter, nodes: Iterable[Node], guests: Iterable[Guest]) -> tuple[tuple[str, str], ...]:
        """SDN networks, which no node lists among its own: asked for only where a guest hangs on something else
        than a bridge of its node."""
        own = {node.id: node.bridges for node in nodes if node.online}
        if all(bridge in own[guest.node] for guest in guests if guest.node in own for bridge in guest.bridges):
            return ()

        async def read() -> Any:
            try:
                return parse.vnets(await get.or_empty("/cluster/sdn/vnets"))
            except Refused:
                return ()

        found: tuple[tuple[str, str], ...] = await self._keep(get, ("vnets",), None, read)
        return found

    async def _replicas(self, get: _Getter, storages: Iterable[Storage]) -> Mapping[int, tuple[Replica, ...]]:
        """Storage replication exists on ZFS only."""
        if not any(storage.kind == "zfspool" for storage in storages):
            return {}
        return parse.replicas(await get.or_empty("/cluster/replication"))

    async def _votes(self, get: _Getter, online: Sequence[str]) -> tuple[dict[str, int], int, frozenset[str]]:
        """Who has how many votes, and corosync's addresses. Where nobody can say so, each node has one, no QDevice is
        counted on, and no address is known."""

        async def read() -> tuple[dict[str, int], int, frozenset[str]]:
            try:
                members, device = await _all(
                    get.or_empty("/cluster/config/nodes"), get.or_empty("/cluster/config/qdevice")
                )
            except (Refused, Retryable):
                return {}, 0, frozenset()
            votes = parse.votes(members)
            return votes, parse.qdevice_votes(device, len(votes)), parse.corosync_addresses(members)

        found: tuple[dict[str, int], int, frozenset[str]] = await self._keep(get, ("votes",), tuple(online), read)
        return found

    async def _tasks(self, get: _Getter, online: Sequence[str]) -> Any:
        async def of(name: str) -> Any:
            try:
                return parse.running_tasks(await get(f"/nodes/{name}/tasks", source="active"))
            except Retryable:
                return ()

        found = await _all(*(of(name) for name in online))
        return tuple(sorted((task for tasks in found for task in tasks), key=lambda task: task.upid))

    # --- guests ------------------------------------------------------------------------------------------

    async def _lists(self, get: _Getter, online: Sequence[str], resources: Any) -> _Lists:
        """Every node's guests. A guest seen twice or not at all moved between two lists: then list again."""
        known = {
            vmid
            for vmid, row in parse.resource_guests(resources).items()
            if str(row.get("node")) in set(online)
        }  # fmt: skip
        lists = await self._list_once(get, online)
        for _ in range(LISTS_AGAIN):
            places = lists.places()
            missing = () if lists.silent else known - places.keys()
            if not missing and all(len(nodes) == 1 for nodes in places.values()):
                break
            lists = await self._list_once(get, online)
        return lists

    async def _list_once(self, get: _Getter, online: Sequence[str]) -> _Lists:
        async def of(name: str) -> tuple[Any, Any] | None:
            try:
                qemu, lxc = await _all(get(f"/nodes/{name}/qemu", full=1), get(f"/nodes/{name}/lxc"))
            except Retryable:
                return None
            return qemu, lxc

        lists = _Lists()
        for name, answer in zip(online, await _all(*(of(name) for name in online)), strict=True):
            if answer is None:
                lists.silent.add(name)
                continue
            for kind, listed in zip((GuestKind.QEMU, GuestKind.LXC), answer, strict=True):
                for row in parse.rows(listed):
                    lists.rows[(name, kind, parse.whole(row["vmid"]))] = row
        return lists

    async def _guests(
        self,
        get: _Getter,
        lists: _Lists,
        members: Mapping[str, Row],
        resources: Any,
        storages: Iterable[Storage],
        services: Mapping[str, HaService],
        replicas: Mapping[int, tuple[Replica, ...]],
    ) -> tuple[Guest, ...]:
        shared = _shared(storages)
        pools = parse.pools(resources)
        reached = {name for name, row in members.items() if parse.boolean(row.get("online"))} - lists.silent
        seen = {vmid for _, _, vmid in lists.rows}

        async def listed(node: str, kind: GuestKind, vmid: int, row: Row) -> Guest:
            config = await self._config(get, node, kind, vmid, row, shared)
            if config is None:  # it left between the list and the configuration: it exists, and nobody knows where
                config, status = self._last_config(vmid), GuestStatus.UNKNOWN
            else:
                status = parse.status(row)
            return self._guest(node, kind, vmid, row, config, status, pools, services)

        found = list(await _all(*(listed(*key, row) for key, row in lists.rows.items())))
        # A guest on its way may be in no list however often one looks. It is not gone: only a guest that the cluster
        # itself no longer names is gone.
        named = parse.resource_guests(resources)
        if any(str(row.get("node")) in reached for vmid, row in named.items() if vmid not in seen):
            named = parse.resource_guests(await get("/cluster/resources", type="vm"))
        for vmid, row in named.items():
            node, kind = str(row.get("node")), GuestKind(str(row["type"]))
            if vmid in seen:
                continue
            found.append(
                self._guest(node, kind, vmid, row, self._last_config(vmid), GuestStatus.UNKNOWN, pools, services)
            )
        whole = (replace(guest, replicas=replicas.get(guest.id.vmid, ())) for guest in found)
        return tuple(sorted(whole, key=lambda guest: guest.id))

    async def _config(
        self, get: _Getter, node: str, kind: GuestKind, vmid: int, row: Row, shared: Mapping[str, bool]
    ) -> Config | None:
        mark = (node, *(row.get(key) for key in ("status", "lock", "name", "tags", "maxmem", "cpus", "maxdisk", "pid")))

        async def read() -> Config:
            path = f"/nodes/{node}/{kind.value}/{vmid}"
            found = parse_config(kind, parse.table(await get(f"{path}/config")), shared)
            return await look_closer(get, path, kind, found, shared)

        key = ("config", str(vmid))
        kept = self._kept.get(key)
        if kept is not None and _only_moved(kept, mark):
            kept.mark = mark
        try:
            config: Config = await self._keep(get, key, mark, read)
        except Gone:
            return None
        return config

    def _last_config(self, vmid: int) -> Config:
        kept = self._kept.get(("config", str(vmid)))
        return kept.data if kept is not None else Config()

    def _guest(
        self,
        node: str,
        kind: GuestKind,
        vmid: int,
        row: Row,
        config: Config,
        status: GuestStatus,
        pools: Mapping[int, str],
        services: Mapping[str, HaService],
    ) -> Guest:
        cpus = parse.whole(row.get("cpus") or row.get("maxcpu"))
        service = services.get(f"{parse.SID_PREFIX[kind]}:{vmid}")
        return Guest(
            id=GuestId(self.cluster, vmid),
            name=str(row.get("name") or vmid),
            kind=kind,
            node=NodeId(self.cluster, node),
            status=status,
            ram_bytes=parse.whole(row.get("maxmem")),
            cpus=cpus,
            cpu_used=round(parse.number(row.get("cpu")) * cpus, 3),
            tags=parse.words(row.get("tags") or config.tags),
            pool=pools.get(vmid),
            template=parse.boolean(row.get("template")) or config.template,
            onboot=config.onboot,
            lock=str(row.get("lock") or config.lock or "") or None,
            disks=config.disks,
            local_resources=config.local_resources,
            bridges=config.bridges,
            cpu_type=config.cpu_type,
            ha=None if service is not None and service.requested_state == "ignored" else service,
            addresses=config.addresses,
            uuid=config.uuid,
            qmp_status=str(row.get("qmpstatus") or ""),
            nics=config.nics,
            cpu_flags=config.cpu_flags,
            not_live=config.not_live,
            mapped=config.devices,
            snapshots=config.snapshots,
            kept=config.kept,
        )

    def forget(self, guest: GuestId) -> None:
        """Read its configuration anew at the next look: nothing in a list tells that it was changed."""
        self._kept.pop(("config", str(guest.vmid)), None)

    # --- keeping -----------------------------------------------------------------------------------------

    async def _keep(self, get: _Getter, key: tuple[str, ...], mark: object, read: Any) -> Any:
        now = self.client.clock.now()
        kept = self._kept.get(key)
        if kept is not None and kept.mark == mark and 0 <= (now - kept.at).total_seconds() < get.keep_s:
            return kept.data
        data = await read()
        self._kept[key] = _Kept(now, mark, data)
        return data


class _Getter:
    """Reads with at most so many requests in flight. ``keep_s``: how long what was read before is good."""

    def __init__(self, client: PveClient, gate: asyncio.Semaphore, keep_s: float) -> None:
        self.keep_s = keep_s
        self._client = client
        self._gate = gate

    async def __call__(self, path: str, **query: Any) -> Any:
        async with self._gate:
            return await self._client.get(path, **query)

    async def or_empty(self, path: str) -> Any:
        """None where this version has no such method or no HA was ever set up (not where a privilege is missing)."""
        try:
            return await self(path)
        except Broken as error:
            if "no such method" in error.remedy:
                return None
            raise
        except Refused as error:
            if "does not exist" in error.message or "migrated to rules" in error.message:
                return None
            raise


def _with_vnets(
    nodes: Iterable[Node], vnets: Iterable[tuple[str, str]], zones: Mapping[str, frozenset[str]]
) -> tuple[Node, ...]:
    """Each node with the SDN networks whose zone works there, as bridges among its own."""
    return tuple(
        replace(
            node,
            bridges=node.bridges | {vnet for vnet, zone in vnets if node.id.name in zones.get(zone, frozenset())},
        )
        for node in nodes
    )


def _only_moved(kept: _Kept, mark: tuple[Any, ...]) -> bool:
    """Whether the guest has changed its node (and so its process) and nothing else that a list tells: a configuration
    moves as it is, unless it names volumes of a node's own."""
    was = kept.mark
    if not isinstance(was, tuple) or was[0] == mark[0] or was[1:-1] != mark[1:-1] or mark[2]:
        return False
    return all(disk.shared or disk.cdrom for disk in kept.data.disks)


def _shared(storages: Iterable[Storage]) -> dict[str, bool]:
    """Storage name -> shared, as every node that knows it says."""
    found: dict[str, bool] = {}
    for storage in storages:
        found[storage.name] = found.get(storage.name, True) and storage.shared
    return found


async def _all(*awaitables: Awaitable[Any]) -> Any:
    """All results in order; the first failure is raised when the others have been cancelled."""
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
