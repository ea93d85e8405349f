"""Two hosts with a real QEMU each, and clients in a third place: network namespaces of the test.

::

    async with TwoHosts(template) as hosts:
        source = await hosts.start("a", restored=True)
        target = await hosts.start("b", incoming=True)
        async with hosts.probing() as prober:
            report = await hosts.migrate(source, target)
        prober.connections  # samples of noout's own prober

Guest network: the clients' namespace is the switch; each host has a bridge with the guest's tap. Migration network: a
link of its own between the hosts. QEMU emulates in software (TCG) everywhere, so that one path is the same on every
machine; below version 9 that loses a migrated guest's writes, so such a one is refused.

Everything has a random name, so that several can run side by side. A warden, a small process of its own, ends every
process and removes namespaces and files as soon as this process lets go of it, be it by dying.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from noout.adapters.clock import SystemClock
from noout.domain.impact import Sample
from tests.support.guestprobe import GUEST, Talk
from tests.support.warden import engage

QEMU = "qemu-system-x86_64"
OLDEST_QEMU = 9
PROGRAMS = (QEMU, "ip", "tc", "gcc")
PARTS = Path(os.environ.get("NOOUT_REAL_GUEST") or "/var/cache/noout-real/guest")  # where install-real-parts puts them

RAM_MIB, ARENA_MIB = 128, 32
BOOT_LIMIT_S, BOOT_TRIES = 60.0, 3  # about one boot in seventy never ends
CLIENT, GUEST_ADDRESS = "10.77.0.1", "10.77.0.10"
MIGRATION = {"a": "10.78.0.1", "b": "10.78.0.2"}
MIGRATION_PORT = 4444
LINK_BYTES_PER_S = 125_000_000  # a migration network of 1 Gbit/s, held by the link itself
UNLIMITED = 0  # what QEMU may send: as much as the link takes
DOWNTIME_LIMIT_MS = 100  # qemu-server's default


@functools.cache
def lacking() -> str:
    """The sentence to skip with; empty where everything is there."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    missing += [] if (PARTS / "vmlinuz").exists() else ["a guest kernel"]
    if missing:
        return f"a real migration needs {', '.join(missing)} (scripts/install-real-parts)"
    told = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"version (\d+)", told)
    if version is None or int(version[1]) < OLDEST_QEMU:
        return f"a real migration needs QEMU {OLDEST_QEMU} or later: an older one loses writes without KVM"
    if os.geteuid() != 0:
        return "a real migration needs root, for network namespaces"
    return "" if os.access("/dev/net/tun", os.W_OK) else "a real migration needs /dev/net/tun"


class Qmp:
    """QEMU's monitor: one question at a time; events are passed over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

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
        self._writer.write(json.dumps(asked).encode() + b"\n")
        async with asyncio.timeout(30):
            while line := await self._reader.readline():
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise RuntimeError(f"{command}: {answer['error']['desc']}")
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

    async def end(self) -> None:
        self.qmp.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@dataclass(frozen=True)
class Report:
    """What the mover knows of one migration; ``ram``: QEMU's own figures, in bytes. Times in ms as QEMU says them."""

    started: datetime
    completed: datetime  # when a poll saw it
    resumed: datetime
    downtime_ms: int
    setup_ms: int
    total_ms: int
    throttle_pct: int
    ram: dict[str, Any]

    @property
    def handover_ms(self) -> float:
        """From seeing that it completed to the guest's leave to go on."""
        return (self.resumed - self.completed).total_seconds() * 1000


class Prober:
    """The clients. After ``probing()`` the three accounts are complete."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.datagrams, self.stream, self.connections = Talk(), Talk(), list[Sample]()

    async def get(self, path: str) -> dict[str, Any]:
        """Ask the guest itself: ``/``, ``/check``, ``/dirty/N``."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"get {path}\n".encode())
        async with asyncio.timeout(40):
            answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer

    def read(self, file: Path) -> None:
        told = json.loads(file.read_text())
        self.datagrams, self.stream = Talk(**told["udp"]), Talk(**told["stream"])
        self.connections = [Sample(GUEST, datetime.fromisoformat(at), ok, lag) for at, ok, lag in told["connections"]]


