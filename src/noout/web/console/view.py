"""What the console's templates share: the environment, glyphs, times, and words for what the watch says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from noout.app.touch import wrong_server
from noout.app.watcher import Health
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.hardware import Condition, Verdict
from noout.plan.outlook import minutes
from noout.web.templates import environment

GIB = 2**30
WORDS = {
    Condition.OK: ("ok", "ok"), Condition.DEGRADED: ("caution", "degraded"),
    Condition.FLAPPING: ("caution", "flapping"), Condition.HUNTING: ("caution", "hunting"),
    Condition.FAILED: ("stop", "failed"),
    Condition.LOST_TELEMETRY: ("unk", "lost telemetry"),
}  # fmt: skip
WORST = (
    Condition.FAILED, Condition.FLAPPING, Condition.DEGRADED, Condition.HUNTING, Condition.LOST_TELEMETRY, Condition.OK,
)  # fmt: skip

_env = environment("console")


def icon(name: str, says: str = "") -> Markup:
    label = Markup('role="img" aria-label="{}"').format(says) if says else Markup('aria-hidden="true"')
    return Markup('<svg class="i {0}" viewBox="0 0 24 24" {1}><use href="#{0}"/></svg>').format(name, label)


def clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def lasting(span: timedelta) -> str:
    """ "2 min 37 s", "3 h 5 min", "4 days": as coarse as people would say it."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h {seconds // 60 % 60} min"
    return f"{seconds // 86400} days"


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


_env.globals |= {
    "icon": icon, "clock": clock, "lasting": lasting, "count": count, "minutes": minutes, "wrong_server": wrong_server,
}  # fmt: skip


_env.filters["person"] = lambda actor: actor.removeprefix("operator:")


def render(template: str, **what: Any) -> str:
    return _env.get_template(template).render(**what)


def worst(conditions: Iterable[Condition]) -> Condition:
    found = set(conditions)
    return next((each for each in WORST if each in found), Condition.OK)


def guests_of(state: ClusterState) -> Mapping[NodeId, int]:
    found: dict[NodeId, int] = {}
    for guest in state.guests:
        if not guest.template:
            found[guest.node] = found.get(guest.node, 0) + 1
    return found


def says(health: Health | None) -> tuple[str, str]:
    """A glyph, and the worst verdict in a sentence."""
    first = _first(health)
    if first is None:
        return in_short(health)
    return WORDS[first.condition][0], first.why if first.sensor in first.why else f"{first.sensor}: {first.why}"


def in_short(health: Health | None) -> tuple[str, str]:
    """A glyph, and the worst verdict in a few words."""
    if health is None:
        return "unk", "No BMC is configured"
    if health.latest is None or not health.latest.reachable:
        return "unk", "Its BMC does not answer: power steps are blocked"
    first = _first(health)
    if first is None:
        return "ok", f"All {len(health.verdicts)} sensors are well"
    return WORDS[first.condition][0], f"{first.sensor} {WORDS[first.condition][1]}"


def _first(health: Health | None) -> Verdict | None:
    """The worst of what is not well, as far as something is known."""
    if health is None or health.latest is None or not health.latest.reachable:
        return None
    condition = worst(verdict.condition for verdict in health.verdicts)
    found = (verdict for verdict in health.verdicts if verdict.condition is condition)
    return next(found, None) if condition is not Condition.OK else None
