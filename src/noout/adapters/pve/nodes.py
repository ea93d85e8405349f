"""What Proxmox VE says of its nodes' health: whether the cluster counts a node in, and SMART's word on its disks.

The Exporters port over the API; ``Sys.Audit`` is enough. PVE runs ``smartctl`` on every disk of the node that is asked,
so each node is asked once an hour at most, one at a time, and never in the first look. That a disk is failing is known
from the API's description and from smartctl's words; no cluster with disks of its own was ever recorded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from noout.adapters.pve import parse
from noout.adapters.pve.client import PveClient
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError, Retryable
from noout.domain.hardware import Reading, SensorKind, Unit
from noout.ports import HostReport

log = logging.getLogger(__name__)

SMART_EVERY = timedelta(hours=1)
SMART_OLD = timedelta(hours=3)  # then it says nothing any more
STATUS_WALL_S, SMART_WALL_S = 20.0, 60.0  # smartctl on two dozen disks takes its time, on a sick one more
DISKS_MAX, NAME_MAX = 500, 100


class PveNodes:
    """One cluster. ``smart`` False: its disks are left alone."""

    def __init__(self, client: PveClient, *, smart: bool = True) -> None:
        self._client = client
        self._smart = smart
        self._asked: dict[NodeId, datetime] = {}  # when its disks were asked for last, or it was seen first
        self._disks: dict[NodeId, tuple[datetime, tuple[Reading, ...]]] = {}

    async def observe(self) -> Mapping[NodeId, HostReport]:
        """Every node of the cluster. Nothing is known where those that answer have no quorum. Raises Retryable,
        Refused, Forbidden or Broken."""
        online = await self._members()
        if self._smart:
            await self._ask_one([node for node, there in online.items() if there])
        now = self._client.clock.now()
        fresh = {node: disks for node, (at, disks) in self._disks.items() if now - at <= SMART_OLD}
        return {node: HostReport(host=fresh.get(node, ()), online=there) for node, there in online.items()}

    async def _members(self) -> dict[NodeId, bool]:
        try:
            async with asyncio.timeout(STATUS_WALL_S):
                quorate, members = parse.membership(await self._client.get("/cluster/status"))
        except TimeoutError:
            raise Retryable(f"{self._client.name}: no answer within {STATUS_WALL_S:.0f} s") from None
        if not quorate:
            return {}
        return {NodeId(self._client.name, name): str(row.get("online")) == "1" for name, row in members.items()}

    async def _ask_one(self, nodes: list[NodeId]) -> None:
        """The node whose turn it is, if any; what fails is asked again in its next turn."""
        now = self._client.clock.now()
        for number, node in enumerate(sorted(set(nodes) - self._asked.keys())):  # spread over the hour
            self._asked[node] = now - SMART_EVERY + SMART_EVERY * (number + 1) / (len(nodes) + 1)
        due = [node for node in nodes if now - self._asked[node] >= SMART_EVERY]
        if not due:
            return
        node = min(due, key=lambda each: self._asked[each])
        self._asked[node] = now
        try:
            async with asyncio.timeout(SMART_WALL_S):
                rows = await self._client.get(f"/nodes/{node.name}/disks/list")
        except (NooutError, TimeoutError) as error:
            log.info("watch: %s does not tell of its disks: %s", node, error)
            return
        self._disks[node] = (now, disks(rows))


def disks(rows: Any) -> tuple[Reading, ...]:
    """The disks of which SMART says something. PVE passes on what smartctl prints: PASSED, or FAILED! (ATA, NVMe);
    OK, or FAILURE PREDICTION THRESHOLD EXCEEDED and the like (SCSI); UNKNOWN where there is no SMART."""
    found = {}
    for row in parse.rows(rows)[:DISKS_MAX]:
        device = PurePosixPath(str(row.get("devpath") or "")).name[:NAME_MAX]
        said = str(row.get("health") or "").upper()
        if not device or row.get("parent"):
            continue
        if "FAIL" in said:
            found[device] = Reading(device, SensorKind.DISK, 0.0, Unit.STATE, health="Critical")
        elif said in ("PASSED", "OK"):
            found[device] = Reading(device, SensorKind.DISK, 1.0, Unit.STATE, health="OK")
    return tuple(found.values())
