"""What a node's watch remembers, as a document of some kilobytes: after a restart it goes on where it was.

Of the log only what tells of a fan is kept, the latest of it. ``recall`` raises ValueError, KeyError or TypeError on a
document that it cannot read; then the watch begins anew from the polls that are kept.
"""

from __future__ import annotations

import base64
import binascii
from array import array
from dataclasses import asdict
from datetime import datetime
from typing import Any

from noout.domain.cluster import NodeId
from noout.domain.hardware import Alert, Episode, LogEntry, SensorKind
from noout.watch.fan import Fan, Low
from noout.watch.node import NodeWatch
from noout.watch.parts import Counter, Track

VERSION = 2
ENTRIES_MAX, EPISODES_MAX = 120, 60  # of the log, and of one sensor: the latest


def memory(told: NodeWatch) -> dict[str, Any]:
    """The document, of what JSON has."""
    return {
        "version": VERSION,
        "at": None if told.fed_at is None else told.fed_at.isoformat(),
        "fans": told.fans.state() | {"fans": [_fan(each) for each in told.fans.fans]},
        "rows": base64.b64encode(told.fans.rows.kept.tobytes()).decode(),
        "told": told.state(),
        "entries": [_moments(asdict(each)) for each in _worth_keeping(told)],
        "alerts": [_moments(asdict(each)) for each in told.alerts.values()],
        "tracks": [_moments(asdict(each)) for each in told.parts.tracks.values()],
        "counters": [_moments(asdict(each)) for each in told.parts.counters.values()],
    }


def recall(node: NodeId, document: dict[str, Any]) -> NodeWatch:
    """The watch that wrote it."""
    if document.get("version") != VERSION:
        raise ValueError(f"a memory of version {document.get('version')}, not {VERSION}")
    told = NodeWatch(node)
    for each in document["fans"]["fans"]:
        told.place(each["name"])
    told.fans.fans[:] = [_read_fan(each) for each in document["fans"]["fans"]]
    try:
        kept = array("h", base64.b64decode(document["rows"], validate=True))
    except binascii.Error as wrong:
        raise ValueError(f"rows: {wrong}") from wrong
    told.fans.rows.kept = kept
    told.fans.restore(document["fans"])
    told.restore(document["told"], [_entry(each) for each in document["entries"]])
    told.fed_at = None if document["at"] is None else datetime.fromisoformat(document["at"])
    told.alerts = {each["id"]: _alert(each) for each in document["alerts"]}
    for each in document["tracks"]:
        track = _track(each)
        told.parts.tracks[track.kind, track.sensor] = track
    for each in document["counters"]:
        counter = _counter(each)
        told.parts.counters[counter.sensor] = counter
    return told


def _worth_keeping(told: NodeWatch) -> list[LogEntry]:
    return sorted(told.telling(), key=lambda each: each.at)[-ENTRIES_MAX:]


def _moments(value: Any) -> Any:
    """Datetimes as text, all the way down."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _moments(each) for key, each in value.items()}
    return [_moments(each) for each in value] if isinstance(value, list | tuple) else value


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _fan(fan: Fan) -> dict[str, Any]:
    return asdict(fan) | {"low": [asdict(each) for each in fan.low[-EPISODES_MAX:]]}


def _read_fan(each: dict[str, Any]) -> Fan:
    bounds = each["bounds"]
    return Fan(
        **each | {"low": [Low(**low) for low in each["low"]], "bounds": None if bounds is None else tuple(bounds)}
    )


def _entry(each: dict[str, Any]) -> LogEntry:
    return LogEntry(**each | {"at": datetime.fromisoformat(each["at"])})


def _alert(each: dict[str, Any]) -> Alert:
    kind = None if each["kind"] is None else SensorKind(each["kind"])
    return Alert(**each | {"at": datetime.fromisoformat(each["at"]), "until": _time(each["until"]), "kind": kind})


def _episode(each: dict[str, Any]) -> Episode:
    times = {"since": datetime.fromisoformat(each["since"]), "until": _time(each["until"])}
    return Episode(**each | times | {"sources": tuple(each["sources"])})


def _track(each: dict[str, Any]) -> Track:
    times = {"since": _time(each["since"]), "seen_at": _time(each["seen_at"])}
    episodes = [_episode(some) for some in each["episodes"][-EPISODES_MAX:]]
    return Track(**each | times | {"kind": SensorKind(each["kind"]), "episodes": episodes})


def _counter(each: dict[str, Any]) -> Counter:
    hours = [datetime.fromisoformat(hour) for hour in each["hours"]]
    return Counter(**each | {"kind": SensorKind(each["kind"]), "grown_at": _time(each["grown_at"]), "hours": hours})
