"""QEMU processes, and a migration between two of them in qemu-server's order and with its parameters."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from noout.lab.real.needs import QEMU
from noout.lab.world.precopy import size

RAM_MIB, ARENA_MIB = 128, 32
BOOT_LIMIT_S, BOOT_TRIES = 60.0, 3  # about one boot in seventy never ends
UNLIMITED = 0  # what QEMU may send: as much as the link takes
DOWNTIME_LIMIT_MS = 100  # qemu-server's default
POORER_MAX = 5  # looks at which more is left than before, until qemu-server doubles the limit
WORDS = ("console=ttyS0", "quiet", "panic=-1", "mitigations=off", "random.trust_cpu=on")
KVM_LIMIT_S = 10.0


class Qmp:
    """QEMU's monitor: one question at a time; events are passed over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(cls, path: Path, process: asyncio.subprocess.Process) -> Self:
        async with asyncio.timeout(20):
            while True:
                try:
                    streams = await asyncio.open_unix_connection(str(path))
                    break
                except OSError:
                    if process.returncode is not None:
                        raise RuntimeError(f"QEMU ended with {process.returncode} before it listened") from None
                    await asyncio.sleep(0.02)
        qmp = cls(*streams)
        await qmp._reader.readline()  # the greeting
        await qmp.execute("qmp_capabilities")
        return qmp

    async def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """What it returns; RuntimeError with QEMU's words when it refuses."""
        asked = {"execute": command} | ({"arguments": arguments} if arguments else {})
        async with self._turn, asyncio.timeout(30):
            try:
                self._writer.write(json.dumps(asked).encode() + b"\n")
                while line := await self._reader.readline():
                    answer = json.loads(line)
                    if "return" in answer:
                        return answer["return"]
                    if "error" in answer:
                        raise RuntimeError(f"{command}: {answer['error']['desc']}")
            except ConnectionError as error:
                raise RuntimeError(f"{command}: {error}") from error
        raise RuntimeError(f"{command}: QEMU hung up")

    def close(self) -> None:
        self._writer.close()


