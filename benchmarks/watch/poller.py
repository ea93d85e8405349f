"""How many BMCs one core can watch: the real watch, its real Redfish client over TLS, and its real store, against BMCs
that another process plays.

    make bench-poller [BENCH="--bmcs 2000 --every 60 --minutes 5"]

Half of the BMCs answer like an iLO (Thermal and Power, everything in one document), half like OpenBMC
(ThermalSubsystem, Fans and Sensors expanded), each with twelve sensors (six fans, four temperatures, two power
supplies), an event log of forty entries and a new connection for each look, as with real ones, whose connections do
not live for a minute. Each BMC has an address of its own in 127.0.0.0/8 and one certificate, pinned. Printed: what one
look costs, the share of a core, the greatest memory, how many looks came and how late they were. Of each node the watch
already remembers four days, as much as it ever holds. The players' own processor time is not counted; on a machine with
one core it is taken from the watch.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from noout.adapters.bmc import RedfishBmc, parse
from noout.adapters.clock import SystemClock
from noout.adapters.http import Server
from noout.adapters.store.sql import SqlStore
from noout.adapters.tls import pinned
from noout.app.watcher import Watcher
from noout.domain.cluster import NodeId
from noout.domain.hardware import HardwareState, Power
from noout.lab.wire.tls import self_signed
from noout.watch.memory import memory
from noout.watch.node import NodeWatch

V1 = "/redfish/v1"
ENTRIES = 40
GROWN_MINUTES = 4 * 24 * 60


def address(number: int) -> str:
    """One of 127.0.0.0/8 for each BMC."""
    return f"127.{1 + number // 60000}.{number // 250 % 240}.{1 + number % 250}"


# --- the BMCs -----------------------------------------------------------------------------------------------


def link(path: str) -> dict[str, str]:
    return {"@odata.id": f"{V1}{path}"}


def common() -> dict[str, Any]:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    entries = [
        {"Id": str(n), "Created": (start + timedelta(hours=n)).isoformat(), "Severity": "OK", "Message": "System boot"}
        for n in range(1, ENTRIES + 1)
    ]
    return {
        "/": {"Systems": link("/Systems"), "Chassis": link("/Chassis"), "Managers": link("/Managers")},
        "/Systems": {"Members": [link("/Systems/1")]},
        "/Systems/1": {
            "PowerState": "On", "SerialNumber": "S1", "Model": "benchmark", "Memory": link("/Systems/1/Memory"),
            "LogServices": link("/Systems/1/LogServices"), "PowerRestorePolicy": "AlwaysOff",
            "Links": {"Chassis": [link("/Chassis/1")], "ManagedBy": [link("/Managers/1")]},
        },
        "/Systems/1/Memory": {"Members@odata.count": 16, "Members": []},
        "/Systems/1/LogServices": {"Members": [link("/Systems/1/LogServices/SEL")]},
        "/Systems/1/LogServices/SEL": {"Entries": link("/Systems/1/LogServices/SEL/Entries")},
        "/Systems/1/LogServices/SEL/Entries": {"Members": entries, "Members@odata.count": len(entries)},
    }  # fmt: skip


OK = {"State": "Enabled", "Health": "OK"}


def like_an_ilo() -> dict[str, Any]:
    fans = [
        {"Name": f"Fan {n}", "Reading": 6000 + n, "ReadingUnits": "RPM", "LowerThresholdCritical": 600, "Status": OK}
        for n in range(1, 7)
    ]
    temperatures = [
        {"Name": f"{n:02}-Temp", "ReadingCelsius": 20 + n, "UpperThresholdCritical": 90, "Status": OK} for n in range(4)
    ]
    return common() | {
        "/Chassis/1": {"Thermal": link("/Chassis/1/Thermal"), "Power": link("/Chassis/1/Power")},
        "/Chassis/1/Thermal": {"Fans": fans, "Temperatures": temperatures},
        "/Chassis/1/Power": {"PowerSupplies": [
            {"Name": f"PSU {n}", "LastPowerOutputWatts": 180, "Status": OK} for n in (1, 2)
        ]},
    }  # fmt: skip


def like_openbmc() -> dict[str, Any]:
    sensors = [
        {"@odata.id": f"{V1}/Chassis/1/Sensors/fan{n}", "Name": f"fan{n}", "Reading": 6000 + n, "ReadingUnits": "RPM",
         "ReadingType": "Rotational", "Thresholds": {"LowerCritical": {"Reading": 600}}, "Status": OK}
        for n in range(6)
    ] + [
        {"@odata.id": f"{V1}/Chassis/1/Sensors/t{n}", "Name": f"temp{n}", "Reading": 20 + n, "ReadingUnits": "Cel",
         "ReadingType": "Temperature", "Thresholds": {"UpperCritical": {"Reading": 90}}, "Status": OK}
        for n in range(4)
    ]  # fmt: skip
    fans = [
        {"@odata.id": f"{V1}/Chassis/1/ThermalSubsystem/Fans/fan{n}", "Name": f"fan{n}", "Status": OK,
         "SpeedPercent": {"Reading": 45, "SpeedRPM": 6000 + n, "DataSourceUri": f"{V1}/Chassis/1/Sensors/fan{n}"}}
        for n in range(6)
    ]  # fmt: skip
    supplies = [
        {"@odata.id": f"{V1}/Chassis/1/PowerSubsystem/PowerSupplies/{n}", "Name": f"PSU {n}", "Status": OK}
        for n in (1, 2)
    ]
    return common() | {
        "/Chassis/1": {
            "ThermalSubsystem": link("/Chassis/1/ThermalSubsystem"), "Sensors": link("/Chassis/1/Sensors"),
            "PowerSubsystem": link("/Chassis/1/PowerSubsystem"),
        },
        "/Chassis/1/ThermalSubsystem": {"Fans": link("/Chassis/1/ThermalSubsystem/Fans")},
        "/Chassis/1/ThermalSubsystem/Fans": {"Members": fans},
        "/Chassis/1/Sensors": {"Members": sensors},
        "/Chassis/1/PowerSubsystem": {"PowerSupplies": link("/Chassis/1/PowerSubsystem/PowerSupplies")},
        "/Chassis/1/PowerSubsystem/PowerSupplies": {"Members": supplies},
    }  # fmt: skip


def encoded(documents: dict[str, Any]) -> dict[bytes, bytes]:
    """Path -> the whole answer."""
    found = {}
    for path, document in documents.items():
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        found[f"{V1}{path}".rstrip("/").encode()] = head + body
    return found


class Player(asyncio.Protocol):
    """Answers as one of two kinds of BMC, by the last number of the address that it is asked at."""

    kinds = (encoded(like_an_ilo()), encoded(like_openbmc()))
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, b""
        host = transport.get_extra_info("sockname")[0]
        self.answers = self.kinds[int(host.rpartition(".")[2]) % 2]

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            path = self.data.split(b" ", 2)[1].partition(b"?")[0].rstrip(b"/")
            self.data = self.data[end + 4 :]
            self.transport.write(self.answers.get(path, self.missing))


async def play(folder: Path) -> None:
    """Be all the BMCs until the standard input ends."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Player, "0.0.0.0", 0, ssl=tls, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


