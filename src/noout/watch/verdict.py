"""What is to be said of each sensor of a node, in one sentence, from its episodes and its latest readings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, Episode, HardwareState, Verdict
from noout.watch.episodes import CLEAR_BELOW, FLAPPING_FROM, HALF_LIFE, flapping_since, moment, score
from noout.watch.fan import FAILED_POLLS, Fan
from noout.watch.node import NodeWatch, watch
from noout.watch.others import of_alerts, of_parts
from noout.watch.readings import ordered
from noout.watch.words import clock, span

__all__ = ["ALL_FANS", "CLEAR_BELOW", "FLAPPING_FROM", "HALF_LIFE", "judge", "score", "verdicts"]

ALL_FANS, ALL_SUPPLIES = "fans", "power-supplies"  # the sensors of verdicts about all of a kind


def judge(states: Sequence[HardwareState], now: datetime) -> tuple[Verdict, ...]:
    """One verdict for each sensor of each node in ``states`` (any order); pure in its arguments."""
    by_node: dict[NodeId, list[HardwareState]] = {}
    for state in states:
        if state.at <= now:
            by_node.setdefault(state.node, []).append(state)
    return tuple(v for node in sorted(by_node) for v in verdicts(watch(node, ordered(by_node[node])), now))


def verdicts(told: NodeWatch, now: datetime) -> tuple[Verdict, ...]:
    """One verdict for each fan of a node, and one for each other part of which there is something to say."""
    fans = _fans(told, now)
    found = [*fans, *of_parts(told.node, told.parts, fans, now)]
    return (*found, *of_alerts(told.node, told.alerts.values(), found, now))


def _fans(told: NodeWatch, now: datetime) -> list[Verdict]:
    node, fans = told.node, told.fans
    episodes = told.episodes(now)
    if not episodes:
        why = f"No evidence about the fans: {fans.silent or 'none is listed'}."
        return [Verdict(node, ALL_FANS, Condition.LOST_TELEMETRY, None, why)]
    found = []
    if len(fans.common) >= FAILED_POLLS:
        why = (
            f"{fans.common_low} of {len(fans.fans)} fans have read low together in {len(fans.common)} polls in a row: "
            "what they share is at fault (fan bus, control or BMC), not each fan."
        )
        found.append(Verdict(node, ALL_FANS, Condition.DEGRADED, moment(fans.common[0]), why))
    return found + [_fan(told, sensor, episodes, now) for sensor in episodes]


def _fan(told: NodeWatch, sensor: str, every: Mapping[str, tuple[Episode, ...]], now: datetime) -> Verdict:
    def say(condition: Condition, why: str, since: datetime | None = None, some: Sequence[Episode] = ()) -> Verdict:
        return Verdict(told.node, sensor, condition, since, why, tuple(some))

    fan, episodes, silent = told.fan(sensor), every[sensor], told.fans.silent
    if fan is not None and not silent and (said := _now(fan, sensor, every)) is not None:
        # A fan that stood still before and after the node was off has not recovered meanwhile: only its run decides.
        last = [each for each in episodes if each.until is None] or list(episodes[-1:])
        condition, why, since = said
        return say(condition, why, since, last if condition is Condition.FAILED else ())
    faults = [each for each in episodes if each.what != "hunting"]
    hunts = [each for each in episodes if each.what == "hunting"]
    if (since := flapping_since(faults, now)) is not None:
        return say(Condition.FLAPPING, _flapping(sensor, every, faults), since, faults)
    if fan is not None and (worn := _degraded(fan, now, faults)) is not None:
        return say(Condition.DEGRADED, worn[0], worn[1], faults)
    if (since := flapping_since(hunts, now)) is not None:
        why = (
            f"{sensor} fell below its limit {len(hunts)} times but never stood still: a healthy slow fan under "
            "a limit set too high; correct the limit."
        )
        return say(Condition.HUNTING, why, since, hunts)
    if silent or fan is None or not told.fans.polls or fan.absent:
        none = silent or ("it is not listed now" if fan is not None and fan.absent else "no valid reading")
        return say(Condition.LOST_TELEMETRY, f"No evidence about {sensor}: {none}.")
    if faults and score(faults, now) >= CLEAR_BELOW:
        times = "once" if len(faults) == 1 else f"{len(faults)} times"
        why = f"{sensor} was low {times}, last at {clock(faults[-1].since)}: too little to call it a fault."
        return say(Condition.OK, why, None, faults)
    return say(Condition.OK, f"{sensor} turns steadily ({told.fans.polls} polls).")


def _now(
    fan: Fan, sensor: str, every: Mapping[str, tuple[Episode, ...]]
) -> tuple[Condition, str, datetime | None] | None:
    """What the latest polls alone decide: a standby fan, or one that has failed."""
    logged = any("log" in each.sources for each in every[sensor])
    if not fan.limit and not logged and (fan.standby or (not fan.turned and fan.run)):
        if fan.turned:
            return Condition.OK, f"{sensor} stands still while little is asked of the fans: a standby fan.", None
        return Condition.OK, f"{sensor} was never seen turning and nothing was logged: taken as a standby fan.", None
    if fan.run < FAILED_POLLS:
        return None
    how = "stood still" if not fan.fastest else "turned too slowly"
    since = moment(fan.run_since)
    why = f"{sensor} {how} in the last {fan.run} polls, since {clock(since)}{_others(sensor, every)}."
    return Condition.FAILED, why, since


def _degraded(fan: Fan, now: datetime, faults: Sequence[Episode]) -> tuple[str, datetime] | None:
    """A fan that turns, and not as it did."""
    if fan.degraded_since is not None:
        share = 100 * (1 - math.exp(-max(0.0, fan.short)))
        since = moment(fan.degraded_since)
        why = (
            f"{fan.name} turns {share:.0f} % slower than its own first three days in proportion to its peers, since "
            f"{clock(since)}: it is wearing out."
        )
        return why, since
    if (at := fan.erratic_since(now.timestamp())) is not None:
        why = (
            f"{fan.name} reads far from what its peers say again and again, last at {clock(moment(fan.odd_at))}: "
            "its speed or its tachometer is erratic."
        )
        return why, moment(at)
    return None


def _flapping(sensor: str, every: Mapping[str, tuple[Episode, ...]], episodes: Sequence[Episode]) -> str:
    times = episodes[-1].since - episodes[0].since
    logged = sum("log" in each.sources for each in episodes)
    stalls = sum(each.what == "stall" for each in episodes)
    what = "stood still" if 2 * stalls >= len(episodes) else "slowed down"
    sources = f"{logged} of them are in the BMC's log" if logged else "seen in the readings alone"
    return (
        f"{sensor} {what} {len(episodes)} times within {span(times)}, last at {clock(episodes[-1].since)}, and came "
        f"back each time ({sources}){_others(sensor, every)}."
    )


def _others(sensor: str, every: Mapping[str, tuple[Episode, ...]]) -> str:
    """Whether the fault is this fan's own."""
    others = {name: some for name, some in every.items() if name != sensor}
    ill = sum(1 for some in others.values() if any(each.what != "hunting" for each in some))
    if not others:
        return ""
    if ill:
        return f", and {ill} of the {len(others)} other fans had episodes too"
    return f", while the {len(others)} other fans turned steadily" if len(others) > 1 else ""
