"""Redfish clients that nobody of this project wrote, OpenStack's and the DMTF's, read the lab's BMC over a socket."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from noout.lab.wire.serve import LabServer
from noout.lab.world.build import build_world
from tests.support.ownvenv import python_with

pytestmark = pytest.mark.real

SUSHY = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import sushy
url, user, password = json.load(sys.stdin)
root = sushy.Sushy(url + "/redfish/v1", username=user, password=password, verify=False)
system = root.get_system("/redfish/v1/Systems/1")
before = system.power_state.value
system.set_indicator_led(sushy.INDICATOR_LED_BLINKING)
system.refresh(force=True)
led = system.indicator_led.value
allowed = sorted(kind.value for kind in system.get_allowed_reset_system_values())
system.reset_system(sushy.RESET_FORCE_OFF)
for _ in range(300):
    system.refresh(force=True)
    if system.power_state == sushy.SYSTEM_POWER_STATE_OFF:
        break
    time.sleep(0.05)
chassis = root.get_chassis("/redfish/v1/Chassis/1")
thermal = chassis.thermal
print(json.dumps({
    "before": before,
    "after": system.power_state.value,
    "led": led,
    "allowed": allowed,
    "serial": system.serial_number,
    "memory": system.memory_summary.size_gib,
    "fans": [[fan.name, fan.reading, fan.reading_units.value] for fan in thermal.fans],
    "temperatures": [sensor.name for sensor in thermal.temperatures],
    "psus": [supply.name for supply in chassis.power.power_supplies],
}))
"""

DMTF = """
import json, sys
import redfish
url, user, password = json.load(sys.stdin)
client = redfish.redfish_client(base_url=url, username=user, password=password, default_prefix="/redfish/v1")
client.login(auth="session")
sensors = client.get("/redfish/v1/Chassis/1/Sensors?$expand=.").dict["Members"]
path, records = "/redfish/v1/Managers/1/LogServices/SEL/Entries", []
while path:
    page = client.get(path).dict
    records += page["Members"]
    path = page.get("Members@odata.nextLink")
lit = client.patch("/redfish/v1/Systems/1", body={"LocationIndicatorActive": True}).status
shown = client.get("/redfish/v1/Systems/1").dict["LocationIndicatorActive"]
client.logout()
print(json.dumps({"sensors": {s["Name"]: s.get("Reading") for s in sensors}, "log": [r["Message"] for r in records],
                  "lit": lit, "shown": shown}))
"""


@pytest.fixture(scope="module")
def clients() -> Path:
    return python_with("sushy==5.14.0", "redfish==3.4.2")


@pytest_asyncio.fixture
async def lab() -> AsyncIterator[LabServer]:
    async with LabServer(build_world(nodes=3, guests=6), port=0, speed=20) as server:
        yield server


async def ask(python: Path, script: str, lab: LabServer, folder: Path) -> Any:
    """Run ``script`` with the URL, user and password of pve3's BMC; what it prints, as JSON."""
    lab.write_config(folder / "noout.toml")
    bmc = tomllib.loads((folder / "noout.toml").read_text())["clusters"]["ams1"]["bmc"]["pve3"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(python, "-c", script, stdin=pipe, stdout=pipe, stderr=pipe)
    login = json.dumps([bmc["url"], bmc["user"], bmc["password"]])
    stdout, stderr = await process.communicate(login.encode())
    assert process.returncode == 0, stderr.decode()
    return json.loads(stdout)


async def test_sushy_reads_sensors_lights_the_led_and_switches_off(
    clients: Path, lab: LabServer, tmp_path: Path
) -> None:
    told = await ask(clients, SUSHY, lab, tmp_path)
    bmc = lab.world.clusters["ams1"].bmcs["pve3"]
    assert (told["before"], told["after"], told["led"]) == ("On", "Off", "Blinking")
    assert {"On", "ForceOff", "GracefulShutdown"} <= set(told["allowed"])
    assert told["serial"] == bmc.serial
    assert told["memory"] > 0
    assert [(name, units) for name, _, units in told["fans"]] == [(name, "RPM") for name in bmc.fans]
    assert told["temperatures"] == list(bmc.temperatures)
    assert told["psus"] == list(bmc.psus)
    assert bmc.led


async def test_the_dmtf_client_logs_in_reads_sensors_and_pages_the_log(
    clients: Path, lab: LabServer, tmp_path: Path
) -> None:
    cluster = lab.world.clusters["ams1"]
    for number in range(70):
        lab.laws.bmc_record(cluster, "pve3", "Warning", f"record {number}")
    told = await ask(clients, DMTF, lab, tmp_path)
    assert {name: told["sensors"][name] > 5000 for name in cluster.bmcs["pve3"].fans} == dict.fromkeys(
        cluster.bmcs["pve3"].fans, True
    )
    assert told["log"] == [record.message for record in reversed(cluster.bmcs["pve3"].log)]
    assert (told["lit"], told["shown"]) == (200, True)
