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
import json
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from noout.adapters.clock import SystemClock
from noout.domain.impact import Sample
from noout.lab.real.clients import Talk
from noout.lab.real.needs import lacking
from noout.lab.real.qemu import BOOT_LIMIT_S, BOOT_TRIES, UNLIMITED, Hardware, Machine, begin, follow, launch
from noout.lab.real.warden import engage
from tests.support.guestprobe import GUEST

CLIENT, GUEST_ADDRESS = "10.77.0.1", "10.77.0.10"
MIGRATION = {"a": "10.78.0.1", "b": "10.78.0.2"}
MIGRATION_PORT = 4444
LINK_BYTES_PER_S = 125_000_000  # a migration network of 1 Gbit/s, held by the link itself


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
        said = self.folder / f"{len(self.machines)}"
        source = f"exec:cat {self.template}" if restored else ""
        source = f"tcp:{MIGRATION[host]}:{MIGRATION_PORT}" if incoming else source
        hardware = Hardware(self.guest, GUEST_ADDRESS, "tap0", "52:54:00:77:00:10")
        inside = ("ip", "netns", "exec", self.names[host])
        machine = await launch(hardware, host, said, inside=inside, incoming=source)
        self.machines.append(machine)
        if restored:
            await machine.go_on()
        return machine

    async def boot(self) -> Machine:
        """On host A from the kernel on; one that hangs is ended and tried again."""
        for _ in range(BOOT_TRIES):
            machine = await self.start("a")
            if await machine.booted():
                return machine
            await machine.end()
        raise RuntimeError(f"the guest did not start in {BOOT_TRIES} tries of {BOOT_LIMIT_S:g} s each")

    async def begin(self, source: Machine, target: Machine, *, bytes_per_s: int = UNLIMITED) -> datetime:
        started = SystemClock().now()
        await begin(source, f"tcp:{MIGRATION[target.host]}:{MIGRATION_PORT}", bytes_per_s=bytes_per_s)
        return started

    async def migrate(self, source: Machine, target: Machine, *, bytes_per_s: int = UNLIMITED) -> Report:
        """The whole of it in qemu-server's order: poll, let the target go on, stop the source."""
        started = await self.begin(source, target, bytes_per_s=bytes_per_s)
        throttles: list[int] = []
        async with asyncio.timeout(120):
            told = await follow(source, lambda look: throttles.append(look.get("cpu-throttle-percentage", 0)))
        if told["status"] != "completed":
            raise RuntimeError(f"the migration {told['status']}: {told.get('error-desc', '')}")
        completed = SystemClock().now()
        await target.go_on()
        resumed = SystemClock().now()
        await source.end()
        times = (told["downtime"], told["setup-time"], told["total-time"])
        return Report(started, completed, resumed, *times, max(throttles), told["ram"])

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
