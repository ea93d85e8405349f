"""At which hours a maintenance may begin: the windows and freezes of the configuration, in the cluster's own time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from noout.app.compose import Installation
from noout.domain.cluster import NodeId
from noout.domain.windows import Freeze, Shut, parse_window, shut


def shut_now(found: Installation, node: NodeId, at: datetime) -> Shut | None:
    """Why nothing may begin on this node at ``at``, and when something may; None when it may."""
    windows = [parse_window(text) for text in found.settings.policy.windows]
    return shut(at, windows, freezes_of(found, node.cluster), _zone(found, node.cluster))


def freezes_of(found: Installation, cluster: str) -> tuple[Freeze, ...]:
    return tuple(each.within(_zone(found, cluster)) for each in found.settings.freezes)


def _zone(found: Installation, cluster: str) -> ZoneInfo:
    return ZoneInfo(found.settings.clusters[cluster].timezone)
