"""A cluster like the recorded one (three nodes, guests 100 to 103 and 200), and clients to ask it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2

from noout.lab.clock import ManualClock
from noout.lab.wire.pve import pve_app
from noout.lab.world.laws import Laws
from noout.lab.world.model import (
    Bmc,
    Ceph,
    Cluster,
    Disk,
    GiB,
    Guest,
    Ha,
    HaResource,
    HaService,
    Lrm,
    Mgr,
    MiB,
    Mon,
    Node,
    Osd,
    Pg,
    Pool,
    Storage,
    Token,
    World,
)
from tests.support.asgi import AsgiNetwork

EPOCH = 1795391800.0
NODES = ("pve1", "pve2", "pve3")
OPERATOR = frozenset(
    {
        "VM.Audit",
        "VM.Migrate",
        "VM.PowerMgmt",
        "Datastore.Audit",
        "Pool.Audit",
        "Sys.Audit",
        "Sys.PowerMgmt",
        "Sys.Modify",
        "Sys.Console",
    }
)
TOKENS = {
    "root": Token("root@pam", "lab", "11111111-root", {"/": frozenset({"*"})}),
    "orch": Token("noout@pve", "orch", "22222222-orch", {"/": OPERATOR}),
    "none": Token("noout@pve", "none", "33333333-none", {"/": frozenset()}),
    "ops": Token("ops@pve", None, "Secret123!", {"/": OPERATOR}),
}


def guest(vmid: int, name: str, node: str = "pve1", **other: Any) -> Guest:
    disks = [Disk("scsi0", f"shared:{vmid}/vm-{vmid}-disk-0.raw", GiB)]
    values: dict[str, Any] = {"maxmem": 256 * MiB, "cores": 1, "disks": disks, "onboot": False, "agent": False}
    return Guest(vmid, name, "qemu", node, **{**values, "started_at": EPOCH - 300, **other})


def container(vmid: int, name: str, node: str = "pve1") -> Guest:
    disk = Disk("rootfs", f"shared:{vmid}/subvol-{vmid}-disk-0.subvol", 4 * GiB)
    return Guest(vmid, name, "lxc", node, "stopped", 64 * MiB, 2, disks=[disk], tags=["prod"], onboot=False)


def ceph() -> Ceph:
    osds = {i: Osd(i, name, f"uuid-{i}", 600_000_000, 300_000_000) for i, name in enumerate(NODES)}
    pgs = {
        f"{p}.{n:x}": Pg(f"{p}.{n:x}", [0, 1, 2], up=[0, 1, 2]) for p, count in ((1, 1), (2, 8)) for n in range(count)
    }
    return Ceph(
        fsid="68d26c9e-4e3d-4724-9317-3d3ab92166c2",
        version="16.2.15",
        osds=osds,
        mons={name: Mon(name, i, f"10.77.0.{i + 1}") for i, name in enumerate(NODES)},
        mgrs={name: Mgr(name) for name in NODES[:2]},
        mgr_active="pve1",
        pools={1: Pool(1, "device_health_metrics", pg_num=1), 2: Pool(2, "vmpool", pg_num=8)},
        pgs=pgs,
    )


def recorded_cluster() -> Cluster:
    web = ["prod", "web"]
    guests = [
        guest(100, "web100", "pve2", tags=web),
        guest(101, "web101", "pve1", tags=web),
        guest(102, "db102", "pve3", status="stopped", maxmem=128 * MiB),
        guest(103, "mail103", "pve1"),
        container(200, "ct200"),
    ]
    sids = {"vm:100": "pve2", "vm:101": "pve1"}
    return Cluster(
        name="lab",
        nodes={
            name: Node(
                name, i + 1, f"10.77.0.{i + 1}", booted_at=EPOCH - 1800, maxmem=24 * GiB, base_mem=5 * GiB, cores=2
            )
            for i, name in enumerate(NODES)
        },
        guests={g.vmid: g for g in guests},
        storages={
            "shared": Storage("shared", "dir", True, "images,rootdir", 270 * GiB, {"": 45 * GiB}),
            "local": Storage(
                "local", "dir", False, "backup,images,rootdir,vztmpl,snippets,iso", 2 * GiB, dict.fromkeys(NODES, MiB)
            ),
        },
        pools={},
        ha=Ha(
            master="pve3",
            resources={"vm:100": HaResource("vm:100", comment="web"), "vm:101": HaResource("vm:101")},
            services={sid: HaService(sid, node, uid=f"uid-{sid}") for sid, node in sids.items()},
            lrm={n: Lrm(state="wait_for_agent_lock" if n == "pve3" else "active", timestamp=EPOCH) for n in NODES},
            node_status=dict.fromkeys(NODES, "online"),
            timestamp=EPOCH,
        ),
        ceph=ceph(),
        bmcs={name: Bmc(name) for name in NODES},
        tokens=copy.deepcopy(list(TOKENS.values())),
    )


@dataclass
class Answer:
    status: int
    reason: str
    body: bytes
    json: Any


class Site:
    """The cluster, its clock (moved by hand) and a way to ask any of its nodes."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        self.cluster = cluster or recorded_cluster()
        self.clock = ManualClock(EPOCH)
        self.world = World(1, EPOCH, EPOCH, {self.cluster.name: self.cluster})
        self.laws = Laws(self.world, self.clock)
        apps = {(n, 8006): pve_app(self.laws, self.cluster.name, n) for n in self.cluster.nodes}
        self.network = AsgiNetwork(apps)

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.forward(min(step, end - self.clock.now()))
            self.laws.advance()

    def ask(
        self,
        method: str,
        path: str,
        params: Any = None,
        *,
        token: str | None = "root",
        node: str = "pve1",
        headers: Mapping[str, str] | None = None,
        as_json: bool = False,
        envelope: str = "json",
        timeout: float = 5.0,
    ) -> Answer:
        """``params``: a mapping or pairs; in the query of a GET, in the body otherwise."""
        sent: dict[str, str] = dict(headers or {})
        if token is not None:
            held = TOKENS[token]
            sent["Authorization"] = f"PVEAPIToken={held.userid}!{held.name}={held.secret}"
        url = f"https://{node}:8006/api2/{envelope}{quote(path, safe='/?=&:!@')}"
        pairs = list(params.items()) if isinstance(params, Mapping) else list(params or [])
        body: dict[str, Any] = {}
        if method in ("GET", "DELETE"):
            if pairs and "?" not in url:
                body["params"] = [(k, str(v)) for k, v in pairs]
        elif as_json:
            body["json"] = dict(pairs)
        elif pairs:
            body["data"] = {k: str(v) for k, v in pairs}

        async def once() -> Answer:
            async with httpx2.AsyncClient(transport=self.network, timeout=timeout) as client:
                answer = await client.request(method, url, headers=sent, **body)
                parsed = answer.json() if answer.content else None
                return Answer(answer.status_code, answer.reason_phrase, answer.content, parsed)

        return asyncio.run(once())

    def follow(self, upid: str, limit_s: float = 600) -> tuple[Answer, Answer]:
        """Let a task end; its status and its whole log."""
        node = upid.split(":")[1]
        waited = 0.0
        while self.cluster.tasks[upid].status == "running" and waited < limit_s:
            self.pass_time(1)
            waited += 1
        base = f"/nodes/{node}/tasks/{upid}"
        return self.ask("GET", f"{base}/status"), self.ask("GET", f"{base}/log", {"limit": 500})
