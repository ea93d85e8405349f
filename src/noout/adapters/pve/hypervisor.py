"""The Hypervisor port over Proxmox VE's API (and ``ha-manager``, for the one thing the API has not)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from noout.adapters.pve import own_addresses, parse
from noout.adapters.pve.client import PveClient
from noout.adapters.pve.near import Nearby
from noout.adapters.pve.observe import Observer
from noout.adapters.pve.task_log import log_lines, migration_progress, migration_target
from noout.domain.cluster import ClusterState, Guest, GuestKind, MigrationProgress, Near, NodeId, Task
from noout.domain.errors import Broken, Forbidden, Refused, Retryable, UnknownOutcome
from noout.ports import Description, Precondition, Shell

KIB = 1024  # the unit of PVE's bwlimit
LOG_TAIL = 200  # lines: more than three minutes of a running migration


class PveHypervisor:
    """One cluster. ``shell`` is needed for ``maintenance_mode`` only."""

    def __init__(self, client: PveClient, shell: Shell | None = None, *, keep_s: float = 60.0) -> None:
        self.name = client.name
        self.has_shell = shell is not None
        self._client = client
        self._shell = shell
        self._observer = Observer(client, keep_s=keep_s)
        self._nearby = Nearby(client)

    async def permissions(self) -> Mapping[str, frozenset[str]]:
        """Privileges that do not propagate are left out: they say nothing of what lies below."""
        granted = parse.table(await self._client.get("/access/permissions"))
        held = {
            path: frozenset(name for name, below in parse.table(names).items() if below)
            for path, names in granted.items()
        }
        return {path: names for path, names in held.items() if names}

    async def observe(self, *, keep_s: float | None = None, near: Near | None = None) -> ClusterState:
        """Where the entry point turns out to be cut off from the cluster, another one is looked for."""
        if near is not None and (found := await self._nearby.look(near)) is not None:
            return found
        began = self._client.clock.now()
        state = await self._observer.observe(keep_s)
        if not state.quorate and await self._client.find_quorum():
            state = await self._observer.observe()
        self._nearby.whole(state, began)
        return state

    async def own_addresses(self, guest: Guest) -> Sequence[str]:
        cards = own_addresses.cards(parse.table(await self._client.get(f"{_path(guest)}/config")))
        if guest.kind is GuestKind.LXC:
            return own_addresses.by_node(await self._client.get(f"{_path(guest)}/interfaces"), cards)
        try:
            told = await self._client.get(f"{_path(guest)}/agent/network-get-interfaces")
        except Forbidden:
            raise
        except Refused as error:
            raise Refused(error.message.rpartition("interfaces: ")[2], remedy=error.remedy) from None
        return own_addresses.by_agent(told, cards)

    async def precondition(self, guest: Guest, target: NodeId) -> Precondition:
        """PVE's own answer. Its ``allowed_nodes`` names offline nodes too and ``not_allowed_nodes`` holds empty
        objects for allowed ones, so only objects with something in them count."""
        data = parse.table(await self._client.get(f"{_path(guest)}/migrate", target=target.name))
        return precondition(data)

    async def migrate(
        self,
        guest: Guest,
        target: NodeId,
        *,
        online: bool,
        with_local_disks: bool = False,
        target_storage: str | None = None,
        with_conntrack: bool = False,
        limit_bytes_s: float = 0.0,
    ) -> Task:
        form: dict[str, Any] = {"target": target.name, "bwlimit": int(limit_bytes_s / KIB) or None}
        if guest.kind is GuestKind.QEMU:
            form |= {"online": online or None, "with-local-disks": with_local_disks or None}
            form |= {"targetstorage": target_storage, "with-conntrack-state": with_conntrack or None}
        else:
            form |= {"restart": online or guest.running or None, "target-storage": target_storage}
        return await self._task("POST", f"{_path(guest)}/migrate", **form)

    async def ha_migrate(self, guest: Guest, target: NodeId) -> None:
        sid = _sid(guest)
        answer = await self._client.effect("POST", f"/cluster/ha/resources/{sid}/migrate", node=target.name)
        blocking = parse.rows(parse.table(answer).get("blocking-resources"))
        if blocking:
            named = ", ".join(f"{row.get('sid')} ({row.get('cause')})" for row in blocking)
            raise Refused(
                f"{self.name}: HA will not move {sid} to {target.name}: blocked by {named}",
                remedy="choose another target, or move those first",
            )

    async def shutdown_guest(self, guest: Guest, timeout_s: int) -> Task:
        return await self._task("POST", f"{_path(guest)}/status/shutdown", timeout=timeout_s, forceStop=False)

    async def start_guest(self, guest: Guest) -> Task:
        return await self._task("POST", f"{_path(guest)}/status/start")

    async def task(self, upid: str) -> Task:
        return parse.task_status(await self._client.get(f"{self._task_path(upid)}/status"))

    async def moves_made(self, guest: Guest, source: NodeId, since: datetime) -> Sequence[Task]:
        data = await self._client.get(
            f"/nodes/{source.name}/tasks",
            vmid=guest.id.vmid,
            typefilter="qmigrate" if guest.kind is GuestKind.QEMU else "vzmigrate",
            since=int(since.timestamp()),
        )
        return [task for task in parse.finished_tasks(data) if task.ok]

    async def progress(self, upid: str) -> MigrationProgress | None:
        path = f"{self._task_path(upid)}/log"
        # A log grows by a line a second; its total is not known before the first look: find the end, then read it.
        start = 0
        lines: list[str] = []
        begin: list[str] = []  # of the first page: it says where the migration goes
        for _ in range(64):
            page = log_lines(await self._client.get(path, start=start, limit=LOG_TAIL * 5))
            begin = begin or [line for line in page if migration_target(line)]
            lines = [*lines[-LOG_TAIL:], *page]
            if len(page) < LOG_TAIL * 5:
                break
            start += len(page)
        return migration_progress([*begin, *lines])

    async def set_drive(self, guest: Guest, drive: str, volume: str | None) -> None:
        """Its kept configuration is forgotten whatever the answer: the next look reads what is so."""
        try:
            value = f"{volume or 'none'},media=cdrom"
            await self._client.effect("PUT", f"{_path(guest)}/config", **{drive: value})
        finally:
            self._observer.forget(guest.id)

    async def cancel(self, upid: str) -> None:
        await self._client.effect("DELETE", self._task_path(upid))

    async def ceph_service(self, node: NodeId, action: str, service: str) -> Task:
        if action not in ("start", "stop"):
            raise ValueError(f"not an action on a Ceph service: {action!r}")
        return await self._task("POST", f"/nodes/{node.name}/ceph/{action}", service=service)

    async def shutdown_node(self, node: NodeId) -> None:
        await self._client.effect("POST", f"/nodes/{node.name}/status", command="shutdown")

    async def maintenance_mode(self, node: NodeId, on: bool) -> None:
        """Asked for on another online node: the CRM carries it out, and ``node`` may be about to go or just back."""
        if self._shell is None:
            raise Broken(
                f"{self.name}: HA maintenance mode can be set by command only, and no shell is configured",
                remedy=f"set [clusters.{self.name}.shell]",
            )
        argv = ["ha-manager", "crm-command", "node-maintenance", "enable" if on else "disable", node.name]
        last: Retryable | None = None
        for other in await self._others(node):
            try:
                done = await self._shell.run(other, argv)
            except Retryable as error:
                last = error
                continue
            if done.exit != 0:
                raise Refused(f"{self.name}: {' '.join(argv)} on {other.name}: {_said(done.stderr, done.exit)}")
            return
        raise last or Retryable(f"{self.name}: no other node is online to run {' '.join(argv)} on")

    async def add_node_rule(self, name: str, guests: Sequence[Guest], nodes: Sequence[str]) -> None:
        await self._client.effect(
            "POST",
            "/cluster/ha/rules",
            rule=name,
            type="node-affinity",
            resources=",".join(_sid(guest) for guest in guests),
            nodes=",".join(nodes),
            strict=True,
            comment="noout keeps a node free for its maintenance; deleted when that is over",
        )

    async def delete_rule(self, name: str) -> None:
        await self._client.effect("DELETE", f"/cluster/ha/rules/{name}")

    async def set_failback(self, guest: Guest, on: bool) -> None:
        await self._client.effect("PUT", f"/cluster/ha/resources/{_sid(guest)}", failback=on)

    async def set_onboot(self, guest: Guest, on: bool) -> None:
        """Its kept configuration is forgotten whatever the answer: the next look reads what is so."""
        try:
            await self._client.effect("PUT", f"{_path(guest)}/config", onboot=on)
        finally:
            self._observer.forget(guest.id)

    async def set_crs(self, value: str) -> None:
        form = {"crs": value} if value else {"delete": "crs"}
        await self._client.effect("PUT", "/cluster/options", **form)

    async def describe(self, node: NodeId) -> Description:
        found = parse.table(await self._client.get(f"/nodes/{node.name}/config"))
        return Description(str(found.get("description") or ""), str(found.get("digest") or ""))

    async def set_description(self, node: NodeId, text: str, digest: str) -> None:
        form = {"description": text} if text else {"delete": "description"}
        if digest:
            form["digest"] = digest
        await self._client.effect("PUT", f"/nodes/{node.name}/config", **form)

    async def set_cluster_noout(self, on: bool) -> None:
        await self._client.effect("PUT", "/cluster/ceph/flags/noout", value=on)

    async def _others(self, node: NodeId) -> Sequence[NodeId]:
        """Online nodes, ``node`` itself last."""
        _, members = parse.membership(await self._client.get("/cluster/status"))
        online = sorted(name for name, row in members.items() if parse.boolean(row.get("online")))
        return [NodeId(self.name, name) for name in sorted(online, key=lambda name: name == node.name)]

    async def _task(self, method: str, path: str, /, **form: Any) -> Task:
        upid = await self._client.effect(method, path, **form)
        try:
            return parse.task_from_upid(str(upid))
        except ValueError:
            raise UnknownOutcome(
                f"{self.name}: {method} {path} was answered without a task", remedy="look at the cluster's tasks"
            ) from None

    def _task_path(self, upid: str) -> str:
        try:
            return f"/nodes/{parse.upid_node(upid)}/tasks/{upid}"
        except ValueError as error:
            raise Refused(f"{self.name}: {error}") from None


def _path(guest: Guest) -> str:
    return f"/nodes/{guest.node.name}/{guest.kind.value}/{guest.id.vmid}"


def _sid(guest: Guest) -> str:
    return guest.ha.sid if guest.ha else f"{parse.SID_PREFIX[guest.kind]}:{guest.id.vmid}"


def _said(stderr: str, code: int) -> str:
    return (stderr.strip().splitlines() or [f"exit code {code}"])[-1]


def precondition(data: Mapping[str, Any]) -> Precondition:
    """``GET .../migrate``: QEMU's spelling with underscores and LXC's with hyphens."""
    blocked = parse.table(data.get("not_allowed_nodes", data.get("not-allowed-nodes")))
    disks = parse.rows(data.get("local_disks"))
    resources = data.get("local_resources")
    return Precondition(
        running=parse.boolean(data.get("running")),
        local_disks=tuple(str(row.get("volid") or row.get("drivename") or "") for row in disks),
        local_resources=tuple(str(each) for each in resources) if isinstance(resources, list) else (),
        blocked={str(name): why for name, row in sorted(blocked.items()) if (why := _why(parse.table(row)))},
    )


def _why(row: Mapping[str, Any]) -> tuple[str, ...]:
    said = []
    for key, value in sorted(row.items()):
        if not value:
            continue
        each = [item.get("sid", item) if isinstance(item, Mapping) else item for item in value] if isinstance(
            value, list
        ) else [value]  # fmt: skip
        said.append(f"{key.replace('_', ' ').replace('-', ' ')}: {', '.join(str(item) for item in each)}")
    return tuple(said)
