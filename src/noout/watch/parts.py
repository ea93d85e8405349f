"""Everything but fans, by the same model: validity, then episodes, then a verdict that says why.

Temperatures, power supplies and the redundancy that the BMC itself asserts; memory errors, links and disks as the
host's exporters count them. A value counts when it is held for two polls; a counter counts by what it grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from noout.domain.hardware import Episode, HardwareState, LogEntry, Power, Reading, SensorKind, Unit
from noout.watch.episodes import HALF_LIFE, JOIN
from noout.watch.partlog import told

HELD_POLLS = 2
CELSIUS_MAX = 200.0  # no board survives it: what says so is garbage
KEPT_MAX = 200  # episodes of one sensor
GROUPS = {"fans": SensorKind.FAN, "power-supplies": SensorKind.POWER_SUPPLY}


@dataclass(slots=True)
class Track:
    """One sensor that is well or ill. ``run``: ill polls in a row; ``how``: what the latest ill reading said."""

    sensor: str
    kind: SensorKind
    run: int = 0
    since: datetime | None = None
    how: str = ""
    grave: bool = False
    was_well: bool = False
    seen_at: datetime | None = None
    episodes: list[Episode] = field(default_factory=list)

    def ill(self, at: datetime, how: str, *, grave: bool = True) -> None:
        self.seen_at, self.how, self.grave = at, how, grave
        self.run += 1
        if self.run == 1:
            self.since = at
        if self.run == HELD_POLLS and self.since is not None:
            self.happened(self.since, None, how, "readings")

    def well(self, at: datetime) -> None:
        self.seen_at, self.was_well = at, True
        if self.run >= HELD_POLLS and self.episodes and self.episodes[-1].until is None:
            last = self.episodes[-1]
            self.episodes[-1] = Episode(last.sensor, last.since, at, last.what, last.lowest, last.sources)
        self.run, self.since = 0, None

    def happened(self, since: datetime, until: datetime | None, what: str, source: str) -> None:
        self.episodes.append(Episode(self.sensor, since, until, what, None, (source,)))
        self.episodes.sort(key=lambda each: each.since)
        del self.episodes[:-KEPT_MAX]


@dataclass(slots=True)
class Counter:
    """A counter of errors or changes. ``rate``: what it grew by, each count half after 24 hours."""

    sensor: str
    kind: SensorKind
    last: float | None = None
    grown: float = 0.0  # weighed by age
    grown_at: datetime | None = None
    latest: float = 0.0  # by how much it grew last
    hours: list[datetime] = field(default_factory=list)  # distinct hours in which it grew

    def count(self, at: datetime, value: float) -> float:
        """One reading; by how much it grew. A counter that begins anew at a boot has grown by nothing known."""
        grown = value - self.last if self.last is not None and value > self.last else 0.0
        self.last = value
        if grown:
            self.add(at, grown)
        return grown

    def add(self, at: datetime, grown: float) -> None:
        """It grew by so much."""
        self.grown = self.weight(at) + grown
        self.grown_at, self.latest = max(at, self.grown_at or at), grown
        hour = at.replace(minute=0, second=0, microsecond=0)
        self.hours = [*(each for each in self.hours if at - each < HALF_LIFE and each != hour), hour]

    def weight(self, at: datetime) -> float:
        if self.grown_at is None:
            return 0.0
        return float(self.grown * 0.5 ** (max(timedelta(), at - self.grown_at) / HALF_LIFE))


class Parts:
    """The parts of one node. ``feed`` every poll in the order of time; then ask ``tracks`` and ``counters``."""

    def __init__(self) -> None:
        self.tracks: dict[tuple[SensorKind, str], Track] = {}
        self.counters: dict[str, Counter] = {}
        self.on = False  # whether the latest poll of the BMC is evidence

    def track(self, kind: SensorKind, sensor: str) -> Track:
        return self.tracks.setdefault((kind, sensor), Track(sensor, kind))

    def feed(self, state: HardwareState) -> None:
        self.on = state.reachable and state.power is Power.ON
        if self.on:
            for reading in state.readings:
                if reading.kind is SensorKind.TEMPERATURE:
                    self._temperature(state.at, reading)
                elif reading.kind is SensorKind.POWER_SUPPLY:
                    self._supply(state.at, reading)
            for group, kind in GROUPS.items():
                self._redundancy(state, group, kind)
        for reading in state.host:
            self._host(state.at, reading)

    def heard(self, log: Sequence[LogEntry]) -> None:
        """Entries of the log that were not heard before. Several about one part within moments are one."""
        for entry in sorted(log, key=lambda each: each.at):
            if (said := told(entry)) is None:
                continue
            if said.kind is SensorKind.MEMORY:
                self.counters.setdefault(said.sensor, Counter(said.sensor, said.kind)).add(entry.at, 1.0)
                continue
            track = self.track(said.kind, said.sensor)
            if not any(abs(entry.at - each.since) <= JOIN for each in track.episodes):
                track.happened(entry.at, entry.at, "log", "log")

    def _temperature(self, at: datetime, reading: Reading) -> None:
        value, limit = reading.value, reading.upper_critical
        if value is not None and limit is not None and 0 < limit <= value < CELSIUS_MAX:
            how = f"{reading.sensor} is at {value:g} °C, its critical limit is {limit:g} °C"
            self.track(reading.kind, reading.sensor).ill(at, how)
        elif (known := self.tracks.get((reading.kind, reading.sensor))) is not None:
            known.well(at)

    def _supply(self, at: datetime, reading: Reading) -> None:
        track = self.track(reading.kind, reading.sensor)
        if not reading.present and not (track.was_well or track.run):
            return  # a bay that never held one
        if not reading.present or reading.health == "Critical":
            what = "is gone" if not reading.present else "is reported as failed"
            track.ill(at, what)
        else:
            track.well(at)

    def _redundancy(self, state: HardwareState, group: str, kind: SensorKind) -> None:
        said = state.redundancy.get(group, "")
        if said in ("Lost", "Insufficient", "Fault"):
            self.track(kind, group).ill(state.at, said, grave=said == "Insufficient")
        elif (known := self.tracks.get((kind, group))) is not None:
            known.well(state.at)

    def _host(self, at: datetime, reading: Reading) -> None:
        if reading.value is None or not 0 <= reading.value < 1e15:
            return
        if reading.unit is Unit.COUNT:
            counter = self.counters.setdefault(reading.sensor, Counter(reading.sensor, reading.kind))
            if counter.count(at, reading.value) and reading.kind is SensorKind.NETWORK:
                self.track(reading.kind, reading.sensor).happened(at, at, "link", "host")
        elif reading.unit is Unit.LINKS:
            has = reading.lower_critical or 0
            if reading.value < has:
                how = f"{reading.value:g} of the {has:g} links of {reading.sensor} carry"
                self.track(reading.kind, reading.sensor).ill(at, how, grave=reading.value == 0)
            else:
                self.track(reading.kind, reading.sensor).well(at)
        elif reading.kind in (SensorKind.DISK, SensorKind.NETWORK, SensorKind.MEMORY):
            if reading.health == "Critical" or (reading.unit is Unit.STATE and reading.value == 0):
                self.track(reading.kind, reading.sensor).ill(at, f"{reading.sensor} is reported as failing")
            else:
                self.track(reading.kind, reading.sensor).well(at)
