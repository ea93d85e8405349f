"""Control's side: tells the public process what it may show, and does what people there want done, as if they had come
here: every token and every device is checked again, and every rule holds."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from noout.adapters.http import AnswerLost, Channel, NotSent
from noout.app.public.envelope import BODY_BYTES_MAX, PATH, SIGNATURE, Operation, Outcome, Pull, Push, open_pull, seal
from noout.domain.errors import NooutError, Refused, Retryable
from noout.domain.maintenance import Json
from noout.ports import Clock
from noout.tell.field import Declined

log = logging.getLogger(__name__)

WAIT_S = 2.0  # how long public keeps the answer back while nobody wants anything
AGAIN_S, AGAIN_S_MAX = 1.0, 15.0
OLD_NONCE = 409

Documents = Callable[[frozenset[str]], Awaitable[Mapping[str, Json]]]
"""Every document there is now, by name; those that somebody looks at (given) as fresh as can be."""
Performs = Callable[[Operation], Awaitable[Json]]
"""What an operation comes to; raises NooutError where it is refused."""


@dataclass(slots=True)
class Courier:
    """``documents``: who has some to show; ``performs``: by the first word of an operation's name, who does it."""

    channel: Channel
    key: bytes
    clock: Clock
    documents: tuple[Documents, ...]
    performs: Mapping[str, Performs]
    trouble: str = ""  # why public does not hear of us; "" while it does
    _nonce: str = ""
    _began: str = ""
    _held: dict[str, str] = field(default_factory=dict)  # name -> digest, as public has it
    _wanted: frozenset[str] = frozenset()
    _outcomes: dict[str, Outcome] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled."""
        again_s = AGAIN_S
        try:
            while True:
                try:
                    await self.once()
                except Exception as error:
                    # Whatever it is, it passes or is seen; were this to end, technicians and customers would be alone.
                    known = isinstance(error, NooutError)
                    if not self.trouble:
                        log.warning("the public process is not told: %s", error, exc_info=not known)
                    self.trouble = str(error) if known else "a fault in noout itself; its log says more"
                    await asyncio.sleep(again_s)
                    again_s = min(2 * again_s, AGAIN_S_MAX)
                    continue
                if self.trouble:
                    log.warning("the public process is reached again")
                self.trouble, again_s = "", AGAIN_S
        finally:
            await self.channel.close()

    async def once(self, wait_s: float = WAIT_S) -> None:
        """One exchange, and what it asked for. Raises Retryable or Refused; nothing is lost by that."""
        now: dict[str, Json] = {}
        for each in self.documents:
            now |= await each(self._wanted)
        marks = {name: _digest(document) for name, document in now.items()}
        changed: dict[str, Json] = {name: now[name] for name in now if marks[name] != self._held.get(name)}
        changed |= dict.fromkeys(self._held.keys() - now.keys())
        outcomes = dict(self._outcomes)
        speed = 1.0 / self.clock.wall_s(1.0)
        push = Push(self._nonce, self.clock.now(), speed, wait_s, not self._held, changed, outcomes)
        pull, taken = await self._exchange(push)
        self._nonce = pull.nonce
        if pull.began != self._began:  # started anew: it knows nothing of what was told before
            self._began, self._held, self._outcomes = pull.began, {}, {}
        if not taken:
            return
        self._held, self._wanted = marks, frozenset(pull.wanted)
        self._outcomes = {id: told for id, told in self._outcomes.items() if id not in outcomes}
        told = await asyncio.gather(*(self._perform(each) for each in pull.operations))
        self._outcomes |= {each.id: outcome for each, outcome in zip(pull.operations, told, strict=True)}

    async def _exchange(self, push: Push) -> tuple[Pull, bool]:
        """The answer, and whether what was told was taken: not where another nonce was given since."""
        body, asked = seal(self.key, push)
        headers = {SIGNATURE: asked, "content-type": "application/json"}
        try:
            answer = await self.channel.ask(
                "POST", PATH, body=body, headers=headers, whole_s=push.wait_s + 20.0, body_bytes_max=BODY_BYTES_MAX
            )
        except (NotSent, AnswerLost) as error:
            self._held = {}  # nobody knows what it has taken: next time it is told everything
            raise Retryable(str(error)) from None
        if answer.status not in (200, OLD_NONCE):
            raise Refused(f"it answered {answer.status}: {answer.document().get('error', answer.reason)}")
        return open_pull(self.key, answer.body, answer.headers.get(SIGNATURE, ""), asked), answer.status == 200

    async def _perform(self, wanted: Operation) -> Outcome:
        does = self.performs.get(wanted.what.partition(".")[0])
        try:
            if does is None:
                raise Refused(f"nobody here does {wanted.what[:40]!r}")
            return Outcome(await does(wanted))
        except NooutError as error:
            phrases = (error.why, error.what_to_do) if isinstance(error, Declined) else ()
            return Outcome(None, type(error).__name__, error.message, error.remedy, phrases)
        except Exception:  # a fault of ours: it must not cost the other answers
            log.exception("what %s asked for through the public process came to nothing", wanted.what[:40])
            return Outcome(None, Retryable.__name__, "noout could not do this", "try again, or tell the operator")


def _digest(document: Json) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
