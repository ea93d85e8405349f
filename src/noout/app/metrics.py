"""Figures of noout itself for a Prometheus, in its text format.

Nodes, guests and customers are not named: anybody who reaches the page may read it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.pulse import Pulse
from noout.app.standstill import standstill
from noout.app.webhooks import standings
from noout.domain.errors import NooutError

log = logging.getLogger(__name__)


async def metrics(pulse: Pulse) -> str:
    """What the journal would say is left out while it does not answer."""
    found, now = pulse.found, pulse.found.clock.now()
    troubles = await pulse.troubles()
    lines = _Lines()
    lines.gauge("noout_up", "This process answers.", 1)
    lines.gauge("noout_alive", "It does what it is there for; only then the heartbeat is sent.", not troubles)
    lines.gauge("noout_store_writable", "What must be written down can be.", "store" not in troubles)
    lines.gauge("noout_runs_age_seconds", "Since the maintenances were last looked after.", pulse.runs_age_s())
    lines.gauge("noout_runs_late", "Maintenances of this process that do not go on.", len(pulse.late()))
    lines.gauge("noout_watching", "This process watches the nodes (of several one does).", pulse.watches)
    lines.gauge("noout_watch_age_seconds", "Since a reading of any node was kept.", pulse.watch_age_s())
    try:
        await _of_the_journal(lines, found, now)
    except NooutError as error:
        log.warning("metrics: %s", error)
    return lines.text


async def _of_the_journal(lines: _Lines, found: Installation, now: datetime) -> None:
    some = [m for m in await Maintenances(found).all() if m.open]
    stopped = await standstill(found.journal)
    lines.gauge("noout_standing_still", "Nothing new is done anywhere (noout stop-all).", stopped is not None)
    lines.gauge("noout_maintenances_open", "Maintenances that are not over.", len(some))
    blocked, needed = sum(bool(m.blockers) for m in some), sum(bool(m.needs) for m in some)
    lines.gauge("noout_maintenances_blocked", "Those that something stands in the way of.", blocked)
    lines.gauge("noout_maintenances_paused", "Those that somebody has to resume.", sum(m.paused for m in some))
    lines.gauge("noout_maintenances_waiting", "Those that wait for somebody.", needed)
    held = sum(any(own.kind in ("noout", "cluster-noout") for own in m.owned) for m in some)
    lines.gauge("noout_maintenances_holding", "Those for which Ceph keeps data where it is.", held)
    waits = (now - m.waiting_since for m in some if m.needs and m.waiting_since is not None)
    longest = max(waits, default=timedelta(0)).total_seconds()
    lines.gauge("noout_longest_wait_seconds", "The longest that one of them waits for somebody.", longest)
    failing = sum(each.failing_since is not None for each in await standings(found))
    lines.gauge("noout_webhooks_failing", "Webhooks that do not take what they are told.", failing)


@dataclass(slots=True)
class _Lines:
    text: str = ""

    def gauge(self, name: str, about: str, value: float) -> None:
        self.text += f"# HELP {name} {about}\n# TYPE {name} gauge\n{name} {float(value):.10g}\n"
