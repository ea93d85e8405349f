"""Webhooks: what the journal tells of maintenances, proposals and the standstill, sent on to others' programs.

The journal is the queue. How far each receiver was told is kept beside it, stream by stream: an event counts as told
only when the receiver took it, so none is lost, and one that was taken in the moment before a crash comes again under
the same id. Within a maintenance the order is the journal's.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from noout.adapters.clock import SystemClock
from noout.adapters.http import Server
from noout.adapters.tls import context_for
from noout.adapters.webhook import Hook, keys_of, make_secret
from noout.app.compose import Installation
from noout.app.paging import wake
from noout.app.sentences import sentence
from noout.codec import decode, encode
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Json
from noout.ports import Clock
from noout.settings import secret
from noout.settings_keeping import WebhookSettings

__all__ = ["Standing", "Webhook", "make_secret", "run_webhooks", "standings", "webhooks_of"]

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0  # all times here are the machine's own, as the receivers' are
AGAIN_S, AGAIN_S_MAX = 5.0, 900.0
WAKE_AFTER = timedelta(minutes=15)
KEEP_STANDING = timedelta(minutes=1)
BEGAN = "-"  # beside the streams' names: told from here on

TOLD: Mapping[str, str] = {
    Kind.OPENED: "", Kind.PLANNED: "", Kind.APPROVED: "", Kind.STEP_ENTERED: "", Kind.STEP_DONE: "", Kind.FAILED: "",
    Kind.BLOCKED: "", Kind.WAITING: "", Kind.OWNED: "", Kind.RELEASED: "", Kind.MOVED: "", Kind.WORK_ORDER: "",
    Kind.CLOSED: "", Kind.PROBATION_FAILED: "", Kind.PROBATION_PASSED: "", Kind.REOPENED: "",
    "fault.proposed": "a maintenance is proposed", "proposal.snoozed": "a proposal was put off",
    "proposal.declined": "a proposal was declined", "effects.stopped": "no new effect is started anywhere",
    "effects.allowed": "effects are allowed again",
}  # fmt: skip
"""Kinds of events that are told, and what is said of one that has no sentence of its own."""


class Sends(Protocol):
    async def send(self, id: str, body: bytes) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How one receiver is doing. ``waiting``: events that it was not told yet (of some it is told nothing);
    ``failing_since``: None while it takes them."""

    name: str
    waiting: int
    told_at: datetime | None = None
    failing_since: datetime | None = None
    why: str = ""
    tries: int = 0


@dataclass(slots=True)
class Webhook:
    """One receiver of an installation's events."""

    found: Installation
    name: str
    chosen: WebhookSettings
    hook: Sends
    clock: Clock = field(default_factory=SystemClock)
    standing: Standing = field(init=False)
    _told: dict[str, int] | None = None
    _woken: bool = False

    def __post_init__(self) -> None:
        self.standing = Standing(self.name, 0)

    async def run(self) -> None:
        """Until cancelled. What cannot be sent is tried again, later each time; nothing is passed over for it."""
        self._told = None  # another process may have told since
        try:
            while True:
                try:
                    await self.once()
                except NooutError as error:
                    log.warning("webhook %s: %s", self.name, error)
                await asyncio.sleep(self.pause_s())
        finally:
            await self.hook.close()

    def pause_s(self) -> float:
        tries = self.standing.tries
        return min(AGAIN_S * 2 ** min(tries - 1, 10), AGAIN_S_MAX) if tries else LOOK_EVERY_S

    async def once(self) -> bool:
        """Tell what is new; False when the receiver did not take it."""
        told = await self._begun()
        journal = self.found.journal
        heads = await journal.heads(await journal.streams())
        behind = {stream: head.events - told.get(stream, 0) for stream, head in heads.items()}
        waiting = sum(each for each in behind.values() if each > 0)
        for stream in sorted(stream for stream, more in behind.items() if more > 0):
            for event in await journal.read(stream, told.get(stream, 0)):
                if self.wants(event) and not await self._sent(event, waiting):
                    return False
                told[stream] = event.seq
                waiting -= 1
                if self.wants(event) or event.seq == heads[stream].events:
                    await self.found.papers.put(kind_of(self.name), stream, "", {"stream": stream, "seq": event.seq})
        return True

    async def _begun(self) -> dict[str, int]:
        """How far it was told; a new receiver is told what happens from now on."""
        if self._told is None:
            papers = self.found.papers
            kept = {str(each["stream"]): int(each["seq"]) for each in await papers.all(kind_of(self.name))}
            if BEGAN not in kept:
                heads = await self.found.journal.heads(await self.found.journal.streams())
                kept = {BEGAN: 0, **{stream: head.events for stream, head in heads.items()}}
                for stream, seq in reversed(kept.items()):  # the mark comes last
                    await papers.put(kind_of(self.name), stream, "", {"stream": stream, "seq": seq})
            self._told = kept
        return self._told

    def wants(self, event: Event) -> bool:
        chosen = self.chosen
        if event.kind not in TOLD or (event.kind == Kind.WAITING and not event.data.get("needs")):
            return False
        if chosen.events and not any(event.kind == each or event.kind.startswith(each) for each in chosen.events):
            return False
        cluster = cluster_of(event, self.found.hypervisors)
        return chosen.clusters is None or cluster in chosen.clusters

    async def _sent(self, event: Event, waiting: int) -> bool:
        now, before = self.clock.now(), self.standing
        try:
            await self.hook.send(id_of(event), json.dumps(await self._body(event), ensure_ascii=False).encode())
        except NooutError as error:
            since = before.failing_since or now
            self.standing = Standing(self.name, waiting, before.told_at, since, str(error), before.tries + 1)
            await self._keep_standing()
            if before.failing_since is None:
                log.warning("webhook %s does not take what it is told: %s", self.name, error)
            if not self._woken and now - since >= WAKE_AFTER:
                self._woken = True
                why = f"webhook {self.name} has taken nothing since {since:%Y-%m-%d %H:%M} UTC: {error}"
                await wake(self.found, why, maintenance="", node="")
            return False
        if before.failing_since is not None:
            log.warning("webhook %s takes what it is told again", self.name)
        self._woken = False
        self.standing = Standing(self.name, waiting - 1, now)
        if before.failing_since is not None or before.told_at is None or now - before.told_at >= KEEP_STANDING:
            await self._keep_standing()
        return True

    async def _keep_standing(self) -> None:
        """For the other processes on this store, and for the commands."""
        kept = {"stream": BEGAN, "seq": 0, "standing": encode(self.standing)}
        await self.found.papers.put(kind_of(self.name), BEGAN, "", kept)

    async def _body(self, event: Event) -> Json:
        data: dict[str, Json] = {
            "stream": event.stream, "seq": event.seq, "actor": event.actor,
            "cluster": cluster_of(event, self.found.hypervisors), "says": sentence(event) or TOLD[event.kind],
        }  # fmt: skip
        state = await self.found.known.find(event.stream)
        if state is not None:
            data |= {"maintenance": state.id, "node": str(state.node)}
        elif (fault := event.data.get("fault")) is not None:
            data |= {"node": str(NodeId.parse(f"{fault['node']['cluster']}/{fault['node']['name']}"))}
        return {"type": str(event.kind), "timestamp": event.at.isoformat(), "data": data}


