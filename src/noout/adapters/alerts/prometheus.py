"""What exporters measure on the nodes, asked of a Prometheus: one instant query for all of it.

Exporters: node_exporter (memory errors, bonds, links), smartctl_exporter (disks), and for nodes without a BMC of
their own in the configuration ipmi_exporter, idrac_exporter and redfish_exporter. A metric that is not there is
nothing known; only what is read counts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from noout.adapters.alerts.naming import Naming
from noout.adapters.http import AnswerLost, Channel, NotSent, Server
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, Retryable
from noout.domain.hardware import Power, Reading, SensorKind, Unit
from noout.ports import HostReport

BODY_BYTES_MAX = 32 << 20  # 2,000 nodes with sixty series each take 24 MiB
WHOLE_S = 20.0
NAME_MAX = 100
_LINK = re.compile(r"(en|eth|ib)[a-z0-9]*")  # a port of the machine; guests' taps and bridges are none
_HEALTH = {1.0: "OK", 2.0: "Warning", 3.0: "Critical"}  # redfish_exporter
_STATE = {0.0: "OK", 1.0: "Warning", 2.0: "Critical"}  # ipmi_exporter

Labels = Mapping[str, str]
Row = tuple[Labels, float]


class PrometheusExporters:
    """The Exporters port over one Prometheus. ``make_headers`` gives the login, where it needs one."""

    def __init__(self, server: Server, naming: Naming, make_headers: Callable[[], Mapping[str, str]] = dict) -> None:
        self._channel = Channel(server, make_headers)
        self._naming = naming

    async def observe(self) -> Mapping[NodeId, HostReport]:
        """Every node of which something is known. Raises Retryable or Broken."""
        rows = _rows(await self._ask())
        by_node: dict[NodeId, dict[str, list[Row]]] = {}
        for name, labels, value in rows:
            node = self._naming.node_of(labels)
            if node is not None:
                by_node.setdefault(node, {}).setdefault(name, []).append((labels, value))
        return {node: report(metrics) for node, metrics in by_node.items()}

    async def close(self) -> None:
        await self._channel.close()

    async def _ask(self) -> Any:
        where = f"the Prometheus at {self._channel.server.address}"
        try:
            answer = await self._channel.ask(
                "POST", "/api/v1/query", form={"query": QUERY, "timeout": f"{WHOLE_S:.0f}s"}, whole_s=WHOLE_S,
                body_bytes_max=BODY_BYTES_MAX,
            )  # fmt: skip
        except (NotSent, AnswerLost) as error:
            raise Retryable(f"{where} does not answer: {error}", remedy="check it and the way to it") from error
        if answer.status in (401, 403):
            raise Broken(f"{where} refuses the login ({answer.status})", remedy="check its token or password file")
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            document = None
        if answer.status != 200 or not isinstance(document, dict) or document.get("status") != "success":
            told = document.get("error") if isinstance(document, dict) else None
            raise Retryable(f"{where} does not answer the query: {answer.status} {str(told or '')[:200]}".rstrip())
        return document.get("data")


def report(metrics: Mapping[str, list[Row]]) -> HostReport:
    """One node's metrics, by name, as readings."""
    host = [reading for name, make in _HOST.items() for row in metrics.get(name, ()) for reading in make(*row)]
    slaves = {labels.get("master", ""): value for labels, value in metrics.get("node_bonding_slaves", ())}
    for labels, active in metrics.get("node_bonding_active", ()):
        bond = labels.get("master", "")
        if slaves.get(bond):
            host.append(Reading(bond, SensorKind.NETWORK, active, Unit.LINKS, lower_critical=slaves[bond]))
    state = next((value for _, value in metrics.get("ipmi_chassis_power_state", ())), None)
    up = any(name.startswith(("node_", "smartctl_")) for name in metrics)
    power = Power.ON if up or state == 1 else Power.OFF if state == 0 else Power.UNKNOWN
    bmc = [reading for make in _BMC for reading in make(metrics)]
    faults = [value for _, value in metrics.get("ipmi_chassis_cooling_fault_state", ())]
    # ipmi_exporter's logic is turned round: 1 is well, 0 is a fault of the cooling as a whole.
    redundancy = {"fans": "Fault" if 0 in faults else "OK"} if faults else {}
    return HostReport(_unique(host), _unique(bmc), power, redundancy)


def _unique(readings: list[Reading]) -> tuple[Reading, ...]:
    """Several exporters may tell of the same part: the first one counts."""
    return tuple({(each.kind, each.sensor): each for each in reversed(readings)}.values())[::-1]


# --- the running host -------------------------------------------------------------------------------------


def _errors(what: str) -> Callable[[Labels, float], Iterator[Reading]]:
    def make(labels: Labels, value: float) -> Iterator[Reading]:
        sensor = f"mc{labels.get('controller', '')} {what}"[:NAME_MAX]
        yield Reading(sensor, SensorKind.MEMORY, value, Unit.COUNT)

    return make


