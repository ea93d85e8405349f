"""Sensor states in the database: small rows of figures under frames that stay the same, and trends of the old ones.

Everything here runs inside a transaction of ``SqlStore``; nothing opens one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from noout.adapters.store.tables import hardware_frames, hardware_states, hardware_trends, watch_memory
from noout.codec import decode, encode
from noout.domain.cluster import NodeId
from noout.domain.hardware import HardwareState, LogEntry, Reading, SensorKind, Unit
from noout.domain.maintenance import Json
from noout.domain.trend import TREND_S, Trend, bucket, condense

_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class Readings:
    """Writes states; remembers which frame each node had last, until ``forget`` (a transaction that failed, frames
    that were deleted)."""

    def __init__(self) -> None:
        self._last: dict[NodeId, tuple[HardwareState, str]] = {}

    def forget(self) -> None:
        self._last.clear()

    def add(self, connection: Connection, states: Sequence[HardwareState]) -> None:
        connection.execute(insert(hardware_states), [self._row(connection, state) for state in states])

    def _row(self, connection: Connection, state: HardwareState) -> dict[str, Any]:
        told: dict[str, Json] = {}
        if state.log:
            told["log"] = [encode(entry) for entry in state.log]
        if state.alerts:
            told["alerts"] = [encode(alert) for alert in state.alerts]
        if state.trouble:
            told["trouble"] = state.trouble
        return {
            "node": str(state.node),
            "at_s": state.at.timestamp(),
            "digest": self._frame(connection, state),
            "figures": json.dumps([reading.value for reading in (*state.readings, *state.host)]),
            "told": json.dumps(told, ensure_ascii=False) if told else "",
        }

    def _frame(self, connection: Connection, state: HardwareState) -> str:
        frame = replace(
            state, at=_NO_TIME, log=(), alerts=(), trouble="", readings=_emptied(state.readings),
            host=_emptied(state.host),
        )  # fmt: skip
        last = self._last.get(state.node)
        if last is not None and last[0] == frame:
            return last[1]
        text = json.dumps(encode(frame), ensure_ascii=False, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        key = {"node": str(state.node), "digest": digest}
        known = select(hardware_frames.c.digest).filter_by(**key)
        if connection.execute(known).first() is None:
            connection.execute(insert(hardware_frames).values(**key, frame=text))
        self._last[state.node] = (frame, digest)
        return digest


def states(connection: Connection, node: NodeId, since: datetime, until: datetime | None = None) -> list[HardwareState]:
    """Oldest first, each as it was added; ``until`` exclusive."""
    table = hardware_states.c
    query = select(table.at_s, table.digest, table.figures, table.told).where(
        table.node == str(node), table.at_s >= since.timestamp()
    )
    if until is not None:
        query = query.where(table.at_s < until.timestamp())
    rows = connection.execute(query.order_by(table.at_s, table.number)).all()
    frames = _frames(connection, node) if rows else {}
    return [_state(row, frames[row.digest]) for row in rows]


def thin(connection: Connection, node: NodeId, raw_since: datetime, trends_since: datetime) -> None:
    limit = bucket(raw_since)
    old = states(connection, node, _NO_TIME, limit)
    by_bucket: dict[datetime, list[HardwareState]] = {}
    for state in old:
        by_bucket.setdefault(bucket(state.at), []).append(state)
    rows = [
        {
            "node": str(node),
            "at_s": at.timestamp(),
            "trends": json.dumps([_short(each) for each in condense(some)], ensure_ascii=False),
            "log": _log(some),
        }
        for at, some in by_bucket.items()
    ]
    mine, trends_ = hardware_states.c.node == str(node), hardware_trends.c
    if rows:
        # A late state of minutes thinned out before replaces nothing: what was kept of them stays.
        first = min(by_bucket).timestamp()
        told = select(trends_.at_s).where(trends_.node == str(node), trends_.at_s >= first)
        known = set(connection.execute(told).scalars())
        if fresh := [row for row in rows if row["at_s"] not in known]:
            connection.execute(insert(hardware_trends), fresh)
        connection.execute(delete(hardware_states).where(mine, hardware_states.c.at_s < limit.timestamp()))
        used = select(hardware_states.c.digest).where(mine)
        connection.execute(
            delete(hardware_frames).where(hardware_frames.c.node == str(node), hardware_frames.c.digest.not_in(used))
        )
    too_old = trends_.at_s < bucket(trends_since).timestamp()
    connection.execute(delete(hardware_trends).where(trends_.node == str(node), too_old))


def trends(connection: Connection, node: NodeId, since: datetime) -> list[Trend]:
    return [
        Trend(datetime.fromtimestamp(row.at_s, UTC), sensor, SensorKind(kind), Unit(unit), *figures)
        for row in _old(connection, node, since)
        for sensor, kind, unit, *figures in json.loads(row.trends)
    ]


def logged(connection: Connection, node: NodeId, since: datetime) -> list[LogEntry]:
    old = [each for row in _old(connection, node, since) for each in (json.loads(row.log) if row.log else [])]
    told = hardware_states.c
    query = (
        select(told.told)
        .where(told.node == str(node), told.at_s >= since.timestamp(), told.told != "")
        .order_by(told.at_s, told.number)
    )
    new = [each for text in connection.execute(query).scalars() for each in json.loads(text).get("log", [])]
    return [decode(LogEntry, each) for each in (*old, *new)]


def keep_memory(connection: Connection, node: NodeId, at: datetime, memory_: Json) -> None:
    connection.execute(delete(watch_memory).where(watch_memory.c.node == str(node)))
    text = json.dumps(memory_, ensure_ascii=False)
    connection.execute(insert(watch_memory).values(node=str(node), at_s=at.timestamp(), memory=text))


def memory(connection: Connection, node: NodeId) -> tuple[datetime, Json] | None:
    row = connection.execute(select(watch_memory).where(watch_memory.c.node == str(node))).first()
    return None if row is None else (datetime.fromtimestamp(row.at_s, UTC), json.loads(row.memory))


# --- inside -------------------------------------------------------------------------------------------------


def _old(connection: Connection, node: NodeId, since: datetime) -> Sequence[Row[Any]]:
    table = hardware_trends.c
    first = since.timestamp() // TREND_S * TREND_S
    query = select(hardware_trends).where(table.node == str(node), table.at_s >= first).order_by(table.at_s)
    return connection.execute(query).all()


def _frames(connection: Connection, node: NodeId) -> dict[str, HardwareState]:
    query = select(hardware_frames).where(hardware_frames.c.node == str(node))
    return {row.digest: decode(HardwareState, json.loads(row.frame)) for row in connection.execute(query)}


def _state(row: Any, frame: HardwareState) -> HardwareState:
    figures = iter(json.loads(row.figures))
    told = decode(HardwareState, {**_BARE, **json.loads(row.told)}) if row.told else None
    return replace(
        frame,
        at=datetime.fromtimestamp(row.at_s, UTC),
        readings=_filled(frame.readings, figures),
        host=_filled(frame.host, figures),
        log=told.log if told else (),
        alerts=told.alerts if told else (),
        trouble=told.trouble if told else "",
    )


_BARE: dict[str, Any] = {"node": {"cluster": "", "name": ""}, "at": _NO_TIME.isoformat(), "reachable": False}


def _emptied(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    return tuple(replace(each, value=None) for each in readings)


def _filled(readings: Sequence[Reading], figures: Iterator[float | None]) -> tuple[Reading, ...]:
    return tuple(replace(each, value=next(figures)) for each in readings)


def _short(trend: Trend) -> list[Any]:
    return [trend.sensor, trend.kind.value, trend.unit.value, trend.lowest, trend.middle, trend.highest, trend.polls]


def _log(some: Sequence[HardwareState]) -> str:
    entries = [encode(entry) for state in some for entry in state.log]
    return json.dumps(entries, ensure_ascii=False) if entries else ""
