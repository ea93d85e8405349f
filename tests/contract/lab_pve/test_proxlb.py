"""ProxLB, unmodified from the package index, evacuates a node of the lab that it is told to keep free.

It looks for its guests node by node, reads their tags, pools, HA rules and load curves, moves them, and follows the
tasks: HA-managed guests by the migration that HA starts long after it was asked. All on real TLS sockets.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from noout.lab.wire.serve import LabServer
from noout.lab.world.build import build_world
from noout.lab.world.model import Cluster
from tests.support.ownvenv import python_with

pytestmark = [pytest.mark.real, pytest.mark.slow]
PACKAGE = "proxlb==2.3.0"
FREED = "pve3"
SPEED = 20.0  # an HA guest takes about a minute to move, and ProxLB looks every five seconds


@pytest.fixture(scope="module")
def python() -> Path:
    return python_with(PACKAGE)


def config(cluster: Cluster, port: int) -> dict[str, object]:
    token = next(each for each in cluster.tokens if each.name == "lab" and each.userid.startswith("noout@"))
    return {
        "proxmox_api": {
            "hosts": [f"127.0.0.1:{port}"],
            "user": token.userid,
            "token_id": token.name,
            "token_secret": token.secret,
            "ssl_verification": False,
            "timeout": 30,
        },
        "proxmox_cluster": {"maintenance_nodes": [FREED], "overprovisioning": True},
        "balancing": {
            "enable": True,
            "parallel": True,
            "parallel_jobs": 20,
            "live": True,
            "balance_types": ["vm", "ct"],
            "balanciness": 100,  # the node is to be left, nothing else to be evened out
        },
        "service": {"daemon": False, "log_level": "DEBUG"},
    }


async def evacuate(python: Path, cluster: Cluster, port: int, folder: Path) -> str:
    """Run it once, to its end; what it logged."""
    file = folder / "proxlb.yaml"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config(cluster, port)))  # JSON is YAML
    process = await asyncio.create_subprocess_exec(
        python, "-m", "proxlb", "-c", file, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = out.decode()
    assert process.returncode == 0, said[-3000:]
    return said


def test_it_evacuates_a_node_listed_for_maintenance(python: Path, tmp_path: Path) -> None:
    world = build_world()
    cluster = next(iter(world.clusters.values()))
    cluster.guests[106].local_resources.clear()  # its dongle would keep it there, as ProxLB finds out by failing
    before = {vmid: guest.node for vmid, guest in cluster.guests.items()}
    leaving = {vmid for vmid, node in before.items() if node == FREED}
    kinds = Counter(cluster.guests[vmid].type for vmid in leaving)
    under_ha = {vmid for vmid in leaving if f"vm:{vmid}" in cluster.ha.resources}
    assert kinds["qemu"] > len(under_ha) > 0 and kinds["lxc"], "every kind of guest that it moves is there"

    async def story() -> str:
        async with LabServer(world, port=0, speed=SPEED) as lab:
            said = await evacuate(python, cluster, lab.base, tmp_path)
            for _ in range(200):  # its last look at an HA guest is at the task; HA itself ends a round later
                if all(each.state == "started" for each in cluster.ha.services.values()):
                    break
                await asyncio.sleep(0.05)
            return said

    said = asyncio.run(story())
    bad = [line for line in said.splitlines() if re.search(r" - (CRITICAL|ERROR) - |Traceback", line)]
    assert not bad, "\n".join(bad)
    assert "All guests processed and migrations completed." in said
    assert not [guest.name for guest in cluster.guests.values() if guest.node == FREED], said[-3000:]
    moved = {vmid for vmid, guest in cluster.guests.items() if guest.node != before[vmid]}
    assert moved >= leaving, "it may even out others on the way"
    assert all(cluster.guests[vmid].status == "running" and not cluster.guests[vmid].lock for vmid in moved)
    tasks = Counter((task.type, int(task.id)) for task in cluster.tasks.values() if task.exitstatus == "OK")
    by_kind = {"qmigrate": "qemu", "vzmigrate": "lxc"}
    assert {vmid for kind, vmid in tasks if kind == "hamigrate"} >= under_ha
    assert {(kind, vmid) for kind, vmid in tasks if kind in by_kind} == {
        (kind, vmid) for kind, type_ in by_kind.items() for vmid in moved if cluster.guests[vmid].type == type_
    }
    assert all(task.exitstatus == "OK" for task in cluster.tasks.values())
