"""The recordings of a real three-node cluster: replayed as a wire, and put together as a snapshot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from noout import codec
from noout.adapters.ceph.parse import Documents, ceph_state
from noout.adapters.http import Server
from noout.adapters.pve import PveClient, PveHypervisor
from noout.app.snapshot import FORMAT, VERSION, ClusterSnapshot, Snapshot
from noout.domain.ceph import CephState

API = "/api2/json"
NODES = ("pve1", "pve2", "pve3")


@dataclass(frozen=True)
class Recording:
    """One request and its answer, as on the wire."""

    name: str
    method: str
    path: str  # with its query, without /api2/json
    status: int
    reason: str
    document: Any  # None: no body

    @property
    def data(self) -> Any:
        return self.document.get("data") if isinstance(self.document, dict) else None

    def response(self) -> httpx2.Response:
        body = b"" if self.document is None else json.dumps(self.document).encode()
        return httpx2.Response(self.status, content=body, extensions={"reason_phrase": self.reason.encode()})


def recordings(folder: Path) -> list[Recording]:
    """Every recorded exchange of ``data/proxmox/responses`` (timelines are no exchanges)."""
    found = []
    for file in sorted(folder.glob("*.json")):
        raw = json.loads(file.read_text())
        if isinstance(raw, dict) and "request" in raw:
            request = raw["request"]
            path = request["url"].removeprefix(API)
            found.append(
                Recording(file.stem, request["method"], path, raw["status"], raw.get("reason", ""), raw.get("json"))
            )
    return found


class FixedClock:
    """A clock that stands still, and never waits."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class ReplayedCluster(httpx2.AsyncBaseTransport):
    """A wire that answers GETs from ``answers`` (path without query -> data) and counts what was asked."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix(API)
        self.asked.append(path)
        if path not in self.answers:
            return httpx2.Response(501, json={"data": None, "message": f"Method 'GET {path}' not implemented"})
        return httpx2.Response(200, json={"data": self.answers[path]})


def healthy_answers(folder: Path) -> dict[str, Any]:
    """The recorded cluster at rest. What was recorded of one node (its list of guests, its storages, its network)
    stands for its siblings, which were installed alike; guests are where ``/cluster/resources`` had them."""

    def data(name: str) -> Any:
        return json.loads((folder / f"{name}.json").read_text())["json"]["data"]

    resources = data("cluster-resources-with-pool")
    answers: dict[str, Any] = {
        "/version": data("version"),
        "/cluster/status": data("cluster-status"),
        "/nodes": data("nodes"),
        "/cluster/resources": resources,
        # The moment at which HA had its guests where this list has them.
        "/cluster/ha/status/current": data("ha-status-current-maint-disable-pve3"),
        "/cluster/ha/status/manager_status": data("ha-manager-status-maint-disable-pve3"),
        "/cluster/ha/resources": data("ha-resources"),
        "/cluster/ha/rules": data("ha-rules-list"),
        "/cluster/options": data("cluster-options"),
    }
    config = data("qemu-config")
    for node in NODES:
        mine = [row for row in resources if row.get("node") == node and row.get("type") in ("qemu", "lxc")]
        answers |= {
            f"/nodes/{node}/status": data("node-status"),
            f"/nodes/{node}/network": data("node-network"),
            f"/nodes/{node}/storage": data("node-storage"),
            f"/nodes/{node}/tasks": [],
        }
        for kind in ("qemu", "lxc"):
            listed = [{**row, "cpus": row["maxcpu"]} for row in mine if row["type"] == kind]
            answers[f"/nodes/{node}/{kind}"] = listed
            for row in listed:
                vmid = row["vmid"]
                disk = f"shared:{vmid}/vm-{vmid}-disk-0.raw,size=1G"
                answers[f"/nodes/{node}/{kind}/{vmid}/config"] = {**config, "name": row["name"], "scsi0": disk}
    return answers


def hypervisor_over(answers: Mapping[str, Any], name: str = "lab") -> tuple[PveHypervisor, ReplayedCluster]:
    wire = ReplayedCluster(answers)
    clock = FixedClock(datetime(2026, 11, 23, 0, 0, tzinfo=UTC))
    client = PveClient(name, [Server("https://pve1:8006", transport=wire)], "noout@pve!test=secret", clock)
    return PveHypervisor(client), wire


async def recorded_snapshot(folder: Path, ceph_phase: Path | None = None) -> dict[str, Any]:
    """The document that ``noout snapshot`` would have written of the recorded cluster.

    ``folder``: data/proxmox/responses; ``ceph_phase``: one folder of data/ceph (that cluster had a fourth host).
    """
    hypervisor, _ = hypervisor_over(healthy_answers(folder))
    state = await hypervisor.observe()
    ceph = ceph_recorded(ceph_phase, state.at) if ceph_phase else None
    document: dict[str, Any] = codec.encode(Snapshot(FORMAT, VERSION, state.at, (ClusterSnapshot(state, ceph),)))
    return document


def ceph_recorded(phase: Path, at: datetime) -> CephState:
    """One recorded phase of a real Ceph cluster; documents that were not recorded are absent."""

    def read(name: str) -> Any:
        file = phase / f"{name}.json"
        return json.loads(file.read_text()) if file.is_file() and file.stat().st_size else {}

    metadata = read("mon_metadata")
    return ceph_state(
        at,
        Documents(
            status=read("ceph_s"),
            osd_dump=read("osd_dump"),
            osd_tree=read("osd_tree"),
            osd_df=read("osd_df"),
            mon_dump=read("mon_dump"),
            mgr_dump=read("mgr_dump"),
            mon_metadata=tuple(metadata) if isinstance(metadata, list) else (),
        ),
    )
