"""Three BMCs that the same checks run on: the lab's (virtual time), OpenIPMI's simulator and sushy-tools' emulator."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx2

from noout.adapters.bmc import IpmiBmc, RedfishBmc
from noout.adapters.clock import SystemClock
from noout.adapters.http import Server
from noout.domain.cluster import NodeId
from noout.domain.hardware import Power
from noout.lab.real.ipmi import FANS, MODEL, PASSWORD, SERIAL, USER, IpmiSim
from noout.ports import Bmc, Clock
from tests.support.labsite import lab_site
from tests.support.ownvenv import python_with
from tests.support.virtual import run_virtual

NODE = NodeId("ams1", "pve3")


@dataclass(frozen=True)
class Board:
    """A machine and its BMC. ``stop_fan``: None where the part has no fans. ``login``: the same BMC, another password.

    ``requested``: how many effects its BMC was asked for so far.
    """

    bmc: Bmc
    clock: Clock
    serial: str
    model: str
    requested: Callable[[], int]
    stop_fan: Callable[[str], None] | None = None
    fan: str = ""
    lit: Callable[[], bool] | None = None
    login: Callable[[str], Bmc] | None = None

    async def power_becomes(self, wanted: Power, within_s: int) -> None:
        """Look once a second until it is so."""
        for _ in range(within_s):
            if (await self.bmc.observe(log=False)).power is wanted:
                return
            await self.clock.sleep(1)
        raise AssertionError(f"power did not become {wanted} within {within_s} s")


Check = Callable[[Board], Coroutine[Any, Any, None]]


class Stand(Protocol):
    """Runs one check on a board."""

    def run(self, check: Check) -> None: ...


class LabStand:
    def run(self, check: Check) -> None:
        async def main() -> None:
            site = lab_site()
            record = site.cluster.bmcs["pve3"]

            def stop(name: str) -> None:
                now = site.laws.now
                site.laws.bmc_record(
                    site.cluster, "pve3", "Critical", f"{name}: Lower Critical - going low asserted", name
                )
                record.fans[name].stops.append((now, now + 60))

            def login(password: str) -> RedfishBmc:
                server = Server("https://bmc-pve3.ams1", transport=site.network)
                return RedfishBmc(NODE, server, "ADMIN", password, site.clock)

            def requested() -> int:
                return sum(method in ("POST", "PATCH") for method, _ in site.network.requests)

            board = Board(
                site.bmcs[NODE], site.clock, record.serial, record.model, requested, stop, "FAN3B", lambda: record.led,
                login,
            )  # fmt: skip
            await check(board)

        run_virtual(main(), limit_s=7200)


class IpmiStand:
    def __init__(self, sim: IpmiSim) -> None:
        self.sim = sim

    def run(self, check: Check) -> None:
        sim, clock = self.sim, SystemClock()

        def login(password: str) -> IpmiBmc:
            return IpmiBmc(NODE, sim.url, USER, password, clock)

        def requested() -> int:
            return len(sim.asked())

        def lit() -> bool:
            asked = [each for each in sim.asked() if "identify" in each]
            return bool(asked) and asked[-1] != "set identify 0 0"

        board = Board(
            login(PASSWORD), clock, SERIAL, MODEL, requested, lambda fan: sim.turn(fan, 0), FANS[2], lit, login
        )
        asyncio.run(check(board))


class SushyStand:
    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, check: Check) -> None:
        asked: list[str] = []

        class Counting(httpx2.AsyncHTTPTransport):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                if request.method in ("POST", "PATCH"):
                    asked.append(request.url.path)
                return await super().handle_async_request(request)

        async def main() -> None:
            clock = SystemClock()
            bmc = RedfishBmc(NODE, Server(self.url, transport=Counting()), "noout", "unused", clock)
            await check(Board(bmc, clock, "437XR1138R2", "3500RX", lambda: len(asked)))
            await bmc.close()

        asyncio.run(main())


CONFIG = """
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_LISTEN_IP = "127.0.0.1"
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_STATE_DIR = {state!r}
SUSHY_EMULATOR_FAKE_SYSTEMS = [{{
    "uuid": "27946b59-9e44-4fa7-8e91-f3527a1ef094", "name": "pve3", "power_state": "On", "external_notifier": False,
    "nics": [{{"mac": "00:5c:52:31:3a:9c", "ip": "192.0.2.3"}}],
}}]
"""


@contextlib.contextmanager
def sushy_emulator(home: Path) -> Iterator[SushyStand]:
    """OpenStack's emulator with its fake driver: power changes 1 to 11 s after it was asked to."""
    program = python_with("sushy-tools==2.2.0").parent / "sushy-emulator"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / "state").mkdir()
    (home / "emulator.conf").write_text(CONFIG.format(port=port, state=str(home / "state")))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([program, "--config", home / "emulator.conf"], stdout=log, stderr=log)
        try:
            until = time.monotonic() + 30
            while not _listens(port):
                assert process.poll() is None, (home / "log").read_text()
                assert time.monotonic() < until, (home / "log").read_text()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            yield SushyStand(f"http://127.0.0.1:{port}")
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
