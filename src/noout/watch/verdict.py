"""What is to be said of each sensor of a node, in one sentence, from its episodes and its latest readings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, Episode, HardwareState, Power, Reading, SensorKind, Verdict
from noout.watch.episodes import History, history
from noout.watch.readings import ordered

HALF_LIFE = timedelta(hours=24)
FLAPPING_FROM, CLEAR_BELOW = 2.0, 0.5
FAILED_POLLS = 5  # low polls in a row
HOT_POLLS = 2
CELSIUS_MAX = 200.0
ALL_FANS, ALL_SUPPLIES = "fans", "power-supplies"  # the sensors of verdicts about all of a kind


def judge(states: Sequence[HardwareState], now: datetime) -> tuple[Verdict, ...]:
    """One verdict for each sensor of each node in ``states`` (any order); pure in its arguments."""
    by_node: dict[NodeId, list[HardwareState]] = {}
    for state in states:
        by_node.setdefault(state.node, []).append(state)
    verdicts: list[Verdict] = []
    for node in sorted(by_node):
        polls = [state for state in ordered(by_node[node]) if state.at <= now]
        if polls:
            past = history(polls, now)
            mine = [*_fans(node, past, now), *_temperatures(node, polls), *_supplies(node, polls)]
            verdicts += [*mine, *_redundancy(node, polls, mine)]
    return tuple(verdicts)


def _fans(node: NodeId, past: History, now: datetime) -> list[Verdict]:
    telemetry = past.telemetry
    if not past.episodes:
        why = f"No evidence about the fans: {telemetry.silent or 'none is listed'}."
        return [Verdict(node, ALL_FANS, Condition.LOST_TELEMETRY, None, why)]
    found = []
    common = [poll.at for poll in takewhile(lambda poll: poll.common, reversed(telemetry.polls))]
    if len(common) >= FAILED_POLLS:
        low = sum(telemetry.polls[-1].low.values())
        why = (
            f"{low} of {len(telemetry.polls[-1].low)} fans have read low together in {len(common)} polls in a row: "
            "what they share is at fault (fan bus, control or BMC), not each fan."
        )
        found.append(Verdict(node, ALL_FANS, Condition.DEGRADED, common[-1], why))
    found += [_fan(node, sensor, past, episodes, now) for sensor, episodes in past.episodes.items()]
    return found


def _fan(node: NodeId, sensor: str, past: History, episodes: tuple[Episode, ...], now: datetime) -> Verdict:
    def say(condition: Condition, why: str, since: datetime | None = None, some: Sequence[Episode] = ()) -> Verdict:
        return Verdict(node, sensor, condition, since, why, tuple(some))

    telemetry = past.telemetry
    seen = [poll for poll in telemetry.polls if sensor in poll.speed and not poll.common]
    run = list(takewhile(lambda poll: poll.low[sensor], reversed(seen)))
    # A fan that stood still before and after the node was off has not recovered meanwhile: only ``run`` decides.
    if seen and not telemetry.silent and _standby(sensor, past, episodes):
        return say(Condition.OK, f"{sensor} was never seen turning and nothing was logged: taken as a standby fan.")
    if len(run) >= FAILED_POLLS and not telemetry.silent:
        last = [each for each in episodes if each.until is None] or list(episodes[-1:])
        how = "stood still" if not any(poll.speed[sensor] for poll in run) else "turned too slowly"
        why = f"{sensor} {how} in the last {len(run)} polls, since {_clock(run[-1].at)}{_others(sensor, past)}."
        return say(Condition.FAILED, why, run[-1].at, last)
    faults = [each for each in episodes if each.what != "hunting"]
    hunts = [each for each in episodes if each.what == "hunting"]
    if (open_since := flapping_since(faults, now)) is not None:
        return say(Condition.FLAPPING, _flapping(sensor, past, faults), open_since, faults)
    if (open_since := flapping_since(hunts, now)) is not None:
        why = (
            f"{sensor} fell below its limit {len(hunts)} times but never stood still: a healthy slow fan under "
            "a limit set too high; correct the limit."
        )
        return say(Condition.HUNTING, why, open_since, hunts)
    if telemetry.silent or not seen:
        return say(Condition.LOST_TELEMETRY, f"No evidence about {sensor}: {telemetry.silent or 'no valid reading'}.")
    if faults and score(faults, now) >= CLEAR_BELOW:
        times = "once" if len(faults) == 1 else f"{len(faults)} times"
        why = f"{sensor} was low {times}, last at {_clock(faults[-1].since)}: too little to call it a fault."
        return say(Condition.OK, why, None, faults)
    return say(Condition.OK, f"{sensor} turns steadily ({len(seen)} polls).")


def score(episodes: Sequence[Episode], now: datetime) -> float:
    """The leaky bucket: each episode adds 1, and all of it halves every 24 hours."""
    return float(sum(0.5 ** ((now - each.since) / HALF_LIFE) for each in episodes if each.since <= now))


def flapping_since(episodes: Sequence[Episode], now: datetime) -> datetime | None:
    """When the flapping that is still going on began; None when the bucket never filled, or has run dry since."""
    level, since, last = 0.0, None, now
    for episode in episodes:
        level *= 0.5 ** (max(timedelta(), episode.since - last) / HALF_LIFE)
        if level < CLEAR_BELOW:
            since = None
        level += 1
        last = episode.since
        if level >= FLAPPING_FROM and since is None:
            since = episode.since
    level *= 0.5 ** (max(timedelta(), now - last) / HALF_LIFE)
    return since if level >= CLEAR_BELOW else None


def _flapping(sensor: str, past: History, episodes: Sequence[Episode]) -> str:
    span = episodes[-1].since - episodes[0].since
    logged = sum("log" in each.sources for each in episodes)
    stalls = sum(each.what == "stall" for each in episodes)
    what = "stood still" if 2 * stalls >= len(episodes) else "slowed down"
    sources = f"{logged} of them are in the BMC's log" if logged else "seen in the readings alone"
    return (
        f"{sensor} {what} {len(episodes)} times within {_span(span)}, last at {_clock(episodes[-1].since)}, and came "
        f"back each time ({sources}){_others(sensor, past)}."
    )


def _others(sensor: str, past: History) -> str:
    """Whether the fault is this fan's own."""
    others = {name: some for name, some in past.episodes.items() if name != sensor}
    ill = sum(1 for some in others.values() if any(each.what != "hunting" for each in some))
    if not others:
        return ""
    if ill:
        return f", and {ill} of the {len(others)} other fans had episodes too"
    return f", while the {len(others)} other fans turned steadily" if len(others) > 1 else ""


