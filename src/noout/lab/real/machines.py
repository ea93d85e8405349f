"""The guests' QEMU processes: started, moved, ended; and who ended without being asked to."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path

from noout.lab.real.clients import get
from noout.lab.real.network import Network, guest_address
from noout.lab.real.qemu import BOOT_TRIES, Hardware, Machine, launch

DISK_BYTES = 16 << 20
PORT = 60000  # where an incoming migration is waited for, and up


class Machines:
    """``running``: by vmid, where each guest is. ``on_end(vmid, node)`` hears of a process that ended by itself."""

    def __init__(
        self, folder: Path, network: Network, accelerator: str, macs: dict[int, str], disks: Callable[[int], str]
    ) -> None:
        self.folder, self.network, self.accelerator = folder, network, accelerator
        self.macs, self.disks = macs, disks
        self.running: dict[int, Machine] = {}
        self.arriving: dict[int, Machine] = {}  # the latest that waited, or waits, for each
        self.on_end: Callable[[int, str], None] = lambda vmid, node: None
        self.unlearned: set[str] = set()  # nodes whose bridge forgets a newcomer's port (a fault)
        self._count = itertools.count()
        self._watching: set[asyncio.Task[None]] = set()

    async def start(self, vmid: int, node: str) -> None:
        """Boot it; one that hangs is ended and tried again. RuntimeError when it does not come up."""
        for _ in range(BOOT_TRIES):
            machine = await self._launch(vmid, node, "")
            if await machine.booted():
                self.adopt(vmid, machine)
                return
            await self.discard(vmid, machine)
        raise RuntimeError(f"guest {vmid} did not start in {BOOT_TRIES} tries")

    async def incoming(self, vmid: int, node: str) -> tuple[Machine, str]:
        """One that waits, stopped, for the guest to come in; and the URI to send it to."""
        uri = f"tcp:{self.network.migration_address(node)}:{PORT + vmid % 1000}"
        machine = self.arriving[vmid] = await self._launch(vmid, node, uri)
        return machine, uri

    async def _launch(self, vmid: int, node: str, incoming: str) -> Machine:
        tap = f"tap{vmid}i0"
        await self.network.plug(node, tap, learned=not (incoming and node in self.unlearned))
        hardware = Hardware(
            self.folder, guest_address(vmid), tap, self.macs[vmid], self.accelerator, disk=self.disks(vmid)
        )
        said = self.folder / f"{vmid}-{next(self._count)}"
        try:
            return await launch(hardware, node, said, inside=("ip", "netns", "exec", node), incoming=incoming)
        except RuntimeError:
            await self.network.unplug(node, tap)
            raise

    async def dirty(self, vmid: int, mib_per_s: int) -> None:
        """From now on the guest rewrites so much of its memory."""
        await get(guest_address(vmid), f"/dirty/{mib_per_s}")

    def kill(self, vmid: int, arriving: bool) -> None:
        """End its process, or the one that waits for it to arrive, without a word."""
        machine = (self.arriving if arriving else self.running).get(vmid)
        if machine is not None:
            machine.process.kill()

    def adopt(self, vmid: int, machine: Machine) -> None:
        """From now on this one is the guest."""
        self.running[vmid] = machine
        task = asyncio.create_task(self._watch(vmid, machine))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _watch(self, vmid: int, machine: Machine) -> None:
        await machine.process.wait()
        if self.running.get(vmid) is machine:
            del self.running[vmid]
            await self._unplug(vmid, machine.host)
            self.on_end(vmid, machine.host)

    async def stop(self, vmid: int) -> None:
        """Pull its plug."""
        machine = self.running.pop(vmid, None)
        if machine is not None:
            await self.discard(vmid, machine)

    async def discard(self, vmid: int, machine: Machine) -> None:
        """End a process that is no guest, or not any more."""
        await machine.end()
        await self._unplug(vmid, machine.host)

    async def _unplug(self, vmid: int, node: str) -> None:
        with contextlib.suppress(RuntimeError):  # gone with it
            await self.network.unplug(node, f"tap{vmid}i0")
