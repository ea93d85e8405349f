"""Alertmanager's webhook, version 4: a notification, checked, as alerts by node.

What an alert is about is taken from its name where the name is one of the published rule files for the exporters
named in ``prometheus``; an alert of another name is shown and judges nothing, unless the configuration says what it is
about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from noout.adapters.alerts.naming import Naming
from noout.domain.cluster import NodeId
from noout.domain.errors import UsageError
from noout.domain.hardware import Alert, SensorKind

BODY_BYTES_MAX = 1 << 20
ALERTS_MAX = 1000

Text = Annotated[str, Field(max_length=2000)]
Labels = Annotated[dict[Annotated[str, Field(max_length=200)], Text], Field(max_length=100)]

KINDS: Mapping[str, SensorKind] = {
    "IpmiChassisCoolingFault": SensorKind.FAN,
    "IpmiFanSpeedSensorCritical": SensorKind.FAN,
    "IpmiFanSpeedSensorWarning": SensorKind.FAN,
    "IpmiFanSpeedZero": SensorKind.FAN,
    "IPMIFanSpeedStateNotOk": SensorKind.FAN,
    "IpmiTemperatureSensorCritical": SensorKind.TEMPERATURE,
    "IPMITemperatureStateNotOk": SensorKind.TEMPERATURE,
    "HostPhysicalComponentTooHot": SensorKind.TEMPERATURE,
    "HostNodeOvertemperatureAlarm": SensorKind.TEMPERATURE,
    "IpmiPowerSensorCritical": SensorKind.POWER_SUPPLY,
    "IPMIPowerStateNotOk": SensorKind.POWER_SUPPLY,
    "HostEdacCorrectableErrorsDetected": SensorKind.MEMORY,
    "HostEdacUncorrectableErrorsDetected": SensorKind.MEMORY,
    "RedfishMemoryDimmHealthNotOk": SensorKind.MEMORY,
    "HostNetworkBondDegraded": SensorKind.NETWORK,
    "SmartStatus": SensorKind.DISK,
    "SmartCriticalWarning": SensorKind.DISK,
    "SmartMediaErrors": SensorKind.DISK,
}
_PART = ("sensor", "name", "fan", "device", "master", "disk", "dimm", "controller", "id")  # labels that name the part
_SAID = ("summary", "description", "message")
_NEVER = datetime.fromisoformat("0001-01-01T00:00:00+00:00")  # Go's zero time: still firing


class _Alert(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=False)
    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Labels = {}
    startsAt: AwareDatetime
    endsAt: AwareDatetime = _NEVER
    fingerprint: Text


class _Notification(BaseModel):
    model_config = ConfigDict(extra="ignore")
    version: Literal["4"]
    truncatedAlerts: Annotated[int, Field(ge=0)] = 0
    alerts: Annotated[list[_Alert], Field(max_length=ALERTS_MAX)]


@dataclass(frozen=True, slots=True)
class Notification:
    """``strangers``: values of the label that name no node. ``left_out``: how many alerts the sender did not send."""

    alerts: Mapping[NodeId, tuple[Alert, ...]]
    strangers: tuple[str, ...]
    left_out: int


def notification(body: bytes, naming: Naming, kinds: Mapping[str, SensorKind]) -> Notification:
    """Read one notification. ``kinds``: alert name -> what it is about, beside ``KINDS``.

    UsageError, naming the key, for what is none.
    """
    try:
        document = _Notification.model_validate(json.loads(body))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(the document itself)"
        raise UsageError(f"no Alertmanager notification of version 4: {key}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise UsageError("no Alertmanager notification of version 4: it is no JSON") from None
    found: dict[NodeId, list[Alert]] = {}
    strangers: dict[str, None] = {}
    for each in document.alerts:
        node = naming.node_of(each.labels)
        if node is None:
            strangers[each.labels.get(naming.label, "")[:100]] = None
        else:
            found.setdefault(node, []).append(_alert(each, kinds))
    return Notification({node: tuple(some) for node, some in found.items()}, tuple(strangers), document.truncatedAlerts)


def _alert(each: _Alert, kinds: Mapping[str, SensorKind]) -> Alert:
    name = each.labels.get("alertname", "")
    said = next((each.annotations[key] for key in _SAID if each.annotations.get(key)), "")
    return Alert(
        id=each.fingerprint,
        name=name,
        at=each.startsAt,
        until=each.endsAt if each.status == "resolved" else None,
        severity=each.labels.get("severity", ""),
        message=said,
        kind=kinds.get(name, KINDS.get(name)),
        sensor=next((each.labels[key] for key in _PART if each.labels.get(key)), ""),
    )
