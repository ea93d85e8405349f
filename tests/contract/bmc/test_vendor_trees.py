"""Every recorded tree of a real BMC, through the pure parsers and, as a wire, through the whole client."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from noout.adapters.bmc import RedfishBmc, parse
from noout.adapters.http import Server
from noout.domain.cluster import NodeId
from noout.domain.hardware import Power, Reading, SensorKind, Unit
from tests.conftest import DATA
from tests.support.recorded import FixedClock

HARDWARE = DATA / "hardware"
FILES = sorted(p for p in HARDWARE.glob("**/*.json") if "Chassis" in str(p)) if HARDWARE.is_dir() else []
NODE = NodeId("ams1", "pve1")


def kind_of(document: dict[str, Any]) -> str:
    found = re.match(r"#(\w+)\.", str(document.get("@odata.type")))
    return found[1] if found else ""


def sound(reading: Reading) -> None:
    assert reading.sensor
    assert reading.present or reading.value is None, "an absent part measures nothing"
    assert reading.lower_critical != 0
    assert reading.upper_critical != 0
    if reading.kind is SensorKind.TEMPERATURE and reading.value is not None:
        margin = re.search(r"Th(e)?rm", reading.sensor)  # Intel shows distances to a limit among the temperatures
        assert (-130 if margin else -20) < reading.value < 130
    if reading.unit is Unit.PERCENT and reading.value is not None:
        assert 0 <= reading.value <= 100


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(HARDWARE)).replace("/", ":"))
def test_every_document_parses(file: Path) -> None:
    document = json.loads(file.read_text())
    kind = kind_of(document)
    if kind == "Thermal":
        readings = parse.from_thermal(document)
        fans = [r for r in readings if r.kind is SensorKind.FAN]
        assert len(fans) == len(document.get("Fans") or [])
        assert len(readings) - len(fans) == len(document.get("Temperatures") or [])
        for row, fan in zip(document.get("Fans") or [], fans, strict=True):
            absent = row["Status"].get("State") == "Absent"
            assert fan.present is not absent
            assert fan.value == (None if absent else float(row["Reading"]))
            assert (fan.unit is Unit.PERCENT) is (row["ReadingUnits"] == "Percent")
    elif kind == "Fan":
        [fan] = parse.from_fans([document])
        readings = (fan,)
        speed = document["SpeedPercent"]
        absent = document["Status"]["State"] == "Absent"
        assert fan.value == (None if absent else speed.get("SpeedRPM", speed["Reading"]))
    elif kind == "Power":
        rows = document.get("PowerSupplies") or []
        readings = parse.from_power(rows)
        assert [r.present for r in readings] == [row["Status"].get("State") != "Absent" for row in rows]
        word = parse.redundancy(parse.documents(document.get("Redundancy")))
        enabled = [r for r in document.get("Redundancy") or [] if r["Status"]["State"] == "Enabled"]
        assert word == ("OK" if enabled else None), "a disabled group says OK all the same"
    elif kind == "PowerSupply":
        readings = parse.from_power([document])
        assert readings[0].present is (document["Status"]["State"] != "Absent")
        assert readings[0].health == document["Status"].get("Health", "")
    elif kind == "Sensor":
        readings = parse.from_sensors([document])
        assert len(readings) == 1
        assert readings[0].value == document["Reading"]
    else:
        assert kind in ("ThermalSubsystem", "FanCollection"), f"{file} is of a kind that nobody reads: {kind}"
        readings = ()
    names = [(reading.kind, reading.sensor) for reading in readings]
    assert len(names) == len(set(names)), "sensors are told apart by name"
    for reading in readings:
        sound(reading)


def test_every_log_entry_with_a_time_is_kept(recordings: Path) -> None:
    files = sorted((recordings / "hardware").glob("**/Entries.json"))
    assert files
    for file in files:
        rows = json.loads(file.read_text())["Members"]
        entries = parse.log_entries(rows)
        dated = [row for row in rows if not str(row.get("Created")).startswith("0000")]
        assert {entry.id for entry in entries} == {row["Id"] for row in dated}
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
        assert all(entry.at.tzinfo is UTC and entry.message for entry in entries)


def test_the_ecc_storm_of_a_real_supermicro(recordings: Path) -> None:
    rows = json.loads((recordings / "hardware" / "logs" / "supermicro-x10-ecc-storm.json").read_text())["Members"]
    entries = parse.log_entries(rows)
    assert len(entries) == len(rows) == 65
    assert sum("Correctable ECC @DIMMB1" in entry.message for entry in entries) == 64


@pytest.mark.parametrize("name", ["dell-idrac8-fan5b", "dell-idrac9-fan1a"])
def test_fans_from_bug_reports(recordings: Path, name: str) -> None:
    row = json.loads((recordings / "hardware" / "issue-excerpts" / f"{name}.json").read_text())
    [fan] = parse.from_thermal({"Fans": [row]})
    assert (fan.sensor, fan.value, fan.unit) == (row["Name"], row["Reading"], Unit.RPM)
    assert fan.lower_critical == row["LowerThresholdCritical"]


# --- whole trees, through the client ---------------------------------------------------------------------


class TreeWire(httpx2.AsyncBaseTransport):
    """A BMC with the documents of one recorded folder; what was not recorded is a 404, as on old firmware.

    The System is made up (none was recorded): it names the recorded chassis. ``root``: what the service root answers.
    """

    def __init__(self, folder: Path, root: Any) -> None:
        self.documents: dict[str, Any] = {"/redfish/v1/": root}
        for file in sorted(folder.glob("**/*.json")):
            local = file.relative_to(folder).with_suffix("")
            path = (
                f"/{local.name.lstrip('_').replace('_', '/')}" if file.name.startswith("_") else f"/redfish/v1/{local}"
            )
            self.documents[path] = json.loads(file.read_text())
        chassis = sorted({path.split("/")[4] for path in self.documents if path.startswith("/redfish/v1/Chassis/")})
        if "Baseboard" in str(sorted(self.documents)):
            chassis = [f"{name}/Baseboard" for name in chassis]
        for name in chassis:
            base = f"/redfish/v1/Chassis/{name}"
            parts = ("Thermal", "ThermalSubsystem", "Power", "PowerSubsystem", "Sensors")
            self.documents[base] = {
                "PowerState": "On",
                **{part: {"@odata.id": f"{base}/{part}"} for part in parts},
            }
            self._collections(base)
        system = "/redfish/v1/Systems/1"
        self.documents["/redfish/v1/Systems"] = {"Members": [{"@odata.id": system}]}
        self.documents[system] = {
            "PowerState": "On",
            "SerialNumber": "S1",
            "LogServices": {"@odata.id": f"{system}/LogServices"},
            "Links": {"Chassis": [{"@odata.id": f"/redfish/v1/Chassis/{name}"} for name in chassis]},
        }
        if f"{system}/LogServices/Event/Entries" in self.documents:
            event = f"{system}/LogServices/Event"
            self.documents[f"{system}/LogServices"] = {"Members": [{"@odata.id": event}]}
            self.documents[event] = {"Entries": {"@odata.id": f"{event}/Entries"}}

    def _collections(self, base: str) -> None:
        for part in ("Sensors", "PowerSubsystem/PowerSupplies"):
            below = [p for p in self.documents if p.startswith(f"{base}/{part}/")]
            if below:
                self.documents[f"{base}/{part}"] = {"Members": [{"@odata.id": p} for p in sorted(below)]}
                if "/" in part:
                    self.documents[f"{base}/PowerSubsystem"] = {"PowerSupplies": {"@odata.id": f"{base}/{part}"}}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if "$expand" in str(request.url):
            return httpx2.Response(400, json={"error": {"message": "$expand is not supported"}})
        if request.url.path not in self.documents:
            return httpx2.Response(404)
        return httpx2.Response(200, json=self.documents[request.url.path])


TREES = {
    # folder: (fans, unit, temperatures, power supplies)
    "cray-csm/DL325": (8, Unit.PERCENT, 35, 2),
    "cray-csm/Intel": (6, Unit.RPM, 28, 2),
    "cray-csm/OpenBMC-stock": (0, None, 0, 0),
    "dell-idrac9": (0, None, 3, 0),  # captured with the host off
    "dmtf-rackmount1": (2, Unit.RPM, 3, 1),
    "hpe-ilo/DL325_Gen10Plus_FC": (8, Unit.PERCENT, 35, 2),
    "hpe-ilo/DL340e": (11, Unit.PERCENT, 30, 2),
    "hpe-ilo/DL360": (7, Unit.PERCENT, 48, 2),
    "hpe-ilo/DL360_Gen12": (7, Unit.PERCENT, 35, 2),
    "hpe-ilo/DL365_Gen10Plus": (7, Unit.PERCENT, 45, 2),
    "hpe-ilo/DL380a": (6, Unit.PERCENT, 53, 4),
    "hpe-ilo/DL380a_Gen12": (12, Unit.PERCENT, 86, 8),
    "hpe-ilo/EX235a": (0, None, 38, 0),
    "supermicro-x10": (4, Unit.RPM, 8, 0),
    "supermicro-x10-119": (4, Unit.RPM, 8, 0),
}
ROOTS = {
    "full": {"Systems": {"@odata.id": "/redfish/v1/Systems"}, "Chassis": {"@odata.id": "/redfish/v1/Chassis"}},
    "null": None,  # seen on a real BMC
}


def bmc_over(wire: httpx2.AsyncBaseTransport) -> RedfishBmc:
    clock = FixedClock(datetime(2026, 11, 23, tzinfo=UTC))
    return RedfishBmc(NODE, Server("https://bmc", transport=wire), "noout", "secret", clock)


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("tree", TREES)
async def test_a_whole_tree(recordings: Path, tree: str, root: str) -> None:
    state = await bmc_over(TreeWire(recordings / "hardware" / tree, ROOTS[root])).observe()
    fans, unit, temperatures, supplies = TREES[tree]
    assert state.reachable
    assert state.trouble == ""
    assert state.power is Power.ON
    of = {kind: [r for r in state.readings if r.kind is kind] for kind in SensorKind}
    assert (len(of[SensorKind.FAN]), len(of[SensorKind.TEMPERATURE])) == (fans, temperatures)
    assert len(of[SensorKind.POWER_SUPPLY]) == supplies
    assert {reading.unit for reading in of[SensorKind.FAN]} == ({unit} if unit else set())
    for reading in state.readings:
        sound(reading)
    logged = (recordings / "hardware" / tree / "Systems").is_dir()
    assert bool(state.log) is logged


def test_every_tree_is_walked(recordings: Path) -> None:
    hardware = recordings / "hardware"
    found = {str(p.relative_to(hardware)) for p in (*hardware.glob("*/Chassis"), *hardware.glob("*/*/Chassis"))}
    assert {path.removesuffix("/Chassis") for path in found} | {"supermicro-x10", "supermicro-x10-119"} == set(TREES)


async def test_the_new_generation_alone(recordings: Path) -> None:
    """Without the old Thermal: fans from ThermalSubsystem, RPM and limits from the Sensors they name."""
    wire = TreeWire(recordings / "hardware" / "dmtf-rackmount1", ROOTS["full"])
    del wire.documents["/redfish/v1/Chassis/1U/Thermal"]
    state = await bmc_over(wire).observe()
    fans = {r.sensor: r for r in state.readings if r.kind is SensorKind.FAN}
    assert len(fans) == 4
    assert fans["Fan Bay 1"].value == 2200
    assert fans["Fan Bay 1"].unit is Unit.RPM
    assert [r.sensor for r in state.readings if r.kind is SensorKind.TEMPERATURE]


async def test_an_absent_supply_of_hpe_is_no_fault() -> None:
    [reading] = parse.from_power([{"Name": "Bay 2", "Status": {"State": "Absent", "Health": "Warning"}}])
    assert not reading.present
    assert reading.health == ""


def fans_of(*rpm: int) -> list[dict[str, Any]]:
    return [
        {"@odata.id": f"/c/Thermal#/Fans/{i}", "Reading": each, "Status": {"State": "Enabled", "Health": "OK"}}
        for i, each in enumerate(rpm)
    ]


@pytest.mark.parametrize(
    ("health", "rpm", "word"),
    [
        ("Critical", (5000, 0, 0, 5000), "Insufficient"),
        ("Critical", (5000, 0, 5000, 5000), "Lost"),  # three of the three that it needs
        ("Warning", (5000, 0, 0, 5000), "Degraded"),  # the BMC itself does not call it critical
        ("OK", (5000, 0, 0, 5000), "OK"),
    ],
)
def test_cooling_that_does_not_suffice_takes_two_witnesses(health: str, rpm: tuple[int, ...], word: str) -> None:
    members = [{"@odata.id": f"/c/Thermal#Fans/{i}"} for i in range(4)]  # as HPE writes it
    group = {"RedundancySet": members, "MinNumNeeded": 3, "Status": {"State": "Enabled", "Health": health}}
    assert parse.redundancy([group], fans_of(*rpm)) == word
    new = {"RedundancyGroup": members, "MinNeededInGroup": 3, "Status": group["Status"]}
    assert parse.redundancy([new], fans_of(*rpm)) == word
    if word == "Insufficient":
        assert parse.redundancy([group], fans_of(*rpm)[:3]) == "Lost", "a member that is not known may work"


def test_hpe_tells_redundancy_on_the_system() -> None:
    told = {"FanRedundancy": "NonRedundant", "PowerSupplyRedundancy": "Redundant", "Fans": {"Status": {}}}
    system = {"Oem": {"Hpe": {"AggregateHealthStatus": told}}}
    assert parse.hpe_redundancy(system) == {"fans": "Lost", "power-supplies": "OK"}
    assert parse.hpe_redundancy({}) == {}


@pytest.mark.parametrize(
    ("action", "info", "types"),
    [
        ({"ResetType@Redfish.AllowableValues": ["On", "ForceOff"]}, {}, ["On", "ForceOff"]),
        ({}, {"Parameters": [{"Name": "ResetType", "AllowableValues": ["PushPowerButton"]}]}, ["PushPowerButton"]),
        ({}, {}, []),
    ],
)
def test_reset_types_are_said_in_two_ways(action: Any, info: Any, types: list[str]) -> None:
    assert parse.reset_types(action, info) == types


# --- power, LED and identity as vendors differ in them ----------------------------------------------------

RESET = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
HPE_TYPES = ["On", "ForceOff", "ForceRestart", "Nmi", "PushPowerButton"]  # iLO 5: no GracefulShutdown
INFO = {"Parameters": [{"Name": "ResetType", "AllowableValues": ["ForceOff", "ForceOn", "GracefulRestart"]}]}


def resets(*types: str) -> dict[str, Any]:
    return {"Actions": {"#ComputerSystem.Reset": {"target": RESET, "ResetType@Redfish.AllowableValues": list(types)}}}


# tree: (the System's own words, Chassis words, more documents) -> (power on, power off, LED path, LED body, restore).
# The recorded trees hold no System: these are the vendors' documented shapes, put on top of their recorded chassis.
VENDORS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], tuple[str, str, str, Any, str]]] = {
    "hpe-ilo/DL360": (
        {**resets(*HPE_TYPES), "IndicatorLED": "Off", "Oem": {"Hpe": {"PowerAutoOn": "PowerOn"}}}, {}, {},
        ("On", "ForceOff", "Systems/1", {"IndicatorLED": "Blinking"}, "AlwaysOn"),
    ),
    "hpe-ilo/DL360_Gen12": (
        {**resets("PushPowerButton", "ForceOff"), "LocationIndicatorActive": False,
         "Oem": {"Hpe": {"PowerAutoOn": "Restore"}}}, {}, {},
        ("PushPowerButton", "ForceOff", "Systems/1", {"LocationIndicatorActive": True}, "LastState"),
    ),
    "dell-idrac9": (
        {**resets("On", "ForceOff", "GracefulShutdown", "PushPowerButton"), "IndicatorLED": "Off",
         "Bios": {"@odata.id": "/redfish/v1/Systems/1/Bios"}}, {},
        {"/redfish/v1/Systems/1/Bios": {"Attributes": {"AcPwrRcvry": "On"}}},
        ("On", "ForceOff", "Systems/1", {"IndicatorLED": "Blinking"}, "AlwaysOn"),
    ),
    "supermicro-x10": (
        resets("On", "ForceOff", "GracefulShutdown"), {"IndicatorLED": "Off"}, {},
        ("On", "ForceOff", "Chassis", {"IndicatorLED": "Blinking"}, ""),
    ),
    "cray-csm/OpenBMC-stock": (
        {"Actions": {"#ComputerSystem.Reset": {"target": RESET, "@Redfish.ActionInfo": "/redfish/v1/Systems/1/Info"}},
         "LocationIndicatorActive": False, "PowerRestorePolicy": "AlwaysOff"}, {},
        {"/redfish/v1/Systems/1/Info": INFO},
        ("ForceOn", "ForceOff", "Systems/1", {"LocationIndicatorActive": True}, "AlwaysOff"),
    ),
}  # fmt: skip


class VendorWire(TreeWire):
    """The tree with a vendor's own System, whose PATCHes and POSTs are taken and written down."""

    def __init__(self, folder: Path, system: Any, chassis: Any, more: Any) -> None:
        super().__init__(folder, ROOTS["full"])
        self.effects: list[tuple[str, Any]] = []
        self.documents["/redfish/v1/Systems/1"] |= system
        for path in self.chassis:
            self.documents[path] |= chassis
        self.documents |= more

    @property
    def chassis(self) -> list[str]:
        return [each["@odata.id"] for each in self.documents["/redfish/v1/Systems/1"]["Links"]["Chassis"]]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method not in ("POST", "PATCH"):
            return await super().handle_async_request(request)
        body = json.loads(request.content)
        self.effects.append((request.url.path, body))
        if request.method == "PATCH":
            self.documents[request.url.path] |= body
        else:
            on = body["ResetType"] != "ForceOff"
            self.documents["/redfish/v1/Systems/1"]["PowerState"] = "On" if on else "Off"
        return httpx2.Response(204)


@pytest.mark.parametrize("tree", VENDORS)
async def test_power_and_led_in_each_vendors_words(recordings: Path, tree: str) -> None:
    system, chassis, more, (power_on, power_off, where, led, restore) = VENDORS[tree]
    wire = VendorWire(recordings / "hardware" / tree, system, chassis, more)
    bmc = bmc_over(wire)
    state = await bmc.observe()
    assert (state.power_restore, state.led_on, state.serial) == (restore, False, "S1")
    await bmc.locate(True)
    await bmc.force_off()
    assert (await bmc.observe()).power is Power.OFF
    await bmc.power_on()
    assert (await bmc.observe()).power is Power.ON
    [(lit, body), *powered] = wire.effects
    assert where in lit
    assert body == led
    assert powered == [(RESET, {"ResetType": power_off}), (RESET, {"ResetType": power_on})]
