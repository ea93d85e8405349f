"""One node's watch: polls in, in the order of time; out at any moment what is to be said of each of its sensors.

It keeps little and costs little: some kilobytes a node and some microseconds a poll, so that two thousand nodes a
minute need a fraction of a core. It is pure: its clock is the polls' own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from noout.domain.cluster import NodeId
from noout.domain.hardware import Alert, Episode, HardwareState, LogEntry, Power, Reading, SensorKind, Unit
from noout.watch.episodes import from_log, from_readings, joined, own
from noout.watch.fan import Fan
from noout.watch.fans import GAP_MIN_S, FanWatch
from noout.watch.log import Crossing, crossing, fan_sensors, timely
from noout.watch.parts import Parts

RPM_MAX = 60_000.0  # no fan turns faster; what says so is garbage
KEPT = timedelta(days=14)  # older episodes weigh nothing
ENTRIES_MAX = 400  # of the log, the latest: two hundred stops say all that two thousand would
KEPT_ALERTS = 200
_FOREVER = datetime.max.replace(tzinfo=UTC)
OF_NO_LIMIT = 1.0  # the limit of a fan without one that its BMC reports as failed: it is none that stands by


class NodeWatch:
    """``feed`` every poll once, then ask. An entry of the log may come with many polls, it counts once."""

    def __init__(self, node: NodeId) -> None:
        self.node = node
        self.fans = FanWatch()
        self.parts = Parts()
        self.alerts: dict[str, Alert] = {}
        self.latest: HardwareState | None = None
        self.fed_at: datetime | None = None  # when the latest poll was; polls from before are left out
        self._places: dict[str, int] = {}
        self._logged: set[str] = set()  # fans that only the log knows
        self._entries: dict[tuple[str, datetime, str], LogEntry] = {}
        self._crossings: dict[str, list[Crossing]] | None = None  # None: to be read out of the entries anew
        self._names: list[str] = []
        self._parsed: dict[tuple[str, datetime, str], Crossing | None] = {}
        self._joined: dict[str, tuple[object, tuple[Episode, ...]]] = {}  # of each fan, and what they were made of
        self._off: list[tuple[datetime, datetime]] = []
        self._off_since: datetime | None = None
        self._answered: datetime | None = None

    @property
    def fan_names(self) -> list[str]:
        return sorted({*self._places, *self._logged})

    def fan(self, name: str) -> Fan | None:
        """What the readings tell of a fan; None for one that only the log knows."""
        place = self._places.get(name)
        return None if place is None else self.fans.fans[place]

    # --- what comes in ---

    def feed(self, state: HardwareState) -> bool:
        """One poll, later than all before (others are left out); True when a verdict may have changed."""
        if self.fed_at is not None and state.at <= self.fed_at:
            return False
        self.latest, self.fed_at = state, state.at
        if state.reachable:
            self.power(state.at, state.power not in {Power.OFF, Power.CHANGING})
        changed = self._fans(state)
        self.parts.feed(state)
        if state.log and state.reachable:
            changed = self.heard(state.log, state.at) or changed
        for alert in state.alerts:
            self.alerts[alert.id] = alert
        if len(self.alerts) > KEPT_ALERTS:
            self.alerts = dict(sorted(self.alerts.items(), key=lambda each: each[1].at)[-KEPT_ALERTS:])
        return changed or bool(state.alerts)

    def _fans(self, state: HardwareState) -> bool:
        at = state.at.timestamp()
        values: list[float | None] = [None] * len(self.fans.fans)
        listed = False
        for reading in state.readings:
            if reading.kind is not SensorKind.FAN or not reading.present:
                continue
            listed = True
            place = self.place(reading.sensor)
            if place == len(values):
                values.append(None)
            values[place] = self._speed(place, reading)
        if not state.reachable:
            self.fans.silence(at, "the BMC does not answer")
        elif state.power is Power.UNKNOWN:
            self.fans.silence(at, "its power state is unknown")
        elif state.power is not Power.ON:
            self.fans.silence(at, f"the node is {state.power.value}")
        elif not listed:
            self.fans.silence(at, "the BMC lists no fans")
        else:
            return self.fans.feed(at, values)
        return True

    def _speed(self, place: int, reading: Reading) -> float | None:
        """The reading where it is valid. A fan that tells its share of full speed tells what is asked of it, not what
        it does: there the BMC's own word counts."""
        value, limit, most = reading.value, reading.lower_critical, RPM_MAX
        if limit is not None and 0 < limit < most:
            self.fans.limit(place, limit)
        if reading.health == "Critical" and not limit:
            self.fans.limit(place, OF_NO_LIMIT)
        if reading.unit is Unit.PERCENT:
            most = 100.0
            if reading.health == "Critical":
                return 0.0
        elif reading.unit is not Unit.RPM:
            return None
        return float(value) if value is not None and math.isfinite(value) and 0 <= value <= most else None

    def power(self, at: datetime, on: bool) -> None:
        """Stretches seen off, with the spin-up that follows: what the log says of fans then is no evidence."""
        if not on:
            if self._off_since is None:
                self._off_since, self._crossings = self._answered or at, None
        elif self._off_since is not None:
            self._off.append((self._off_since, at + timedelta(seconds=GAP_MIN_S)))
            self._off_since, self._crossings = None, None
            del self._off[:-50]
        self._answered = at

    @property
    def on(self) -> bool:
        """Whether the node was on when its BMC last said."""
        return self._off_since is None

    def place(self, fan: str) -> int:
        """Where a fan is in what ``fans`` is fed; one that was never listed gets a place."""
        if fan not in self._places:
            self._places[fan] = self.fans.add(fan)
            self._crossings = None
        return self._places[fan]

    def heard(self, log: Sequence[LogEntry], at: datetime) -> bool:
        """Entries of the BMC's log, read at ``at``; True when one of them is new."""
        fresh = [e for e in log if (e.id, e.at, e.message) not in self._entries and timely(e, at)]
        if not fresh:
            return False
        self._entries |= {(e.id, e.at, e.message): e for e in fresh}
        if len(self._entries) > ENTRIES_MAX or min(e.at for e in self._entries.values()) < at - KEPT:
            latest = sorted(self._entries.items(), key=lambda each: each[1].at)[-ENTRIES_MAX:]
            self._entries = {key: e for key, e in latest if e.at >= at - KEPT}
            self._parsed = {key: said for key, said in self._parsed.items() if key in self._entries}
        self._logged |= fan_sensors(fresh)
        self.parts.heard(fresh)
        self._crossings = None
        return True

    # --- what is known ---

    def telling(self) -> list[LogEntry]:
        """The entries that say something of a fan."""
        names = sorted(self.fan_names, key=len, reverse=True)
        return [entry for entry in self._entries.values() if crossing(entry, names) is not None]

    def state(self) -> dict[str, Any]:
        """What ``memory.py`` keeps of this class itself."""
        return {
            "logged": sorted(self._logged),
            "off": [[since.isoformat(), until.isoformat()] for since, until in self._off],
            "off_since": None if self._off_since is None else self._off_since.isoformat(),
            "answered": None if self._answered is None else self._answered.isoformat(),
            "on": self.parts.on,
        }

    def restore(self, state: Mapping[str, Any], entries: Sequence[LogEntry]) -> None:
        read = datetime.fromisoformat
        self._logged = set(state["logged"])
        self._off = [(read(since), read(until)) for since, until in state["off"]]
        self._off_since = None if state["off_since"] is None else read(state["off_since"])
        self._answered = None if state["answered"] is None else read(state["answered"])
        self.parts.on = bool(state["on"])
        self._entries = {(e.id, e.at, e.message): e for e in entries}
        self._crossings = None

    def crossings(self) -> dict[str, list[Crossing]]:
        """What the log says of each fan, oldest first, without what it says of all together or of a node that is
        off."""
        if self._crossings is None:
            names = sorted(self.fan_names, key=len, reverse=True)
            if names != self._names:
                self._names, self._parsed = names, {}
            off = self._off if self._off_since is None else [*self._off, (self._off_since, _FOREVER)]
            found: dict[str, list[Crossing]] = {name: [] for name in names}
            for entry in self._entries.values():
                if off and any(since <= entry.at <= until for since, until in off):
                    continue
                key = (entry.id, entry.at, entry.message)
                if key not in self._parsed:
                    self._parsed[key] = crossing(entry, names)
                if (each := self._parsed[key]) is not None:
                    found[each.sensor].append(each)
            for some in found.values():
                some.sort(key=lambda each: (each.at, not each.low))
            self._crossings = own(found)
        return self._crossings

    def episodes(self, now: datetime) -> dict[str, tuple[Episode, ...]]:
        """The episodes of every fan, from readings and log together."""
        logged = self.crossings()
        return {
            name: tuple(
                each
                for each in self._episodes(name, logged.get(name, []), now)
                if each.until is None or each.until >= now - KEPT
            )
            for name in self.fan_names
        }

    def _episodes(self, name: str, entries: list[Crossing], now: datetime) -> tuple[Episode, ...]:
        """All of one fan's; made anew only when there is something new."""
        fan = self.fan(name)
        if not (entries or (fan is not None and fan.low)):
            return ()
        if entries and entries[-1].at > now:  # the BMC's clock is ahead
            entries = [each for each in entries if each.at <= now]
        made_of = (
            entries,
            fan and (fan.hunts, len(fan.low), *_ends(fan)),
        )
        if (known := self._joined.get(name)) is None or known[0] != made_of:
            seen = from_readings(fan) if fan is not None else []
            known = self._joined[name] = made_of, joined([*seen, *from_log(name, entries, fan)])
        return known[1]


def _ends(fan: Fan) -> list[tuple[object, ...]]:
    """What changes in a fan's stretches of low readings when one is added, grows, or ends."""
    return [(each.since, each.until, each.what, each.lowest) for each in (*fan.low[:1], *fan.low[-1:])]


def watch(node: NodeId, states: Sequence[HardwareState]) -> NodeWatch:
    """The watch of one node after these polls (oldest first)."""
    told = NodeWatch(node)
    for state in states:
        told.feed(state)
    return told