# --- the watch ----------------------------------------------------------------------------------------------


class Timed:
    """A BMC whose looks are timed. ``late``: how long after it was due each began (s)."""

    def __init__(self, bmc: RedfishBmc, every_s: float, late: list[float], troubles: list[str]) -> None:
        self.bmc, self.node, self.every_s, self.late, self.troubles = bmc, bmc.node, every_s, late, troubles
        self.last = 0.0

    async def observe(self, *, log: bool = True) -> HardwareState:
        now = time.monotonic()
        if self.last:
            self.late.append(now - self.last - self.every_s)
        self.last = now
        state = await self.bmc.observe(log=log)
        if state.trouble or len(state.readings) != 12:
            self.troubles.append(state.trouble or f"{len(state.readings)} readings")
        return state

    async def power_on(self) -> None: ...

    async def force_off(self) -> None: ...

    async def locate(self, on: bool) -> None: ...


def grown(documents: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What the watch remembers of such a machine after four days: as much as it will ever hold."""
    chance, node = random.Random(1), NodeId("bench", "grown")
    where = documents.get
    thermal, power = where("/Chassis/1/Thermal", {}), where("/Chassis/1/Power", {})
    fans, sensors, supplies = (
        where(f"/Chassis/1/{place}", {}).get("Members", [])
        for place in ("ThermalSubsystem/Fans", "Sensors", "PowerSubsystem/PowerSupplies")
    )
    first = (
        *parse.from_thermal(thermal), *parse.from_power(power.get("PowerSupplies", [])),
        *parse.merge(parse.from_fans(fans, sensors), parse.from_sensors(sensors)), *parse.from_power(supplies),
    )  # fmt: skip
    told = NodeWatch(node)
    for minute in range(GROWN_MINUTES):
        readings = tuple(replace(each, value=(each.value or 180) + round(chance.gauss(0, 2))) for each in first)
        at = now - timedelta(minutes=GROWN_MINUTES - minute)
        told.feed(HardwareState(node, at, reachable=True, power=Power.ON, readings=readings))
    return memory(told)


async def measure(bmcs: int, every_s: float, minutes: float, port: int, pin: str, folder: Path) -> None:
    clock = SystemClock()
    store = await SqlStore.open(f"sqlite:///{folder / 'noout.db'}", clock)
    late: list[float] = []
    troubles: list[str] = []
    tls = pinned(pin, "the BMCs")
    boards = {}
    old = [grown(each, clock.now()) for each in (like_an_ilo(), like_openbmc())]
    for number in range(bmcs):
        node = NodeId("bench", f"n{number:04}")
        bmc = RedfishBmc(node, Server(f"https://{address(number)}:{port}", tls), "noout", "secret", clock)
        boards[node] = Timed(bmc, every_s, late, troubles)
        # As after a restart: each node's watch is as large as it becomes.
        await store.keep_memory(node, clock.now(), {"since": "", "watch": old[(number + 1) % 2]})
    watcher = Watcher(boards, store, store, clock, every_s)
    watching = asyncio.create_task(watcher.run())
    while not all(board.last for board in boards.values()):  # noqa: ASYNC110 - until each was found and looked at once
        await asyncio.sleep(1.0)
    await asyncio.sleep(every_s)
    cpu, began, looks = time.process_time(), time.monotonic(), len(late)
    await asyncio.sleep(minutes * 60)
    cpu, wall, looks = time.process_time() - cpu, time.monotonic() - began, len(late) - looks
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await store.close()
    rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    worst = sorted(late)[int(len(late) * 0.99)] if late else 0.0
    written = (folder / "noout.db").stat().st_size / max(len(late) + bmcs, 1)
    for line in (
        f"{bmcs} BMCs of 12 sensors, a look every {every_s:g} s, for {wall / 60:.1f} min",
        f"looks: {looks} of {bmcs * wall / every_s:.0f} due; troubles: {len(troubles)} {sorted(set(troubles))[:3]}",
        f"processor: {cpu / wall:.1%} of a core, {1000 * cpu / max(looks, 1):.2f} ms a look",
        f"memory: {rss_mib:.0f} MiB at the most",
        f"a look began late by {worst:.2f} s or less in 99 of 100 cases",
        f"written: {written:.0f} bytes a look",
    ):
        sys.stdout.write(f"{line}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bmcs", type=int, default=2000)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two looks at one BMC")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--play", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.play is not None:
        asyncio.run(play(chosen.play))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shown = self_signed("bmc", datetime(2026, 1, 1, tzinfo=UTC))
        (folder / "cert.pem").write_bytes(shown.pem)
        (folder / "key.pem").touch(mode=0o600)
        (folder / "key.pem").write_bytes(shown.key_pem)
        command = [sys.executable, "-m", "benchmarks.watch.poller", "--play", name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as players:
            assert players.stdout is not None
            assert players.stdin is not None
            port = int(players.stdout.readline())
            try:
                asyncio.run(measure(chosen.bmcs, chosen.every, chosen.minutes, port, shown.fingerprint, folder))
            finally:
                players.stdin.close()


if __name__ == "__main__":
    main()
