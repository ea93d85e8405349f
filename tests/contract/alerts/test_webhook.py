"""Alertmanager's notifications: what is read from them, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noout.adapters.alerts import Naming, notification
from noout.domain.cluster import NodeId
from noout.domain.errors import UsageError
from noout.domain.hardware import Alert, SensorKind

NAMING = Naming("ams1", frozenset({"pve1", "pve2", "pve3"}), nodes={"192.0.2.13": "pve3"})
PVE3 = NodeId("ams1", "pve3")


def alert(**changed: Any) -> dict[str, Any]:
    labels = {"alertname": "IpmiFanSpeedZero", "instance": "pve3:9290", "name": "FAN3B", "severity": "critical"}
    return {
        "status": "firing", "labels": {**labels, **changed.pop("labels", {})}, "annotations": {"summary": "it stands"},
        "startsAt": "2026-11-23T10:00:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "c0ffee",
        "generatorURL": "http://prometheus/graph", **changed,
    }  # fmt: skip


def body(*alerts: Any, **changed: Any) -> bytes:
    return json.dumps({
        "version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "noout",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am:9093",
        "alerts": list(alerts), **changed,
    }).encode()  # fmt: skip


def test_an_alert_that_fires_and_one_that_is_resolved() -> None:
    read = notification(
        body(alert(), alert(status="resolved", endsAt="2026-11-23T10:05:00Z", fingerprint="2")), NAMING, {}
    )
    fires, over = read.alerts[PVE3]
    at = datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC)
    assert fires == Alert("c0ffee", "IpmiFanSpeedZero", at, None, "critical", "it stands", SensorKind.FAN, "FAN3B")
    assert over.until == datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
    assert (read.strangers, read.left_out) == ((), 0)


@pytest.mark.parametrize(
    ("instance", "node"),
    [("pve3", "pve3"), ("pve3:9100", "pve3"), ("pve3.example.net:9100", "pve3"), ("192.0.2.13:9100", "pve3"),
     ("192.0.2.13", "pve3"), ("pve33:9100", None), ("", None), ("pve9.example.net", None), ("[::1]:9100", None)],
)  # fmt: skip
def test_the_label_names_the_node_or_nobody(instance: str, node: str | None) -> None:
    read = notification(body(alert(labels={"instance": instance})), NAMING, {})
    assert [each.name for each in read.alerts] == ([node] if node else [])
    assert read.strangers == (() if node else (instance,))


def test_what_an_alert_is_about_is_known_or_told_and_never_guessed() -> None:
    told = {"OurFans": SensorKind.FAN}
    names = ("HostOutOfMemory", "HostEdacCorrectableErrorsDetected", "OurFans", "DiskFanClubMeets")
    read = notification(body(*(alert(labels={"alertname": name}) for name in names)), NAMING, told)
    assert [each.kind for each in read.alerts[PVE3]] == [None, SensorKind.MEMORY, SensorKind.FAN, None]


def test_what_the_sender_left_out_is_known() -> None:
    assert notification(body(alert(), truncatedAlerts=7), NAMING, {}).left_out == 7


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "no JSON"), (b"[" * 100_000, "no JSON"), (b"\xff\xfe", "no JSON"), (b"null", "document"),
        (body(version="3"), "version"), (body(alert(startsAt="yesterday")), "startsAt"),
        (body(alert(status="maybe")), "status"), (body(alert(fingerprint=None)), "fingerprint"),
        (body(alert(startsAt="2026-11-23T10:00:00")), "startsAt"), (body(truncatedAlerts=-1), "truncatedAlerts"),
        (body(alert(labels={"x": "y" * 5000})), "labels"), (body(*[alert()] * 1001), "alerts"),
    ],
)  # fmt: skip
def test_what_is_no_notification_is_refused_by_name(text: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        notification(text, NAMING, {})


KEYS = st.sampled_from(["version", "alerts", "labels"])
ANY = st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60) | ANY.map(lambda each: json.dumps(each).encode()))
def test_anything_else_is_refused_too(text: bytes) -> None:
    with pytest.raises(UsageError):
        notification(text, NAMING, {})
