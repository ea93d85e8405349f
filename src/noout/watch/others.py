"""What is to be said of temperatures, supplies, memory, links and disks, and of what other monitoring says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from noout.domain.cluster import NodeId
from noout.domain.hardware import Alert, Condition, Episode, SensorKind, Verdict
from noout.watch.episodes import CLEAR_BELOW, flapping_since, score
from noout.watch.parts import GROUPS, HELD_POLLS, Counter, Parts, Track
from noout.watch.words import clock, span

DISK_GONE = timedelta(hours=24)  # nobody tells of it any more: it was pulled, or has another name since a boot
ILL = {Condition.FAILED, Condition.FLAPPING, Condition.DEGRADED}
CORRECTABLE_MANY = 100.0  # correctable errors in the bucket of 24 hours
CORRECTABLE_HOURS, CORRECTABLE_SOME = 6, 12.0  # or some, in so many different hours of a day
CORRECTABLE_LOGGED = 10.0  # or entries of the log: firmware writes one only when its own threshold is crossed

_NOUN = {
    SensorKind.TEMPERATURE: ("was too hot", "cooled down"),
    SensorKind.POWER_SUPPLY: ("failed", "came back"),
    SensorKind.NETWORK: ("lost its link", "came back"),
    SensorKind.MEMORY: ("failed", "came back"),
    SensorKind.DISK: ("failed", "came back"),
    SensorKind.FAN: ("failed", "came back"),
}


def of_parts(node: NodeId, parts: Parts, fans: Sequence[Verdict], now: datetime) -> list[Verdict]:
    """One verdict for each part of which there is something to say; ``fans``: what was said of the fans already."""
    found: list[Verdict] = []
    for (kind, sensor), track in sorted(parts.tracks.items()):
        if sensor in GROUPS and kind is GROUPS[sensor]:
            continue
        if (said := _track(node, track, parts, now)) is not None:
            found.append(said)
    for group, kind in GROUPS.items():
        if (said := _redundancy(node, group, kind, parts, [*fans, *found])) is not None:
            found.append(said)
    memory = [_memory(node, each, now) for each in parts.counters.values() if each.kind is SensorKind.MEMORY]
    return found + [each for each in memory if each is not None]


def _track(node: NodeId, track: Track, parts: Parts, now: datetime) -> Verdict | None:
    kind, sensor = track.kind, track.sensor

    def say(condition: Condition, why: str, since: datetime | None, some: Sequence[Episode] = ()) -> Verdict:
        return Verdict(node, sensor, condition, since, why, tuple(some), kind)

    if kind is SensorKind.DISK and track.seen_at is not None and now - track.seen_at > DISK_GONE:
        return None
    from_bmc = kind in (SensorKind.TEMPERATURE, SensorKind.POWER_SUPPLY)
    if track.run >= HELD_POLLS and (parts.on or not from_bmc):
        return say(_condition(track), _lasting(track), track.since, track.episodes[-1:])
    if (since := flapping_since(track.episodes, now)) is not None:
        first, last = track.episodes[0].since, track.episodes[-1].since
        ill, well = _NOUN[kind]
        why = (
            f"{sensor} {ill} {len(track.episodes)} times within {span(last - first)}, last at {clock(last)}, and "
            f"{well} each time."
        )
        return say(Condition.FLAPPING, why, since, track.episodes)
    if track.episodes and score(track.episodes, now) >= CLEAR_BELOW:
        times = "once" if len(track.episodes) == 1 else f"{len(track.episodes)} times"
        why = (
            f"{sensor} {_NOUN[kind][0]} {times}, last at {clock(track.episodes[-1].since)}: too little to call it "
            "a fault."
        )
        return say(Condition.OK, why, None, track.episodes)
    return None


def _condition(track: Track) -> Condition:
    return Condition.FAILED if track.grave else Condition.DEGRADED


def _lasting(track: Track) -> str:
    polls = f"in the last {track.run} polls"
    match track.kind:
        case SensorKind.TEMPERATURE:
            return f"{track.how} ({track.run} polls in a row)."
        case SensorKind.POWER_SUPPLY:
            return f"{track.sensor} {track.how} {polls}: its redundancy is lost."
        case SensorKind.DISK:
            return f"{track.how} {polls}: the disk and its OSD want replacing, the node itself does not."
        case _:
            return f"{track.how} {polls}."


def _redundancy(node: NodeId, group: str, kind: SensorKind, parts: Parts, found: Sequence[Verdict]) -> Verdict | None:
    """What the BMC itself asserts of a whole group, where no sensor of it explains that already."""
    track = parts.tracks.get((kind, group))
    if track is None or track.run < HELD_POLLS or not parts.on:
        return None
    name = "fans" if kind is SensorKind.FAN else "power supplies"
    if track.grave:
        why = f"The BMC asserts that the {name} left do not suffice, whatever their own status says."
        return Verdict(node, group, Condition.FAILED, track.since, why, kind=kind)
    if any(verdict.kind is kind and verdict.condition in ILL for verdict in found):
        return None
    what = f"a fault of the {name} as a whole" if track.how == "Fault" else f"that the redundancy of the {name} is lost"
    why = f"The BMC asserts {what}, whatever their own status says."
    return Verdict(node, group, Condition.DEGRADED, track.since, why, kind=kind)


def _memory(node: NodeId, counter: Counter, now: datetime) -> Verdict | None:
    weight = counter.weight(now)
    if counter.grown_at is None or weight < CLEAR_BELOW:
        return None
    what = Episode(counter.sensor, counter.grown_at, counter.grown_at, "count", counter.latest, ("host",))
    at = clock(counter.grown_at)
    uncorrectable = "uncorrectable" in counter.sensor
    if uncorrectable:
        condition, why = Condition.FAILED, f"{counter.sensor} errors grew by {counter.latest:g}, last at {at}."
    elif weight >= (CORRECTABLE_LOGGED if counter.last is None else CORRECTABLE_MANY) or (
        len(counter.hours) >= CORRECTABLE_HOURS and weight >= CORRECTABLE_SOME
    ):
        condition = Condition.DEGRADED
        why = (
            f"{counter.sensor} errors grow: about {weight:.0f} lately, in {len(counter.hours)} different hours of a "
            f"day, last at {at}."
        )
    else:
        condition = Condition.OK
        why = f"{counter.sensor} errors grew by {counter.latest:g}, last at {at}: too little to call it a fault."
    return Verdict(node, counter.sensor, condition, counter.grown_at, why, (what,), SensorKind.MEMORY)


def of_alerts(node: NodeId, alerts: Iterable[Alert], found: Sequence[Verdict], now: datetime) -> list[Verdict]:
    """What other monitoring says, where noout's own readings have not explained it (as a fault, or as a wrong limit).

    It is evidence, not a judgement: its thresholds are not known here, so it schedules and never evacuates.
    """
    known = {(v.kind, v.sensor) for v in found if v.condition in ILL or v.condition is Condition.HUNTING}
    kinds = {kind for kind, _ in known}
    verdicts = []
    for alert in alerts:
        over = alert.until is not None and alert.until <= now
        if alert.kind is None or over or alert.at > now:
            continue
        if (alert.kind, alert.sensor) in known or (not alert.sensor and alert.kind in kinds):
            continue
        said = f": {alert.message.strip().rstrip('.')}" if alert.message.strip() else ""
        why = f"Other monitoring says {alert.name} since {clock(alert.at)}{said}."
        what = Episode(alert.sensor or alert.name, alert.at, None, "alert", None, ("alert",))
        verdicts.append(
            Verdict(node, alert.sensor or alert.name, Condition.DEGRADED, alert.at, why, (what,), alert.kind)
        )
    return verdicts
