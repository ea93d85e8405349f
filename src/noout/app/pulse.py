"""Whether noout does what it is there for: its store takes what is written, its runs go on, its watch looks.

While it does, a heartbeat goes to the address of ``[heartbeat]``: whoever listens there calls somebody when it stops.
That also happens when this machine, its network or this process is gone, of which noout itself can tell nothing.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from noout.adapters.http import AnswerLost, Channel, NotSent, Server
from noout.app.carrying import Carrier
from noout.app.compose import Installation
from noout.app.paging import wake
from noout.app.watcher import Watcher
from noout.app.watching.poller import BACK_OFF_S_MAX, LOOK_WALL_S
from noout.domain.errors import NooutError

log = logging.getLogger(__name__)

MINDED_WALL_S_MAX = 60.0  # since the last look for runs to carry: it is made every second
BEAT_S_MAX = 10.0
STORE, RUNS, WATCH = "store", "runs", "watch"
OF_NOOUT = frozenset({STORE, RUNS, WATCH})  # troubles that are about no maintenance


@dataclass(slots=True)
class Pulse:
    """Of one process that serves."""

    found: Installation
    carrier: Carrier
    watcher: Watcher
    since: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.found.clock.now()

    async def troubles(self) -> dict[str, str]:
        """Why noout does not do what it should, by what it is about; empty when it does."""
        found: dict[str, str] = {}
        try:
            await self.found.journal.writable()
        except NooutError as error:
            found[STORE] = f"nothing can be written down, so nothing new is done: {error}"
        if (age_s := self.runs_age_s()) > MINDED_WALL_S_MAX:
            found[RUNS] = f"nobody has looked after the maintenances for {age_s:.0f} s"
        for maintenance in self.late():
            found[maintenance] = f"{maintenance} does not go on: noout status {maintenance}"
        if (age_s := self.watch_age_s()) > self._watch_s_max():
            found[WATCH] = f"no reading of any node has been kept for {age_s:.0f} s"
        return found

    def late(self) -> list[str]:
        """Maintenances carried here that do not go on."""
        return self.carrier.paces.late(self.found.clock.now())

    @property
    def watches(self) -> bool:
        return self.watcher.watching_since is not None

    def runs_age_s(self) -> float:
        """Wall seconds since the last look for runs to carry."""
        return self._age_s(self.carrier.minded_at)

    def watch_age_s(self) -> float:
        """Wall seconds since a reading was kept; 0 where this process watches nothing."""
        since = self.watcher.watching_since
        if since is None or not self.watcher.boards:
            return 0.0
        return self._age_s(max(self.watcher.kept_at or since, since))

    def _age_s(self, at: datetime | None) -> float:
        return self.found.clock.wall_s((self.found.clock.now() - (at or self.since)).total_seconds())

    def _watch_s_max(self) -> float:
        """Where no BMC answers, they are asked seldom, and each may take its time."""
        return self.found.clock.wall_s(max(3 * self.watcher.every_s, 1.2 * BACK_OFF_S_MAX)) + LOOK_WALL_S


@dataclass(slots=True)
class Heartbeat:
    """Looks at the pulse, wakes somebody once when it fails, and tells whoever listens while it does not."""

    pulse: Pulse
    channel: Channel | None = None  # for tests; else the address of ``[heartbeat]``
    known: frozenset[str] = frozenset()
    _refused: bool = False

    async def run(self) -> None:
        """Until cancelled; on the machine's own clock, as its listener's is."""
        while True:
            await self.once()
            await asyncio.sleep(self.pulse.found.settings.heartbeat.every_s)

    async def once(self) -> bool:
        """One look; True when a beat was taken in."""
        troubles = await self.pulse.troubles()
        for about in troubles.keys() - self.known:
            await wake(self.pulse.found, troubles[about], maintenance="" if about in OF_NOOUT else about, node="")
        for about in self.known - troubles.keys():
            log.warning("%s: well again", about)
        self.known = frozenset(troubles)
        return not troubles and await self._beat()

    async def _beat(self) -> bool:
        url = self.pulse.found.settings.heartbeat.url
        if url is None:
            return False
        parts = urlsplit(url)
        if self.channel is None:
            self.channel = Channel(Server(f"{parts.scheme}://{parts.netloc}"))
        try:
            answer = await self.channel.ask("GET", parts.path, query=dict(parse_qsl(parts.query)), whole_s=BEAT_S_MAX)
            failed = "" if answer.status < 300 else f"it answered {answer.status}"
        except (NotSent, AnswerLost, NooutError) as error:
            failed = str(error)
        if failed and not self._refused:  # its listener will say so soon; the address may be a secret
            log.warning("the heartbeat did not reach %s: %s", parts.hostname, failed)
        self._refused = bool(failed)
        return not failed
