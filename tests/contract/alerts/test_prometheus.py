"""Metrics as readings: by node, in the sensors' own names, and garbage as nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from noout.adapters.alerts import Naming, PrometheusExporters
from noout.adapters.http import Server
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, NooutError, Retryable
from noout.domain.hardware import Power, Reading, SensorKind, Unit
from noout.ports import HostReport

NAMING = Naming("ams1", frozenset({"pve1", "pve3"}))
PVE1, PVE3 = NodeId("ams1", "pve1"), NodeId("ams1", "pve3")


def row(metric: str, value: str, instance: str = "pve3:9100", **labels: str) -> dict[str, Any]:
    return {"metric": {"__name__": metric, "instance": instance, **labels}, "value": [1763892000.1, value]}


async def asked(answer: httpx2.Response) -> Mapping[NodeId, HostReport]:
    requests: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return answer

    server = Server("https://prometheus.example", transport=httpx2.MockTransport(handle))
    headers = {"Authorization": "Bearer of-metrics"}
    found = await PrometheusExporters(server, NAMING, lambda: headers).observe()
    assert [(each.method, each.url.path) for each in requests] == [("POST", "/api/v1/query")], "one request for all"
    assert requests[0].headers["authorization"] == "Bearer of-metrics"
    return found


def vector(*rows: Any) -> httpx2.Response:
    return httpx2.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": list(rows)}})


async def test_the_hosts_own_measurements() -> None:
    found = await asked(
        vector(
            row("node_edac_correctable_errors_total", "17", controller="0"),
            row("node_edac_uncorrectable_errors_total", "0", controller="0"),
            row("node_bonding_active", "1", master="bond0"),
            row("node_bonding_slaves", "2", master="bond0"),
            row("node_network_carrier_changes_total", "5", device="eno1np0"),
            row("node_network_carrier_changes_total", "900", device="tap101i0"),
            row("smartctl_device_smart_status", "0", "pve1.example.net:9633", device="sda"),
            row("smartctl_device_smart_status", "0", "somebody-elses:9633", device="sdb"),
        )
    )
    assert found == {
        PVE3: HostReport(
            (
                Reading("mc0 correctable", SensorKind.MEMORY, 17.0, Unit.COUNT),
                Reading("mc0 uncorrectable", SensorKind.MEMORY, 0.0, Unit.COUNT),
                Reading("eno1np0 carrier changes", SensorKind.NETWORK, 5.0, Unit.COUNT),
                Reading("bond0", SensorKind.NETWORK, 1.0, Unit.LINKS, lower_critical=2.0),
            ),
            (),
            Power.ON,
        ),
        PVE1: HostReport((Reading("sda", SensorKind.DISK, 0.0, Unit.STATE, health="Critical"),), (), Power.ON),
    }


async def test_fans_by_way_of_three_exporters() -> None:
    found = await asked(
        vector(
            row("ipmi_fan_speed_rpm", "0", name="FAN1", type="Fan"),
            row("ipmi_fan_speed_state", "2", name="FAN1", type="Fan"),
            row("ipmi_chassis_power_state", "0"),
            row("idrac_sensors_fan_speed", "35", "pve1:9348", id="0", name="Fan1A", units="percent"),
            row("idrac_sensors_fan_health", "1", "pve1:9348", id="0", name="Fan1A", status="Warning"),
            row("redfish_chassis_fan_rpm", "7200", "pve1:9610", fan="Fan 2", fan_unit="RPM"),
            row("redfish_chassis_fan_health", "3", "pve1:9610", fan="Fan 2"),
        )
    )
    assert found[PVE3].bmc == (Reading("FAN1", SensorKind.FAN, 0.0, Unit.RPM, health="Critical"),)
    assert (found[PVE3].power, found[PVE1].power) == (Power.OFF, Power.UNKNOWN)
    assert found[PVE1].bmc == (
        Reading("Fan1A", SensorKind.FAN, 35.0, Unit.PERCENT, health="Warning"),
        Reading("Fan 2", SensorKind.FAN, 7200.0, Unit.RPM, health="Critical"),
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx2.Response(401, text="no"), Broken),
        (httpx2.Response(200, text="<html>"), Retryable),
        (httpx2.Response(200, json=None), Retryable),
        (httpx2.Response(200, content=b"[" * 100_000), Retryable),
        (httpx2.Response(503, text="starting"), Retryable),
        (httpx2.Response(422, json={"status": "error", "error": "too many samples"}), Retryable),
    ],
)
async def test_what_is_no_answer_is_said(answer: httpx2.Response, error: type[NooutError]) -> None:
    with pytest.raises(error):
        await asked(answer)


async def test_rows_that_are_none_are_left_out() -> None:
    good = row("node_bonding_active", "2", master="bond0"), row("node_bonding_slaves", "2", master="bond0")
    odd = [None, 7, {}, {"metric": 1, "value": []}, {"metric": {}, "value": [1]},
           row("ipmi_fan_speed_rpm", "NaN", name="F"),
           row("ipmi_fan_speed_rpm", "+Inf", name="F"), row("ipmi_fan_speed_rpm", "x", name="F"),
           {"metric": {"instance": 7}, "value": [1, "1"]}, row("ipmi_fan_speed_rpm", "1")]  # fmt: skip
    found = await asked(vector(*odd, *good))
    assert [each.sensor for each in found[PVE3].host] == ["bond0"]
    assert found[PVE3].bmc == ()
    body = json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}})
    assert await asked(httpx2.Response(200, text=body)) == {}


@pytest.mark.parametrize(("value", "word"), [("1", "OK"), ("0", "Fault")])
async def test_the_chassis_own_word_on_its_cooling_is_turned_round(value: str, word: str) -> None:
    """The exporter says 1 for a cooling without fault; the rules in use alert on 0."""
    found = await asked(vector(row("ipmi_chassis_cooling_fault_state", value)))
    assert found == {PVE3: HostReport(redundancy={"fans": word})}
    assert (await asked(vector(row("ipmi_chassis_power_state", "1"))))[PVE3].redundancy == {}
