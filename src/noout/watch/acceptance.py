"""Is the repaired node fit to be relied on? The same detection as before the repair, and the inventory, over a soak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from noout.domain.hardware import Fault, HardwareState, LogEntry, Power, SensorKind
from noout.watch.chance import Chance, chance
from noout.watch.log import crossings
from noout.watch.readings import AFTER_GAP, ordered
from noout.watch.verdict import judge

SOAK_S = 600.0
SPIN_UP_POLLS = 5
LOOK_AGAIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """``ok`` only after the whole soak without a finding. ``until``: when the soak ends, None before it began.

    ``chance``: that the old fault would have shown itself in the soak so far. Below about 0.95 a quiet soak proves
    little, which is what probation is for. ``notes``: what could not be checked.
    ``differences``: those of the findings that an operator may declare to be meant so.
    """

    ok: bool
    findings: tuple[str, ...]
    until: datetime | None
    chance: Chance
    since: datetime | None = None
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


def acceptance(
    before: HardwareState | None,
    after: Sequence[HardwareState],
    fault: Fault | None,
    now: datetime,
    *,
    soak_s: float = SOAK_S,
    known: frozenset[str] = frozenset(),
) -> Acceptance:
    """Judge a node from the polls since its power-on (``after``), against its last good observation (``before``).

    The soak begins with the first poll in which the node is on and every fan turns. A fan that stands still through
    ``SPIN_UP_POLLS`` polls is a finding by itself. ``known``: differences that an operator has accepted.
    """
    polls = [state for state in ordered(after) if state.at <= now]
    on = _since_power_on(polls)
    began = next((state.at for state in on if _all_turn(state)), None)
    if began is None:
        note = "no poll yet in which the node is on and every fan turns"
        return Acceptance(False, tuple(_never_turned(on)), None, chance(fault, 0.0), notes=(note,))
    soak = [_without_the_past(state, began) for state in on if state.at >= began]
    until = began + timedelta(seconds=soak_s)
    findings = [*_fans(soak, before), *_log(soak, before, began, now), *_verdicts(soak, now)]
    differences, notes = _inventory(before, soak[-1])
    differences = [each for each in differences if each not in known]
    findings = list(dict.fromkeys([*findings, *differences]))
    soaked_s = max(0.0, min((soak[-1].at - began).total_seconds(), soak_s))
    enough = now >= until and len(soak) > AFTER_GAP
    if now >= until and not enough:
        until = now + LOOK_AGAIN  # a soak that nobody looked at proves nothing
    likely = chance(fault, soaked_s)
    ok = enough and not findings
    return Acceptance(ok, tuple(findings), until, likely, began, tuple(notes), tuple(differences))


def _without_the_past(state: HardwareState, began: datetime) -> HardwareState:
    """A BMC shows its old log entries for years: what was written before the soak is not held against the repair."""
    return replace(state, log=tuple(entry for entry in state.log if entry.at.tzinfo is None or entry.at >= began))


def _since_power_on(polls: Sequence[HardwareState]) -> list[HardwareState]:
    """The polls since the node was last seen off or its BMC silent: what was before proves nothing."""
    last = max((i for i, state in enumerate(polls) if state.reachable and state.power is not Power.ON), default=-1)
    return [state for state in polls[last + 1 :] if state.reachable]


def _turning(state: HardwareState) -> dict[str, bool]:
    return {r.sensor: bool(r.value) for r in state.readings if r.kind is SensorKind.FAN and r.present}


def _all_turn(state: HardwareState) -> bool:
    fans = _turning(state)
    return bool(fans) and all(fans.values())


def _never_turned(polls: Sequence[HardwareState]) -> list[str]:
    """Fans that had time to spin up and did not."""
    latest = [_turning(state) for state in polls if _turning(state)][-SPIN_UP_POLLS:]
    if len(latest) < SPIN_UP_POLLS:
        return []
    still = {fan for fan in latest[-1] if not any(each.get(fan, False) for each in latest)}
    return [f"{fan} has not turned since power-on" for fan in sorted(still)]


def _fans(soak: Sequence[HardwareState], before: HardwareState | None) -> list[str]:
    """Fans that stood still in the soak, and fans that were there before and are not any more."""
    found = []
    for state in soak:
        found += [f"{fan} stood still during the soak" for fan, turns in sorted(_turning(state).items()) if not turns]
    if before is not None:
        missing = sorted(_turning(before).keys() - _turning(soak[-1]).keys())
        found += [f"{fan} was there before and is not there now" for fan in missing]
    return found


def _log(soak: Sequence[HardwareState], before: HardwareState | None, began: datetime, now: datetime) -> list[str]:
    """New log entries about a fan since the soak began; the spin-up before it is not held against the node."""
    known = {(e.id, e.at) for e in (before.log if before else ())}
    fans = {fan for state in soak for fan in _turning(state)}
    found = [
        f"the BMC's log has {each.sensor} low at {each.at:%H:%M:%S}"
        for each in crossings(soak, fans, (), now)
        if each.low and each.at > began
    ]
    fresh = {(e.id, e.at): e for s in soak for e in s.log if (e.id, e.at) not in known and _is_grave(e, began, now)}
    return found + [f"the BMC's log has a new entry: {entry.message}" for entry in fresh.values()]


def _is_grave(entry: LogEntry, began: datetime, now: datetime) -> bool:
    timed = entry.at.tzinfo is not None and began < entry.at <= now
    return timed and entry.severity.lower() == "critical"


def _verdicts(soak: Sequence[HardwareState], now: datetime) -> list[str]:
    """What the detection itself says; a fan that is merely not yet known says nothing."""
    return [
        v.why.removesuffix(".") for v in judge(soak, now) if v.condition.value in {"failed", "degraded", "flapping"}
    ]


def _inventory(before: HardwareState | None, after: HardwareState) -> tuple[list[str], list[str]]:
    if before is None:
        return [], ["there is no observation from before the work: the inventory could not be compared"]
    found = []
    if before.serial and after.serial and before.serial != after.serial:
        found.append(f"this is another machine: serial {after.serial}, before {before.serial}")
    for key, value in sorted(before.inventory.items()):
        now = after.inventory.get(key)
        if now is None:
            found.append(f"{key}: {value} before, nothing now")
        elif now != value:
            found.append(f"{key}: {value} before, {now} now")
    notes = [] if before.inventory else ["the BMC told no inventory before the work: it could not be compared"]
    return found, notes
