"""What the node said of itself before it went, and whether it is the same node that came back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from noout.codec import decode, encode
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError, UsageError
from noout.domain.inventory import NodeInventory
from noout.domain.maintenance import Json, Maintenance, Observation
from noout.ports import Clock, Inspector
from noout.watch.comeback import Comparison, differences

log = logging.getLogger(__name__)

SETTLE = timedelta(seconds=60)  # a node that has just booted may still be bringing up a link, or its clock
UNKNOWN = "what the node said of its links, disks and versions before the work is not known: not compared"


class Comeback:
    """``inspectors`` by cluster. Remembers what it found well: lost with the process, and then looked at anew."""

    def __init__(self, inspectors: Mapping[str, Inspector], clock: Clock) -> None:
        self._inspectors = inspectors
        self._clock = clock
        self._well: dict[str, tuple[datetime | None, Comparison]] = {}

    async def before(self, m: Maintenance, seen: Observation) -> Json:
        """The node as it is now, for the journal; None when it says nothing of itself."""
        inspector = self._inspectors.get(m.node.cluster)
        try:
            told = await inspector.inspect(m.node, _peers(m, seen)) if inspector is not None else None
        except NooutError as error:
            log.warning("%s: %s", m.id, error)
            return None
        return encode(told) if told is not None and (told.links or told.kernel) else None

    async def after(self, m: Maintenance, seen: Observation, *, last: bool) -> Comparison | None:
        """Compared with before, without what an operator has accepted; None while it may still be settling.

        One look as soon as the node is back, and one at the end (``last``): in between the first one counts."""
        on_at, well = self._well.get(m.id, (None, None))
        if well is not None and on_at == m.node_on_at and not last:
            return well
        inspector, before = self._inspectors.get(m.node.cluster), _kept(m)
        if inspector is None or before is None:
            return Comparison(notes=(UNKNOWN,))
        try:
            found = differences(before, await inspector.inspect(m.node, _peers(m, seen)))
        except NooutError as error:
            found = Comparison((f"it cannot be asked what it is now: {error.message}",))
        accepted = frozenset(m.facts.get("accepted_differences") or ())
        left = Comparison(tuple(each for each in found.findings if each not in accepted), found.notes)
        if not left.findings:
            self._well[m.id] = (m.node_on_at, left)
            return left
        self._well.pop(m.id, None)
        settled = m.node_on_at is None or self._clock.now() >= m.node_on_at + SETTLE
        return left if settled else None


def _peers(m: Maintenance, seen: Observation) -> list[NodeId]:
    return [node.id for node in seen.cluster.nodes if node.online and node.id != m.node]


def _kept(m: Maintenance) -> NodeInventory | None:
    """What the journal has of it; None where it has nothing, or nothing that this version understands."""
    try:
        kept = m.facts.get("inventory")
        return decode(NodeInventory, kept, what="the node's inventory") if kept else None
    except UsageError:
        return None