class TwoHosts:
    """See the module. ``guest``: the folder of kernel and initramfs; ``template``: a saved guest, to start at once."""

    def __init__(self, guest: Path, template: Path | None = None) -> None:
        self.guest, self.template = guest, template
        token = secrets.token_hex(3)
        self.names = {place: f"noout-{token}-{place}" for place in "abc"}
        self.machines: list[Machine] = []

    # --- up and down ------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        why = lacking()
        if why:
            raise RuntimeError(why)
        self.folder = Path(tempfile.mkdtemp(prefix="noout-qemu-"))
        self._warden = engage(self.folder, self.names.values())
        try:
            await self._lay_network()
        except BaseException:  # whatever happened: nothing may stay
            self._destroy()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        for machine in self.machines:
            await machine.end()
        self._destroy()

    def _destroy(self) -> None:
        self._warden.communicate()

    async def _lay_network(self) -> None:
        a, b, c = (self.names[place] for place in "abc")
        await self._ip([f"netns add {name}" for name in (a, b, c)])
        ports = [f"link add name to-{host} type veth peer name uplink netns {self.names[host]}" for host in "ab"]
        up = [f"link set to-{host} master switch up" for host in "ab"]
        switch = ["link add name switch type bridge", f"addr add {CLIENT}/24 dev switch", "link set switch up"]
        await self._ip([*switch, *ports, *up], c)
        await self._ip([f"link add name mig type veth peer name mig netns {b}"], a)
        for host in "ab":
            bridge = ["link add name br0 type bridge", "link set br0 up", "tuntap add dev tap0 mode tap"]
            joined = [f"link set {port} master br0 up" for port in ("tap0", "uplink")]
            migration = [f"addr add {MIGRATION[host]}/30 dev mig", "link set mig up", "link set lo up"]
            await self._ip([*bridge, *joined, *migration], self.names[host])
            shaped = f"qdisc add dev mig root tbf rate {LINK_BYTES_PER_S * 8}bit burst 256kb latency 50ms"
            await self._ip([shaped], self.names[host], program="tc")

    async def _ip(self, lines: list[str], inside: str | None = None, program: str = "ip") -> None:
        argv = [program, *(["-n", inside] if inside else []), "-batch", "-"]
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        told, _ = await process.communicate("\n".join(lines).encode() + b"\n")
        if process.returncode:
            raise RuntimeError(f"the network could not be laid: {told.decode()}")

    async def cut_migration_network(self, cut: bool = True) -> None:
        await self._ip([f"link set mig {'down' if cut else 'up'}"], self.names["a"])

    async def unplug(self, host: str) -> None:
        """The guest's own cable on that host: QEMU and the guest notice nothing."""
        await self._ip(["link set tap0 nomaster"], self.names[host])

    # --- machines ---------------------------------------------------------------------------------------------

    async def start(self, host: str, *, restored: bool = False, incoming: bool = False) -> Machine:
        """A QEMU process: one that boots, one that goes on from the template, or one that waits for a migration."""
        number = len(self.machines)
        console, socket = self.folder / f"{number}.console", self.folder / f"{number}.qmp"
        source = []
        if restored:
            source = ["-incoming", f"exec:cat {self.template}", "-S"]
        elif incoming:
            source = ["-incoming", f"tcp:{MIGRATION[host]}:{MIGRATION_PORT}", "-S"]
        words = ["console=ttyS0", "quiet", "panic=-1", "mitigations=off", "random.trust_cpu=on"]
        process = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", self.names[host], QEMU, "-nodefaults", "-no-user-config", "-display", "none"),
            *("-M", "q35", "-accel", "tcg", "-m", f"{RAM_MIB}", "-smp", "1", "-no-reboot"),
            *("-kernel", str(self.guest / "vmlinuz"), "-initrd", str(self.guest / "initramfs")),
            *("-append", " ".join([*words, f"guest_address={GUEST_ADDRESS}", f"arena_mib={ARENA_MIB}"])),
            *("-netdev", "tap,id=net0,ifname=tap0,script=no,downscript=no"),
            *("-device", "virtio-net-pci,netdev=net0,mac=52:54:00:77:00:10,romfile="),
            *("-serial", f"file:{console}", "-qmp", f"unix:{socket},server=on,wait=off", *source),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=(self.folder / f"{number}.said").open("wb"),
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            machine = Machine(host, process, await Qmp.connect(socket, process), console)
        except (RuntimeError, TimeoutError) as error:
            error.add_note((self.folder / f"{number}.said").read_text(errors="replace"))
            raise
        self.machines.append(machine)
        if restored:
            await machine.go_on()
        return machine

    async def boot(self) -> Machine:
        """On host A from the kernel on; one that hangs is ended and tried again."""
        for _ in range(BOOT_TRIES):
            machine = await self.start("a")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BOOT_LIMIT_S):
                    while "guest: ready" not in machine.console.read_text(errors="replace"):
                        if machine.process.returncode is not None:
                            raise RuntimeError(f"the guest ended: {machine.console.read_text(errors='replace')}")
                        await asyncio.sleep(0.1)
                return machine
            await machine.end()
        raise RuntimeError(f"the guest did not start in {BOOT_TRIES} tries of {BOOT_LIMIT_S:g} s each")

    async def begin(self, source: Machine, target: Machine, *, bytes_per_s: int = UNLIMITED) -> datetime:
        """As qemu-server does it: capabilities, parameters, go."""
        on = [{"capability": name, "state": True} for name in ("auto-converge", "xbzrle")]
        await source.qmp.execute("migrate-set-capabilities", {"capabilities": on})
        parameters = {"downtime-limit": DOWNTIME_LIMIT_MS, "max-bandwidth": bytes_per_s}
        await source.qmp.execute("migrate-set-parameters", parameters)
        started = SystemClock().now()
        await source.qmp.execute("migrate", {"uri": f"tcp:{MIGRATION[target.host]}:{MIGRATION_PORT}"})
        return started

    async def migrate(self, source: Machine, target: Machine, *, bytes_per_s: int = UNLIMITED) -> Report:
        """The whole of it in qemu-server's order: poll, let the target go on, stop the source."""
        started = await self.begin(source, target, bytes_per_s=bytes_per_s)
        told: dict[str, Any] = {}
        throttle = 0
        async with asyncio.timeout(120):
            while (told := await source.migration())["status"] != "completed":
                if told["status"] in ("failed", "cancelled"):
                    raise RuntimeError(f"the migration {told['status']}: {told.get('error-desc', '')}")
                throttle = max(throttle, told.get("cpu-throttle-percentage", 0))
                await asyncio.sleep(self._pause_s(told))
        completed = SystemClock().now()
        await target.go_on()
        resumed = SystemClock().now()
        await source.end()
        times = (told["downtime"], told["setup-time"], told["total-time"])
        return Report(started, completed, resumed, *times, throttle, told["ram"])

    @staticmethod
    def _pause_s(told: dict[str, Any]) -> float:
        """qemu-server looks once a second, and ten times a second when less is left than it sends in one."""
        ram, elapsed_ms = told.get("ram"), told.get("total-time", 0)
        if not ram or not elapsed_ms:
            return 0.1
        return 0.1 if ram["remaining"] < ram["transferred"] * 1000 / elapsed_ms else 1.0

    # --- clients ----------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def probing(self) -> AsyncIterator[Prober]:
        """Clients that ask from now to the end of the block."""
        file = self.folder / f"probe-{secrets.token_hex(3)}.json"
        argv = ["ip", "netns", "exec", self.names["c"], sys.executable, "-m", "tests.support.guestprobe"]
        process = await asyncio.create_subprocess_exec(
            *(*argv, GUEST_ADDRESS, str(file)),
            cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None and process.stdout is not None
        prober = Prober(process)
        try:
            async with asyncio.timeout(20):
                await process.stdout.readline()
            yield prober
            process.stdin.write(b"stop\n")
            async with asyncio.timeout(20):
                await process.wait()
            prober.read(file)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
