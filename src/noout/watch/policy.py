"""Condition -> action: watch, schedule a repair, or evacuate now; and the proposals made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, Fault, SensorKind, Urgency, Verdict
from noout.domain.proposals import Proposal, Standing

RANK = {Urgency.WATCH: 0, Urgency.SCHEDULE: 1, Urgency.EVACUATE_NOW: 2}
ALL_FANS, ALL_SUPPLIES = "fans", "power-supplies"  # the sensors of verdicts about all of a kind
_ILL = {Condition.DEGRADED, Condition.FLAPPING, Condition.FAILED}
# Cooling before power: a node without cooling goes first.
TEMPLATES = {
    SensorKind.FAN: "fans",
    SensorKind.TEMPERATURE: "fans",
    SensorKind.POWER_SUPPLY: "power",
    SensorKind.MEMORY: "memory",
    SensorKind.NETWORK: "network",
    SensorKind.DISK: "disks",
}


@dataclass(frozen=True, slots=True)
class Actions:
    """What each condition of a node calls for. Losing the BMC has no entry: it is always watched, never acted upon.

    A disk that is about to fail concerns its OSD, not the node: nothing on the node need move.
    """

    fan_flapping: Urgency = Urgency.SCHEDULE
    fan_degraded: Urgency = Urgency.SCHEDULE
    fan_failed: Urgency = Urgency.SCHEDULE
    fans_failed: Urgency = Urgency.EVACUATE_NOW  # two or more
    fans_insufficient: Urgency = Urgency.EVACUATE_NOW  # the BMC says that those left do not cool it
    temperature_critical: Urgency = Urgency.EVACUATE_NOW
    power_degraded: Urgency = Urgency.SCHEDULE
    power_failed: Urgency = Urgency.SCHEDULE  # one supply, or the redundancy of them
    power_at_risk: Urgency = Urgency.EVACUATE_NOW  # one failed, and another one ill
    memory_correctable: Urgency = Urgency.SCHEDULE
    memory_uncorrectable: Urgency = Urgency.EVACUATE_NOW
    network_flapping: Urgency = Urgency.SCHEDULE
    network_degraded: Urgency = Urgency.SCHEDULE
    network_failed: Urgency = Urgency.SCHEDULE
    disk_failing: Urgency = Urgency.WATCH


ACTIONS = Actions()


def action(verdict: Verdict, actions: Actions = ACTIONS) -> Urgency:
    """What one verdict calls for by itself."""
    condition, kind = verdict.condition, verdict.kind
    if condition not in _ILL:  # hunting: the limits need correcting, the node no repair; lost telemetry: the BMC does
        return Urgency.WATCH
    match kind:
        case SensorKind.FAN:
            if condition is Condition.FAILED:
                return actions.fans_insufficient if verdict.sensor == ALL_FANS else actions.fan_failed
            return actions.fan_flapping if condition is Condition.FLAPPING else actions.fan_degraded
        case SensorKind.TEMPERATURE:
            return actions.temperature_critical if condition is Condition.FAILED else actions.fan_degraded
        case SensorKind.POWER_SUPPLY:
            lost = condition is Condition.FAILED or verdict.sensor == ALL_SUPPLIES
            return actions.power_failed if lost else actions.power_degraded
        case SensorKind.MEMORY:
            return actions.memory_uncorrectable if condition is Condition.FAILED else actions.memory_correctable
        case SensorKind.NETWORK:
            by_condition = {
                Condition.FAILED: actions.network_failed,
                Condition.FLAPPING: actions.network_flapping,
                Condition.DEGRADED: actions.network_degraded,
            }
            return by_condition[condition]
        case SensorKind.DISK:
            return actions.disk_failing


def urgency(verdicts: Sequence[Verdict], actions: Actions = ACTIONS) -> Urgency:
    """How soon a node with these verdicts wants attention: what each calls for, and what they mean together.

    Two fans failed, or a second supply at risk beside one that failed, leave nothing to lose.
    """
    single = [action(verdict, actions) for verdict in verdicts]
    rotors = {v.sensor for v in verdicts if v.kind is SensorKind.FAN and v.condition is Condition.FAILED}
    supplies = [v for v in verdicts if v.kind is SensorKind.POWER_SUPPLY and v.sensor != ALL_SUPPLIES]
    ill = {v.sensor for v in supplies if v.condition in _ILL}
    gone = {v.sensor for v in supplies if v.condition is Condition.FAILED}
    if len(rotors) >= 2:
        single.append(actions.fans_failed)
    if gone and len(ill) >= 2:
        single.append(actions.power_at_risk)
    return max(single, key=RANK.__getitem__, default=Urgency.WATCH)


def faults(node: NodeId, verdicts: Sequence[Verdict], actions: Actions = ACTIONS) -> tuple[Fault, ...]:
    """What these verdicts of ``node`` call for beside watching: at most one fault for each checklist."""
    found = []
    for template in dict.fromkeys(TEMPLATES.values()):
        mine = [v for v in verdicts if v.node == node and TEMPLATES[v.kind] == template and v.condition in _ILL]
        how = urgency(mine, actions)
        wanted = tuple(v for v in mine if action(v, actions) is not Urgency.WATCH) or tuple(mine)
        if how is not Urgency.WATCH:
            sensors = tuple(sorted({verdict.sensor for verdict in wanted}))
            found.append(Fault(node, template, sensors, how, _summary(node, wanted, how), wanted))
    return tuple(sorted(found, key=lambda fault: -RANK[fault.urgency]))


def propose(node: NodeId, verdicts: Sequence[Verdict], actions: Actions = ACTIONS) -> Fault | None:
    """The most urgent of ``faults``; None while there is nothing but to watch."""
    return next(iter(faults(node, verdicts, actions)), None)


def due(fault: Fault, known: Proposal | None, now: datetime) -> str:
    """Why this fault is to be proposed now, in one sentence; "" where that was done already.

    A fault is proposed once, however often it shows itself. It is proposed again, over any answer, when it has become
    more urgent or another part joins it; and when a snooze is over.
    """
    if known is None:
        return "it was not proposed before"
    if known.standing is Standing.TAKEN:
        return ""
    if RANK[fault.urgency] > RANK[known.urgency]:
        return f"it is more urgent than before ({known.urgency.value})"
    if fresh := sorted(set(fault.sensors) - set(known.sensors)):
        return f"{_listed(fresh)} joined it"
    if known.until is not None and known.until <= now:
        return f"its snooze is over ({known.reason})"
    return ""


def _summary(node: NodeId, verdicts: Sequence[Verdict], how: Urgency) -> str:
    worst = max(verdicts, key=lambda verdict: (verdict.condition is Condition.FAILED, len(verdict.episodes)))
    said = worst.why.removesuffix(".")
    more = f"; {len(verdicts) - 1} more" if len(verdicts) > 1 else ""
    doing = "move its guests away now" if how is Urgency.EVACUATE_NOW else "schedule a repair"
    return f"{node.name}: {said}{more}: {doing}."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
