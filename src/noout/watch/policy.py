"""Condition -> action: watch, schedule a repair, or evacuate now; and the proposal made of it."""

from __future__ import annotations

from collections.abc import Sequence

from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, Fault, SensorKind, Urgency, Verdict

_BY_CONDITION = {
    Condition.OK: Urgency.WATCH,
    Condition.HUNTING: Urgency.WATCH,  # the limits need correcting, the node no repair
    Condition.LOST_TELEMETRY: Urgency.WATCH,  # losing the BMC never evacuates
    Condition.DEGRADED: Urgency.SCHEDULE,
    Condition.FLAPPING: Urgency.SCHEDULE,
    Condition.FAILED: Urgency.SCHEDULE,
}
_TEMPLATES = {SensorKind.FAN: "fans", SensorKind.TEMPERATURE: "fans", SensorKind.POWER_SUPPLY: "power"}


def urgency(verdicts: Sequence[Verdict]) -> Urgency:
    """How soon a node with these verdicts wants attention: two rotors failed, a critical temperature or a second
    supply gone cannot wait; one fault with redundancy left is scheduled."""
    failed = [verdict for verdict in verdicts if verdict.condition is Condition.FAILED]
    rotors = sum(verdict.kind is SensorKind.FAN for verdict in failed)
    supplies = sum(verdict.kind is SensorKind.POWER_SUPPLY for verdict in failed)
    if rotors >= 2 or supplies >= 2 or any(verdict.kind is SensorKind.TEMPERATURE for verdict in failed):
        return Urgency.EVACUATE_NOW
    if any(_BY_CONDITION[verdict.condition] is Urgency.SCHEDULE for verdict in verdicts):
        return Urgency.SCHEDULE
    return Urgency.WATCH


def propose(node: NodeId, verdicts: Sequence[Verdict]) -> Fault | None:
    """The maintenance these verdicts call for, or None while there is nothing but to watch.

    One fault a node: cooling before power, because a node without cooling goes first.
    """
    wanted = [v for v in verdicts if v.node == node and _BY_CONDITION[v.condition] is not Urgency.WATCH]
    if not wanted:
        return None
    template = "fans" if any(_TEMPLATES[verdict.kind] == "fans" for verdict in wanted) else "power"
    chosen = tuple(verdict for verdict in wanted if _TEMPLATES[verdict.kind] == template)
    how = urgency(wanted)
    return Fault(
        node=node,
        template=template,
        sensors=tuple(sorted({verdict.sensor for verdict in chosen})),
        urgency=how,
        summary=_summary(node, chosen, how),
        verdicts=chosen,
    )


def _summary(node: NodeId, verdicts: Sequence[Verdict], how: Urgency) -> str:
    worst = max(verdicts, key=lambda verdict: (verdict.condition is Condition.FAILED, len(verdict.episodes)))
    said = worst.why.removesuffix(".")
    more = f"; {len(verdicts) - 1} more" if len(verdicts) > 1 else ""
    action = "move its guests away now" if how is Urgency.EVACUATE_NOW else "schedule a repair"
    return f"{node.name}: {said}{more}: {action}."