def _standby(sensor: str, past: History, episodes: Sequence[Episode]) -> bool:
    """Never seen turning, and the BMC itself sees nothing wrong: no limit, no log entry."""
    turned = any(poll.speed.get(sensor, 0) > 0 for poll in past.telemetry.polls)
    logged = any("log" in each.sources for each in episodes)
    return not turned and not logged and sensor not in past.telemetry.limits


def _latest(polls: Sequence[HardwareState], kind: SensorKind) -> list[list[tuple[datetime, Reading]]]:
    """The trustworthy readings of each sensor of a kind, newest first; nothing when the node is off now."""
    if not polls[-1].reachable or polls[-1].power is not Power.ON:
        return []
    by_sensor: dict[str, list[tuple[datetime, Reading]]] = {}
    for state in reversed(polls):
        for reading in state.readings if state.reachable and state.power is Power.ON else ():
            if reading.kind is kind:
                by_sensor.setdefault(reading.sensor, []).append((state.at, reading))
    return [by_sensor[sensor] for sensor in sorted(by_sensor)]


def _temperatures(node: NodeId, polls: Sequence[HardwareState]) -> list[Verdict]:
    found = []
    for readings in _latest(polls, SensorKind.TEMPERATURE):
        hot = list(takewhile(lambda each: _critical(each[1]), readings))
        if len(hot) >= HOT_POLLS:
            latest = hot[0][1]
            why = (
                f"{latest.sensor} is at {latest.value:g} °C, its critical limit is {latest.upper_critical:g} °C "
                f"({len(hot)} polls in a row)."
            )
            found.append(Verdict(node, latest.sensor, Condition.FAILED, hot[-1][0], why, kind=SensorKind.TEMPERATURE))
    return found


def _critical(reading: Reading) -> bool:
    """At or above its limit, and below what no board survives: that is garbage."""
    value, limit = reading.value, reading.upper_critical
    return value is not None and limit is not None and 0 < limit <= value < CELSIUS_MAX


def _supplies(node: NodeId, polls: Sequence[HardwareState]) -> list[Verdict]:
    """A supply that was there and is gone or ill in two polls in a row; one that was never there is none."""
    found = []
    for readings in _latest(polls, SensorKind.POWER_SUPPLY):
        sensor = readings[0][1].sensor
        ill = list(takewhile(lambda each: not each[1].present or each[1].health == "Critical", readings))
        was_there = any(each[1].present for each in readings)
        if len(ill) >= HOT_POLLS and was_there:
            what = "is gone" if not ill[0][1].present else "is reported as failed"
            why = f"{sensor} {what} in the last {len(ill)} polls: its redundancy is lost."
            found.append(Verdict(node, sensor, Condition.FAILED, ill[-1][0], why, kind=SensorKind.POWER_SUPPLY))
    return found


def _redundancy(node: NodeId, polls: Sequence[HardwareState], found: Sequence[Verdict]) -> list[Verdict]:
    """What the BMC itself asserts of a whole group, where no sensor of it explains that already."""
    verdicts = []
    for group, kind in ((ALL_FANS, SensorKind.FAN), (ALL_SUPPLIES, SensorKind.POWER_SUPPLY)):
        recent = [s for s in polls[-HOT_POLLS:] if s.reachable and s.power is Power.ON]
        lost = len(recent) == HOT_POLLS and all(state.redundancy.get(group) == "Lost" for state in recent)
        ill = {Condition.FAILED, Condition.FLAPPING, Condition.DEGRADED}
        if lost and not any(verdict.kind is kind and verdict.condition in ill for verdict in found):
            name = "fans" if kind is SensorKind.FAN else "power supplies"
            why = f"The BMC asserts that the redundancy of the {name} is lost, whatever their own status says."
            verdicts.append(Verdict(node, group, Condition.DEGRADED, recent[0].at, why, kind=kind))
    return verdicts


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} on {at.day} {at:%B}"


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    if minutes < 60:
        return f"{max(1, minutes)} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes < 48 * 60 else f"{minutes // 1440} days"
