"""After a repair: did the old fault come back? Asked for days, of the same detection that found it."""

from __future__ import annotations

from datetime import datetime

from noout.domain.hardware import Condition, Fault, Urgency, Verdict
from noout.domain.maintenance import Maintenance
from noout.watch.policy import TEMPLATES

ILL = {Condition.DEGRADED, Condition.FLAPPING, Condition.FAILED}
WATCHED_MIN = 0.9  # share of the probation in which the node was seen: what nobody watched proved nothing
_ALL = {"fans", "power-supplies"}  # verdicts about all parts of a kind


def on_probation(m: Maintenance) -> bool:
    """A repair that is neither trusted nor found wanting yet."""
    return not m.open and m.fault is not None and m.probation_until is not None and m.probation_over_at is None


def recurrence(m: Maintenance, verdicts: tuple[Verdict, ...]) -> Fault | None:
    """The old fault, where what was seen since the repair shows it again; else None.

    One episode of a repaired part is enough: that it is the old fault is far likelier than that a part which was just
    repaired has a new one. Another part of the same kind is another fault, and proposed as one.
    """
    if not on_probation(m) or m.fault is None:
        return None
    before = m.fault
    since = m.acceptance_until or m.closed_at or m.opened_at
    shown = tuple(v for v in verdicts if TEMPLATES[v.kind] == before.template and _again(v, before, since))
    if not shown:
        return None
    worst = max(shown, key=lambda verdict: (verdict.condition in ILL, len(verdict.episodes)))
    summary = f"{m.node.name}: not cured: {worst.why.removesuffix('.')}: schedule a repair."
    sensors = tuple(sorted({verdict.sensor for verdict in shown}))
    return Fault(m.node, before.template, sensors, Urgency.SCHEDULE, summary, shown)


def _again(verdict: Verdict, before: Fault, since: datetime) -> bool:
    if verdict.sensor not in before.sensors and not _ALL & set(before.sensors):
        return False
    if verdict.condition in ILL:
        return True
    return any(each.since >= since and each.what != "hunting" for each in verdict.episodes)


def passed(m: Maintenance, now: datetime, watched: float) -> bool:
    """The time is over, and the node was watched for nearly all of it. ``watched``: the share in which it was seen."""
    return on_probation(m) and m.probation_until is not None and now >= m.probation_until and watched >= WATCHED_MIN