async def standings(found: Installation) -> list[Standing]:
    """How each receiver of the configuration is doing, whichever process sends to it."""
    listed = []
    heads = await found.journal.heads(await found.journal.streams())
    for name in found.settings.webhooks:
        kept = await found.papers.all(kind_of(name))
        began = next((each for each in kept if each["stream"] == BEGAN), None)
        told = {str(each["stream"]): int(each["seq"]) for each in kept}
        waiting = sum(max(0, head.events - told.get(stream, 0)) for stream, head in heads.items()) if began else 0
        said = began.get("standing") if began else None
        known = decode(Standing, said) if said else Standing(name, 0)
        listed.append(replace(known, waiting=waiting))
    return listed


def kind_of(name: str) -> str:
    """Under which its papers are kept."""
    return f"webhook:{name}"


def id_of(event: Event) -> str:
    """The same event has the same id, whoever sends it and however often."""
    return f"evt_{event.digest[:32]}"


def cluster_of(event: Event, clusters: Mapping[str, object]) -> str:
    """The cluster whose stream it is in; "" for what concerns all of them."""
    known = sorted(clusters, key=len, reverse=True)
    plain = event.stream.removeprefix("watch-")
    return next((each for each in known if plain.startswith(f"{each}-")), "")


def webhooks_of(found: Installation, make: Callable[[str, WebhookSettings], Sends] | None = None) -> list[Webhook]:
    """Those that the configuration names. UsageError when a secret cannot be read."""
    opened = make or (lambda name, chosen: _hook(found, name, chosen))
    return [Webhook(found, name, chosen, opened(name, chosen)) for name, chosen in found.settings.webhooks.items()]


async def run_webhooks(hooks: Sequence[Webhook]) -> None:
    """Until cancelled; each goes at its own pace."""
    if not hooks:
        await asyncio.Event().wait()
    async with asyncio.TaskGroup() as group:
        for each in hooks:
            group.create_task(each.run())


def _hook(found: Installation, name: str, chosen: WebhookSettings) -> Hook:
    settings, parts = found.settings, urlsplit(chosen.url)
    keys = keys_of(secret(settings, chosen.secret, chosen.secret_file, f"webhooks.{name}.secret_file"))
    ca = settings.file(chosen.ca) if chosen.ca else None
    tls = context_for(parts.netloc, chosen.fingerprint, ca) if parts.scheme == "https" else None
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return Hook(Server(f"{parts.scheme}://{parts.netloc}", tls), target, keys)
