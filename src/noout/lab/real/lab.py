"""The lab with real parts, put together inside its box: ``async with real_lab(folder, port=0, guests=6) as server``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from noout.lab.clock import wall_now
from noout.lab.real import box
from noout.lab.real.boards import Boards
from noout.lab.real.ceph import HOSTS, POOL, Places, RealCeph
from noout.lab.real.image import build
from noout.lab.real.machines import DISK_BYTES, Machines
from noout.lab.real.needs import PARTS, QEMU, lacking_for_ceph
from noout.lab.real.network import Network, run
from noout.lab.real.qemu import accelerator
from noout.lab.real.serve import RealServer
from noout.lab.real.world import real_world
from noout.lab.wire.pve.guests import mac_of
from noout.lab.world.model import Cluster

AT_ONCE = 2  # guests that boot together


@asynccontextmanager
async def real_lab(
    folder: Path, *, port: int, guests: int, with_ceph: bool, say: Callable[[str], None] = lambda text: None
) -> AsyncIterator[RealServer]:
    """``folder``: its box's own. Everything in it is up when the block begins, the sockets too."""
    place = await _place(folder)
    await run("mount", "-t", "tmpfs", "tmpfs", "/run")  # where namespaces have their names; this box's alone
    network = Network(HOSTS)
    await network.lay()
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(build, PARTS, folder)
        how = await accelerator(folder, folder)
        say(f"guests run with {'KVM' if how == 'kvm' else 'TCG: no KVM here that works'}")
        ceph = await _ceph(stack, folder, network) if with_ceph and not lacking_for_ceph() else None
        say("Ceph runs" if ceph else f"no Ceph: {lacking_for_ceph() or 'not asked for'}")
        world = real_world(wall_now(), guests, ceph)
        (cluster,) = world.clusters.values()
        boards = Boards(folder, {node: bmc.serial for node, bmc in cluster.bmcs.items()})
        await boards.start()
        macs = {vmid: mac_of(guest, 0) for vmid, guest in cluster.guests.items()}
        on_rbd = ceph is not None and await _reads_rbd()
        machines = Machines(folder, network, how, macs, lambda vmid: _disk(folder, vmid, ceph if on_rbd else None))
        await _disks(folder, list(cluster.guests), ceph if on_rbd else None)
        server = RealServer(world, network, machines, boards, ceph, port=port, place=place)
        await stack.enter_async_context(server)
        await _boot(cluster, machines)
        say(f"{len(cluster.guests)} guests run, their disks {'in Ceph' if on_rbd else 'in files that all nodes share'}")
        yield server


async def _place(folder: Path) -> str:
    """Where this box is for others: whoever started it has written it down, or is about to."""
    for _ in range(500):
        if await asyncio.to_thread((folder / box.PLACE).exists):
            return await asyncio.to_thread((folder / box.PLACE).read_text)
        await asyncio.sleep(0.02)
    raise RuntimeError("whoever started this lab does not say where it is")


async def _ceph(stack: AsyncExitStack, folder: Path, network: Network) -> RealCeph:
    places = Places(
        {host: network.storage_address(host) for host in HOSTS},
        "10.79.0.0/24",
        {host: ("ip", "netns", "exec", host) for host in HOSTS},
    )
    return await stack.enter_async_context(RealCeph(places, parent=folder))


async def _reads_rbd() -> bool:
    """Whether this QEMU has the driver for Ceph's images: a package of its own, of the same build."""
    argv = (QEMU, "-M", "none", "-nodefaults", "-display", "none", "-drive", "if=none,file=rbd:a/b:conf=/dev/null")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    told, _ = await process.communicate()  # it has no cluster to find, and ends
    return b"module" not in told and b"Unknown protocol" not in told


async def _disks(folder: Path, vmids: list[int], ceph: RealCeph | None) -> None:
    for vmid in vmids:
        if ceph is None:
            with (folder / f"vm-{vmid}-disk-0.raw").open("wb") as file:
                file.truncate(DISK_BYTES)
        else:
            image = f"{POOL}/vm-{vmid}-disk-0"
            await ceph.run(["rbd", "create", "--size", f"{DISK_BYTES}B", image])


def _disk(folder: Path, vmid: int, ceph: RealCeph | None) -> str:
    if ceph is None:
        return f"file={folder}/vm-{vmid}-disk-0.raw,format=raw,cache=none"
    return f"file=rbd:{POOL}/vm-{vmid}-disk-0:conf={ceph.conf},format=raw,cache=none"


async def _boot(cluster: Cluster, machines: Machines) -> None:
    few = asyncio.Semaphore(AT_ONCE)

    async def boot(vmid: int) -> None:
        async with few:
            await machines.start(vmid, cluster.guests[vmid].node)
            cluster.guests[vmid].status = "running"
            cluster.guests[vmid].started_at = wall_now()

    await asyncio.gather(*(boot(vmid) for vmid in cluster.guests))
