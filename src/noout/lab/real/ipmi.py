"""A BMC that speaks real IPMI: OpenIPMI's simulator on loopback; what its sensors read is written into files."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

USER, PASSWORD = "ADMIN", "sim-secret"
FANS = ("FAN1", "FAN2", "FAN3", "FAN4")
FULL_RPM = 6000
LOWER = (400, 600, 800)  # non-recoverable, critical, non-critical
FAN, TEMPERATURE, SUPPLY, REDUNDANCY = 0x04, 0x01, 0x08, 0x0B
SERIAL, MODEL = "SIM-0003", "IPMI simulator"

# Called by the simulator: "get power", "set power 0", "set identify SECONDS FORCE", ...; to be quiet is to obey.
CHASSIS = """#!/bin/sh
shift
echo "$*" >>'{home}/asked'
case "$1 $2" in
"get power") echo "power:$(cat '{home}/power')" ;;
"set power") [ -e '{home}/stuck' ] || echo "$3" >'{home}/power' ;;
esac
"""


def _full(number: int, name: str, kind: int, entity: int, unit: int, factor: int, low: tuple[int, ...]) -> str:
    """A full sensor record (IPMI 2.0, table 43-1) for ``main_sdr_add``: reading = raw x ``factor``."""
    nr, cr, nc = low
    has = 0x3F if any(low) else 0
    body = [0x20, 0, number, entity, number, 0x7F, 0x68, kind, 1, 0x15, 0x70, 0x15, 0x70, has & 7, has & 7, 0, unit, 0,
            0, factor, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, nr, cr, nc, 2, 2, 0, 0, 0]  # fmt: skip
    return _record(1, body, name)


def _compact(number: int, name: str, kind: int, entity: int, event_type: int) -> str:
    """A compact record (table 43-2) of a sensor with states."""
    body = [0x20, 0, number, entity, 1, 0x67, 0x40, kind, event_type, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xC0, 0, 0,
            1, 0, 0, 0, 0, 0, 0, 0]  # fmt: skip
    return _record(2, body, name)


def _record(kind: int, body: list[int], name: str) -> str:
    told = [*body, 0xC0 | len(name), *name.encode()]
    return " ".join(str(each) for each in (0, 0, 0x51, kind, len(told), *told))


def _fru(serial: str) -> str:
    """A FRU with a product area: maker, model, part, version, serial."""

    def text(value: str) -> list[int]:
        return [0xC0 | len(value), *value.encode()]

    fields = [25, *text("noout"), *text(MODEL), *text("p"), *text("1"), *text(serial), *text(""), *text(""), 0xC1]
    area = [1, 0, *fields]
    area += [0] * (-(len(area) + 1) % 8)
    area[1] = (len(area) + 1) // 8
    area.append(-sum(area) % 256)
    header = [1, 0, 0, 0, 1, 0, 0]
    data = [*header, -sum(header) % 256, *area]
    return f"mc_add_fru_data 0x20 0 {len(data)} data " + " ".join(str(each) for each in data)


class IpmiSim:
    """One simulated BMC in ``home``; ``url`` while it runs, between ``start()`` and ``stop()``."""

    def __init__(self, home: Path, port: int = 0, serial: str = SERIAL, every_ms: int = 100) -> None:
        self.home, self.port, self.serial, self.every_ms = home, port or free_port(), serial, every_ms
        self._process: subprocess.Popen[bytes] | None = None
        port = self.port
        self.url = f"ipmi://127.0.0.1:{port}"
        (home / "power").write_text("1")
        (home / "state").mkdir(exist_ok=True)
        for fan in FANS:
            self.turn(fan, FULL_RPM)
        self.write("inlet", 24)
        self.write("ps1", 0b1)
        self.write("ps2", 0b1)
        self.write("fans-redundancy", 0b1)
        program = home / "chassis"
        program.write_text(CHASSIS.format(home=home))
        program.chmod(0o700)
        (home / "lan.conf").write_text(
            f'name "bmc"\nset_working_mc 0x20\n  startlan 1\n    addr 127.0.0.1 {port}\n    priv_limit admin\n'
            "    allowed_auths_admin md5\n    guid a123456789abcdefa123456789abcdef\n  endlan\n"
            f'  chassis_control "{program} 0x20"\n  user 2 true "{USER}" "{PASSWORD}" admin 10 md5\n'
        )
        (home / "sim.emu").write_text("\n".join(self._commands()) + "\n")

    def _commands(self) -> Iterator[str]:
        yield "mc_setbmc 0x20"
        yield "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02"
        yield "sel_enable 0x20 1000 0x0a"
        raw = tuple(each // 100 for each in LOWER)
        crossed = "000000000010101"
        for number, fan in enumerate(FANS, 1):
            yield f'sensor_add 0x20 0 {number} {FAN} 1 poll {self.every_ms} file "{self.home / fan}" div=100'
            yield f"sensor_set_threshold 0x20 0 {number} settable 000111 0 0 0 {raw[0]} {raw[1]} {raw[2]}"
            yield f"sensor_set_event_support 0x20 0 {number} enable scanning per-state" + f" {crossed}" * 4
            yield f"main_sdr_add 0x20 {_full(number, fan, FAN, 29, 18, 100, raw)}"
        yield f'sensor_add 0x20 0 5 {TEMPERATURE} 1 poll {self.every_ms} file "{self.home / "inlet"}"'
        yield "sensor_set_event_support 0x20 0 5 enable scanning none" + f" {0:015}" * 4
        yield f"main_sdr_add 0x20 {_full(5, 'Inlet Temp', TEMPERATURE, 64, 1, 1, (0, 0, 0))}"
        for number, supply in ((6, "ps1"), (7, "ps2")):
            yield f'sensor_add 0x20 0 {number} {SUPPLY} 0x6f poll {self.every_ms} file "{self.home / supply}"'
            yield f"sensor_set_event_support 0x20 0 {number} enable scanning none" + f" {0:015}" * 4
            yield f"main_sdr_add 0x20 {_compact(number, f'{supply.upper()} Status', SUPPLY, 10, 0x6F)}"
        yield f'sensor_add 0x20 0 8 {FAN} {REDUNDANCY} poll {self.every_ms} file "{self.home / "fans-redundancy"}"'
        yield "sensor_set_event_support 0x20 0 8 enable scanning none" + f" {0:015}" * 4
        yield f"main_sdr_add 0x20 {_compact(8, 'Fan Redundancy', FAN, 30, REDUNDANCY)}"
        yield _fru(self.serial)
        yield "mc_enable 0x20"

    def write(self, sensor: str, value: int) -> None:
        """What the sensor's file says: a number, or the bits of its states."""
        (self.home / sensor).write_text(f"{value}\n")

    def turn(self, fan: str, rpm: int) -> None:
        self.write(fan, rpm)

    def set_clock(self, at: datetime | None = None) -> None:
        """Give its event log this time, else the machine's. Also the proof that it answers."""
        told = f"{at:%m/%d/%y %H:%M:%S}" if at else "now"
        for _ in range(20):  # each takes a second where nobody answers
            if self._tool("sel", "time", "set", told):
                return
        raise RuntimeError(f"ipmi_sim does not answer: {(self.home / 'log').read_text()}")

    def history(self, fan: str, stops: list[datetime]) -> None:
        """Let the fan have stood still at these times, by its own event log's clock; then it is what it is again."""
        for at in stops:
            self.set_clock(at)
            self.turn(fan, 0)
            self._seen()
            self.turn(fan, FULL_RPM)
            self._seen()
        self.set_clock()

    def _seen(self) -> None:
        """Until the simulator has read its sensors anew: two answers over the wire take longer than that."""
        for _ in range(2):
            self._tool("sel", "time", "get")

    def _tool(self, *words: str) -> bool:
        command = ["ipmitool", "-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", str(self.port), "-U", USER, "-E",
                   "-N", "1", "-R", "1", *words]  # fmt: skip
        environment = {"IPMI_PASSWORD": PASSWORD, "LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    def asked(self) -> list[str]:
        """What the chassis was told to do."""
        log = self.home / "asked"
        return [each for each in log.read_text().splitlines() if each.startswith("set")] if log.exists() else []

    # --- the process ---

    def start(self) -> None:
        """``set_clock`` tells when it answers."""
        home = self.home
        argv = ["ipmi_sim", "-n", "-c", str(home / "lan.conf"), "-f", str(home / "sim.emu"), "-s", str(home / "state")]
        with (home / "log").open("wb") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def mute(self, on: bool) -> None:
        """Without power of its own it answers nothing; what it remembers stays."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
