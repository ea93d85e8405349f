"""Waking people: the command of ``[page]`` is run with one JSON document on its standard input."""

from __future__ import annotations

import json
import logging

from noout.app.compose import Installation
from noout.app.running import hand_over
from noout.domain.maintenance import Maintenance

log = logging.getLogger(__name__)

PAGE_S_MAX = 30.0


async def page(found: Installation, m: Maintenance, why: str) -> None:
    """Say it where somebody is woken. Never raises: that a page failed must not stop what it is about."""
    await wake(found, why, maintenance=m.id, node=str(m.node))


async def wake(found: Installation, why: str, *, maintenance: str, node: str, cluster: str = "") -> None:
    """The same of something that may be of no maintenance and no node ("")."""
    log.error("%s: %s", maintenance or cluster or "noout", why)
    argv = found.settings.page.command
    if not argv:
        return
    document = {"format": "noout.page", "version": 1, "maintenance": maintenance, "node": node, "why": why}
    if cluster:
        document["cluster"] = cluster
    if failed := await hand_over(argv, json.dumps(document), PAGE_S_MAX):
        log.error("the page command failed: %s", failed)
