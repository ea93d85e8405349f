"""What the doctor asks of a Proxmox VE cluster beside the observation. Reading only; ``Sys.Audit`` is enough.

A question that is refused, or that this version does not know, leaves its fact empty and is named in ``unread``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Sequence
from typing import Any

from noout.adapters.pve import parse
from noout.adapters.pve.client import PveClient
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError, Untrusted
from noout.domain.survey import BoundJob, ClusterSurvey, NodeSurvey, RemoteStorage, SystemDisk, Unread

AT_ONCE = 8  # questions in flight
ROUNDING_S = 0.5  # a node tells its time in whole seconds
ALIKE = ("pve-manager", "qemu-server", "pve-qemu-kvm", "pve-container", "pve-ha-manager", "corosync", "ceph")

_KERNEL = re.compile(r"(?:proxmox|pve)-kernel-(\d+\.\d+\.\d+-\d+-pve)(?:-signed)?")


class PveSurveyor:
    """Asks one cluster."""

    def __init__(self, client: PveClient) -> None:
        self._client = client
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._unread: list[Unread] = []

    async def survey(self, nodes: Sequence[NodeId]) -> ClusterSurvey:
        """``nodes``: those that are online. Raises nothing but Untrusted: what cannot be read is named."""
        self._unread = []
        backups, replications, stores, zones, points, of_nodes = await asyncio.gather(
            self._rows("/cluster/backup", "the backup jobs"),
            self._rows("/cluster/replication", "the replication jobs"),
            self._rows("/storage", "the storages' configuration"),
            self._rows("/cluster/sdn/zones", "the SDN zones"),
            self._client.try_each("/version"),
            asyncio.gather(*(self._node(node) for node in nodes)),
        )
        return ClusterSurvey(
            cluster=self._client.name,
            nodes=tuple(of_nodes),
            jobs=(*backup_jobs(backups), *replication_jobs(replications)),
            storages=remote_storages(stores),
            exits=exits(zones),
            entry_points=points,
            unread=tuple(self._unread),
        )

    async def _node(self, node: NodeId) -> NodeSurvey:
        base = f"/nodes/{node.name}"
        (time, ahead_s, doubt_s), packages, network, disks = await asyncio.gather(
            self._time(node),
            self._rows(f"{base}/apt/versions", f"{node.name}'s packages"),
            self._ask(f"{base}/network", f"{node.name}'s network", "changes"),
            self._rows(f"{base}/disks/list", f"{node.name}'s disks"),
        )
        running, newest = kernels(packages)
        return NodeSurvey(
            node=node,
            clock_ahead_s=ahead_s if time else None,
            clock_doubt_s=doubt_s,
            kernel_running=running,
            kernel_newest=newest,
            packages=alike(packages),
            network_changes=str(network or ""),
            disks=system_disks(disks),
        )

    async def _time(self, node: NodeId) -> tuple[int, float, float]:
        async with self._gate:
            before = self._client.clock.now()
            told = await self._quietly(self._client.get(f"/nodes/{node.name}/time"), f"{node.name}'s time")
            after = self._client.clock.now()
        took_s = (after - before).total_seconds()
        time = parse.whole(parse.table(told).get("time"))
        return time, time + ROUNDING_S - (before.timestamp() + took_s / 2), ROUNDING_S + took_s / 2

    async def _rows(self, path: str, what: str) -> list[parse.Row]:
        return parse.rows(await self._ask(path, what))

    async def _ask(self, path: str, what: str, attribute: str = "data") -> Any:
        async with self._gate:
            answer = await self._quietly(self._client.get_whole(path), what)
        return parse.table(answer).get(attribute)

    async def _quietly(self, question: Awaitable[Any], what: str) -> Any:
        try:
            return await question
        except Untrusted:
            raise
        except NooutError as error:
            self._unread.append(Unread(f"{self._client.name}: {what}", error.message))
            return None


# --- what the answers mean ------------------------------------------------------------------------------------


def backup_jobs(rows: Sequence[parse.Row]) -> tuple[BoundJob, ...]:
    """Those that are enabled and bound to one node: the others run wherever their guests are."""
    return tuple(
        BoundJob("backup", str(row.get("id") or ""), str(row["node"]), str(row.get("schedule") or ""))
        for row in rows
        if row.get("node") and parse.boolean(row.get("enabled", 1))
    )


def replication_jobs(rows: Sequence[parse.Row]) -> tuple[BoundJob, ...]:
    """Each job concerns two nodes: where the guest is, and where its copy goes."""
    found = []
    for row in rows:
        if parse.boolean(row.get("disable")):
            continue
        about = f"guest {row.get('guest')}"
        for kind, node in (("replication from", row.get("source")), ("replication to", row.get("target"))):
            if node:
                found.append(BoundJob(kind, str(row.get("id") or ""), str(node), about))
    return tuple(found)


def remote_storages(rows: Sequence[parse.Row]) -> tuple[RemoteStorage, ...]:
    """``server``; for iSCSI the portal without its port."""
    found = []
    for row in rows:
        server = str(row.get("server") or str(row.get("portal") or "").partition(":")[0])
        if server and not parse.boolean(row.get("disable")):
            content = parse.words(row.get("content"))
            found.append(RemoteStorage(str(row.get("storage") or ""), str(row.get("type") or ""), server, content))
    return tuple(found)


def exits(rows: Sequence[parse.Row]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(row.get("zone") or ""), node) for row in rows for node in sorted(parse.words(row.get("exitnodes")))
    )


def kernels(rows: Sequence[parse.Row]) -> tuple[str, str]:
    """(running, the newest that is installed); "" where the list does not say."""
    running = next((str(row["RunningKernel"]) for row in rows if row.get("RunningKernel")), "")
    installed = {
        match[1]
        for row in rows
        if str(row.get("CurrentState") or "Installed") == "Installed"
        and (match := _KERNEL.fullmatch(str(row.get("Package") or "")))
    }
    return running, max(installed, key=_order, default="")


def _order(release: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", release))


def alike(rows: Sequence[parse.Row]) -> dict[str, str]:
    """The packages that must agree between nodes, with the version that is installed."""
    versions = {str(row.get("Package")): str(row.get("OldVersion") or row.get("Version") or "") for row in rows}
    return {name: versions[name] for name in ALIKE if versions.get(name)}


def system_disks(rows: Sequence[parse.Row]) -> tuple[SystemDisk, ...]:
    """Disks in use that hold no OSD."""
    found = []
    for row in rows:
        if not row.get("used") or parse.whole(row.get("osdid"), -1) >= 0 or row.get("osdid-list"):
            continue
        wear = row.get("wearout")
        known = isinstance(wear, int | float) or str(wear).isdigit()
        health = str(row.get("health") or "UNKNOWN")
        found.append(SystemDisk(str(row.get("devpath") or ""), health, parse.number(wear) if known else None))
    return tuple(found)
