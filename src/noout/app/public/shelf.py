"""The public process's side: what it was told by control, and what it has for it. All of it in memory: a public
process that is started anew shows nothing until control has told it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from noout.app.public.envelope import Operation, Outcome, Pull, Push, open_push, seal_pull
from noout.domain.errors import Refused, Retryable
from noout.domain.maintenance import Json

WANTED_S = 60.0  # so long after somebody looked at a document it is kept fresh
ANSWER_S = 10.0  # the longest that somebody waits for control's word
SILENT_S = 15.0  # so long without control, and nothing that is shown counts as true any more
WAIT_S_MAX = 20.0
QUEUED_MAX, TOLD_BYTES_MAX = 200, 32 << 20  # operations that wait for control, in all


class OldNonce(Refused):
    """Not the nonce that was given last: ``Shelf.nonce`` is."""


@dataclass(slots=True)
class _Queued:
    operation: Operation
    outcome: asyncio.Future[Outcome]
    size: int
    handed: bool = False


def _loop_s() -> float:
    return asyncio.get_running_loop().time()


class Shelf:
    """``monotonic``: seconds of this process's own clock, which nobody sets."""

    def __init__(self, key: bytes, monotonic: Callable[[], float] = _loop_s) -> None:
        self._key, self.monotonic = key, monotonic
        self.began = secrets.token_hex(8)
        self.nonce, self._nonce_s = secrets.token_urlsafe(24), monotonic()
        self._documents: dict[str, Json] = {}
        self._looked: dict[str, float] = {}
        self._queue: dict[str, _Queued] = {}
        self._news = asyncio.Event()
        self._at, self._speed, self.heard_s = datetime.fromtimestamp(0, UTC), 1.0, float("-inf")

    # --- for the pages ------------------------------------------------------------------------------------------

    @property
    def silent(self) -> bool:
        """Control has not been heard of for so long that nothing here counts as true."""
        return self.monotonic() - self.heard_s > SILENT_S

    def document(self, name: str) -> Json | None:
        """From now on control keeps it fresh for a while, where there is such a document."""
        found = self._documents.get(name)
        if found is not None:
            if name not in self._looked:
                self._news.set()
            self._looked[name] = self.monotonic()
        return found

    def now(self) -> datetime:
        """Control's time: as last heard, and what has passed here since."""
        if self.heard_s == float("-inf"):
            return self._at
        return self._at + timedelta(seconds=(self.monotonic() - self.heard_s) * self._speed)

    @property
    def speed(self) -> float:
        return self._speed

    async def ask(self, what: str, token: str, device: str, told: Mapping[str, Json]) -> Outcome:
        """Control's own word on it. Retryable when there is none in time: it may be done all the same, so what can be
        repeated bears a key of its own."""
        size = sum(len(each) for each in told.values() if isinstance(each, str))
        waiting = sum(each.size for each in self._queue.values())
        if len(self._queue) >= QUEUED_MAX or waiting + size > TOLD_BYTES_MAX:
            raise Retryable("too much waits for noout already", remedy="try again in a minute")
        operation = Operation(secrets.token_hex(12), what, token, device, told)
        queued = _Queued(operation, asyncio.get_running_loop().create_future(), size)
        self._queue[operation.id] = queued
        self._news.set()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await queued.outcome
        except TimeoutError:
            raise Retryable("noout did not answer: not sent yet", remedy="try again; it counts once") from None
        finally:
            self._queue.pop(operation.id, None)

    # --- for control --------------------------------------------------------------------------------------------

    async def exchange(self, body: bytes, signature: str) -> tuple[bytes, str]:
        """Refused for what control has not signed; OldNonce for what does not bear the last nonce."""
        push = open_push(self._key, body, signature)
        if not secrets.compare_digest(push.nonce.encode(), self.nonce.encode()):
            raise OldNonce("another nonce was given since")
        self.nonce = ""  # counts once
        self._take(push)
        try:
            async with asyncio.timeout(min(push.wait_s, WAIT_S_MAX)):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()
        return self._answer(signature)

    def greet(self, signature: str) -> tuple[bytes, str]:
        """The answer to a request of control with an old nonce: the new one, and nothing else."""
        return self._sealed(Pull("", self.began), signature)

    def _take(self, push: Push) -> None:
        # It was made after its nonce was given, whenever it came: so our time is never behind control's.
        self._at, self._speed, self.heard_s = push.at, push.speed, self._nonce_s
        if push.whole:
            self._documents.clear()
        for name, document in push.documents.items():
            if document is None:
                self._documents.pop(name, None)
            else:
                self._documents[name] = document
        for id, outcome in push.outcomes.items():
            queued = self._queue.get(id)
            if queued is not None and not queued.outcome.done():
                queued.outcome.set_result(outcome)

    def _answer(self, signature: str) -> tuple[bytes, str]:
        now = self.monotonic()
        self._looked = {name: at for name, at in self._looked.items() if now - at <= WANTED_S}
        new = [each for each in self._queue.values() if not each.handed]
        for each in new:
            each.handed = True
        pull = Pull("", self.began, tuple(each.operation for each in new), tuple(sorted(self._looked)))
        return self._sealed(pull, signature)

    def _sealed(self, pull: Pull, signature: str) -> tuple[bytes, str]:
        self.nonce, self._nonce_s = secrets.token_urlsafe(24), self.monotonic()
        return seal_pull(self._key, replace(pull, nonce=self.nonce), signature)