def _changes(labels: Labels, value: float) -> Iterator[Reading]:
    device = labels.get("device", "")
    if _LINK.fullmatch(device):
        yield Reading(f"{device} carrier changes"[:NAME_MAX], SensorKind.NETWORK, value, Unit.COUNT)


def _smart(labels: Labels, value: float) -> Iterator[Reading]:
    device = labels.get("device", "").removeprefix("/dev/")
    if device:
        health = "OK" if value == 1 else "Critical"
        yield Reading(device[:NAME_MAX], SensorKind.DISK, value, Unit.STATE, health=health)


_HOST: Mapping[str, Callable[[Labels, float], Iterator[Reading]]] = {
    "node_edac_correctable_errors_total": _errors("correctable"),
    "node_edac_uncorrectable_errors_total": _errors("uncorrectable"),
    "node_network_carrier_changes_total": _changes,
    "smartctl_device_smart_status": _smart,
}


# --- what a BMC says, by way of an exporter ---------------------------------------------------------------


def _measured(
    values: str, states: str, kind: SensorKind, unit: Unit, health: Mapping[float, str], label: str = "name"
) -> Callable[[Mapping[str, list[Row]]], Iterator[Reading]]:
    """Two metrics of one exporter: the value, and how it is rated."""

    def make(metrics: Mapping[str, list[Row]]) -> Iterator[Reading]:
        rated = {labels.get(label, ""): health.get(value, "") for labels, value in metrics.get(states, ())}
        for labels, value in metrics.get(values, ()):
            name = labels.get(label, "")
            if name:
                yield Reading(name[:NAME_MAX], kind, value, unit, health=rated.get(name, ""))

    return make


def _speeds(
    values: str, label: str, unit_label: str, rated: Callable[[Mapping[str, list[Row]]], Mapping[str, str]]
) -> Callable[[Mapping[str, list[Row]]], Iterator[Reading]]:
    """Fans of an exporter that names the unit in a label."""

    def make(metrics: Mapping[str, list[Row]]) -> Iterator[Reading]:
        health = rated(metrics) if values in metrics else {}
        for labels, value in metrics.get(values, ()):
            name = labels.get(label, "")
            unit = Unit.PERCENT if labels.get(unit_label, "").lower() in ("percent", "%") else Unit.RPM
            if name:
                yield Reading(name[:NAME_MAX], SensorKind.FAN, value, unit, health=health.get(name, ""))

    return make


def _idrac(metrics: Mapping[str, list[Row]]) -> dict[str, str]:
    rows = metrics.get("idrac_sensors_fan_health", ())
    return {labels.get("name", ""): labels.get("status", "") for labels, _ in rows}


def _redfish(metrics: Mapping[str, list[Row]]) -> dict[str, str]:
    rows = metrics.get("redfish_chassis_fan_health", ())
    return {labels.get("fan", ""): _HEALTH.get(value, "") for labels, value in rows}


_BMC = (
    _measured("ipmi_fan_speed_rpm", "ipmi_fan_speed_state", SensorKind.FAN, Unit.RPM, _STATE),
    _measured("ipmi_temperature_celsius", "ipmi_temperature_state", SensorKind.TEMPERATURE, Unit.CELSIUS, _STATE),
    _speeds("idrac_sensors_fan_speed", "name", "units", _idrac),
    _speeds("redfish_chassis_fan_rpm", "fan", "fan_unit", _redfish),
)
_OTHERS = (
    "node_bonding_active", "node_bonding_slaves", "ipmi_chassis_cooling_fault_state", "ipmi_chassis_power_state",
    "ipmi_fan_speed_rpm", "ipmi_fan_speed_state", "ipmi_temperature_celsius", "ipmi_temperature_state",
    "idrac_sensors_fan_health", "idrac_sensors_fan_speed", "redfish_chassis_fan_health", "redfish_chassis_fan_rpm",
)  # fmt: skip
QUERY = '{__name__=~"' + "|".join((*_HOST, *_OTHERS)) + '"}'


def _rows(data: Any) -> Iterator[tuple[str, Labels, float]]:
    """(metric, labels, value) of an instant vector; what is no such row is left out."""
    result = data.get("result") if isinstance(data, dict) else None
    for each in result if isinstance(result, list) else ():
        labels = each.get("metric") if isinstance(each, dict) else None
        pair = each.get("value") if isinstance(each, dict) else None
        if not isinstance(labels, dict) or not isinstance(pair, list) or len(pair) != 2:
            continue
        try:
            value = float(pair[1])
        except (TypeError, ValueError):
            continue
        if math.isfinite(value) and all(isinstance(text, str) for text in labels.values()):
            yield labels.get("__name__", ""), labels, value