@dataclass
class Machine:
    """One QEMU process on one of the hosts."""

    host: str
    process: asyncio.subprocess.Process
    qmp: Qmp
    console: Path

    async def status(self) -> str:
        return str((await self.qmp.execute("query-status"))["status"])

    async def migration(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self.qmp.execute("query-migrate")
        return answer

    async def ready(self, limit_s: float = 20.0) -> None:
        """Until an incoming one has taken everything in."""
        async with asyncio.timeout(limit_s):
            while True:
                if await self.status() != "inmigrate":
                    return
                await asyncio.sleep(0.02)

    async def go_on(self) -> None:
        await self.ready()
        await self.qmp.execute("cont")

    async def booted(self, limit_s: float = BOOT_LIMIT_S) -> bool:
        """Whether the guest said so within that time. RuntimeError when it ended instead."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while "guest: ready" not in self.console.read_text(errors="replace"):
                    if self.process.returncode is not None:
                        raise RuntimeError(f"the guest ended: {self.console.read_text(errors='replace')}")
                    await asyncio.sleep(0.1)
                return True
        return False

    async def end(self) -> None:
        self.qmp.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@dataclass(frozen=True)
class Hardware:
    """What a guest is made of. ``guest``: the folder of kernel and initramfs; ``disk``: a ``-drive`` without its id."""

    guest: Path
    address: str
    tap: str
    mac: str
    accelerator: str = "tcg"
    ram_mib: int = RAM_MIB
    arena_mib: int = ARENA_MIB
    disk: str = ""


async def launch(
    hardware: Hardware, host: str, said: Path, *, inside: Sequence[str] = (), incoming: str = "", paused: bool = False
) -> Machine:
    """Start QEMU on ``host``. ``said``: a path without a suffix, for what it and its guest say; ``inside``: the
    command that enters the host's namespace. RuntimeError with QEMU's words where it does not come up."""
    console, socket, words = said.with_suffix(".console"), said.with_suffix(".qmp"), said.with_suffix(".said")
    append = [*WORDS, f"guest_address={hardware.address}", f"arena_mib={hardware.arena_mib}"]
    argv = [
        *inside, QEMU, "-nodefaults", "-no-user-config", "-display", "none",
        "-M", "q35", "-accel", hardware.accelerator, "-m", f"{hardware.ram_mib}", "-smp", "1", "-no-reboot",
        "-kernel", str(hardware.guest / "vmlinuz"), "-initrd", str(hardware.guest / "initramfs"),
        "-append", " ".join(append), "-serial", f"file:{console}", "-qmp", f"unix:{socket},server=on,wait=off",
    ]  # fmt: skip
    if hardware.tap:
        argv += ["-netdev", f"tap,id=net0,ifname={hardware.tap},script=no,downscript=no"]
        argv += ["-device", f"virtio-net-pci,netdev=net0,mac={hardware.mac},romfile="]
    if hardware.disk:
        argv += ["-drive", f"{hardware.disk},id=disk0,if=none", "-device", "virtio-blk-pci,drive=disk0"]
    if incoming:
        argv += ["-incoming", incoming]
    if incoming or paused:
        argv.append("-S")
    with words.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=asyncio.subprocess.STDOUT
        )
    try:
        return Machine(host, process, await Qmp.connect(socket, process), console)
    except (RuntimeError, TimeoutError, ConnectionError) as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise RuntimeError(f"{error}: {words.read_text(errors='replace').strip()}") from error


async def accelerator(guest: Path, folder: Path) -> str:
    """``kvm`` where a guest really boots with it, whatever ``/dev/kvm`` promises; else ``tcg``."""
    try:
        machine = await launch(Hardware(guest, "10.0.2.15", "", "", "kvm"), "here", folder / "kvm")
    except RuntimeError:
        return "tcg"
    try:  # without a network card it gets as far as to miss it: that it says anything at all is the proof
        async with asyncio.timeout(KVM_LIMIT_S):
            while "guest: starts" not in machine.console.read_text(errors="replace"):
                if machine.process.returncode is not None:
                    return "tcg"
                await asyncio.sleep(0.05)
        return "kvm"
    except TimeoutError:
        return "tcg"
    finally:
        await machine.end()


# --- a migration --------------------------------------------------------------------------------------------


async def begin(source: Machine, uri: str, *, bytes_per_s: int = UNLIMITED) -> None:
    """As qemu-server does it: capabilities, parameters, go."""
    on = [{"capability": name, "state": True} for name in ("auto-converge", "xbzrle")]
    await source.qmp.execute("migrate-set-capabilities", {"capabilities": on})
    parameters = {"downtime-limit": DOWNTIME_LIMIT_MS, "max-bandwidth": bytes_per_s}
    await source.qmp.execute("migrate-set-parameters", parameters)
    await source.qmp.execute("migrate", {"uri": uri})


async def follow(
    source: Machine, seen: Callable[[dict[str, Any]], None], say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Look at it as qemu-server does until it is over; the last look. ``seen`` hears every one of them.

    Once a second, and ten times a second when less is left than goes in one. When it is left with more than before for
    the sixth time, the guest may be stopped for twice as long.
    """
    limit_ms, before, poorer, sent = DOWNTIME_LIMIT_MS, 0, 0, -1
    while True:
        told = await source.migration()
        seen(told)
        if told["status"] not in ("setup", "active", "device", "cancelling"):
            return told
        ram = told.get("ram") or {}
        if told["status"] == "active" and ram and ram["transferred"] != sent:
            sent, left = ram["transferred"], ram["remaining"]
            rate = size(per_s(told))
            say(f"migration active, transferred {size(sent)} of {size(ram['total'])} VM-state, {rate}/s")
            poorer += left > before > 0 or left == 0
            before = left
            if poorer > POORER_MAX:
                limit_ms, poorer = limit_ms * 2, 0
                say(f"auto-increased downtime to continue migration: {limit_ms} ms")
                await source.qmp.execute("migrate-set-parameters", {"downtime-limit": limit_ms})
        await asyncio.sleep(1.0 if 0 < per_s(told) <= ram["remaining"] else 0.1)


def per_s(told: dict[str, Any]) -> float:
    """Bytes a second so far."""
    elapsed_ms = told.get("total-time", 0)
    return float(told["ram"]["transferred"] * 1000 / elapsed_ms) if told.get("ram") and elapsed_ms else 0.0
