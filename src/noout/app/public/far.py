"""The technician's side on the public process: shown from what control told, done by asking it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from noout import codec
from noout.app.links import NoSuchLink, OtherDevice, Visit, hashed
from noout.app.public.envelope import Outcome
from noout.app.public.shelf import Shelf
from noout.app.public.technicians import PREFIX
from noout.app.technician import Bench
from noout.domain.errors import NooutError, Refused, Retryable, UnknownOutcome, UsageError
from noout.domain.maintenance import Json
from noout.domain.workorder import Answer
from noout.tell.field import Declined

ERRORS: Mapping[str, type[NooutError]] = {
    each.__name__: each for each in (Refused, NoSuchLink, OtherDevice, UsageError, UnknownOutcome)
}


@dataclass(frozen=True, slots=True)
class FarVisit(Visit):
    """``token``: the link's secret, which control wants to see with everything that is done."""

    token: str = field(default="", repr=False)


class FarClock:
    """Control's time, as the shelf knows it."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def now(self) -> datetime:
        return self._shelf.now()

    def wall_s(self, seconds: float) -> float:
        return seconds / self._shelf.speed


class FarField:
    """What the technician's pages need, over what control told: the same as ``FieldWork`` has on the spot."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.clock = FarClock(shelf)

    async def enter(self, token: str, device: str | None) -> Visit:
        """As ``FieldWork.enter``. The first device is bound by control; Retryable while it does not answer."""
        link = hashed(token.rpartition(".")[2])
        known = self._document(link)
        if known is None or datetime.fromisoformat(str(known["expires"])) <= self.clock.now():
            raise NoSuchLink("no such link")
        if known["device"] is None:
            device = device or secrets.token_urlsafe(24)
            found = _value(await self._shelf.ask("technician.enter", token, device, {}))
            return FarVisit(str(found["maintenance"]), str(found["technician"]), str(found["link"]), device, token)
        if device is None or not secrets.compare_digest(str(known["device"]), hashed(device)):
            raise OtherDevice("this link was opened on another device", remedy="ask for a link of your own")
        return FarVisit(str(known["maintenance"]), str(known["technician"]), link, device, token)

    async def bench(self, visit: Visit) -> Bench:
        """As control saw it last: by this clock never younger than it is, and the page says when it is old."""
        known = self._document(visit.link)
        if known is None:
            raise NoSuchLink("no such link")
        return codec.decode(Bench, known["bench"], what="bench")

    async def hands_on(self, visit: Visit, serial: str, key: str) -> bool:
        return bool(await self._do(visit, "hands_on", serial=serial, key=key))

    async def serial_again(self, visit: Visit, serial: str, key: str) -> bool:
        return bool(await self._do(visit, "serial_again", serial=serial, key=key))

    async def finding(self, visit: Visit, check: str, answer: Answer, note: str, key: str, part: str = "") -> bool:
        return bool(await self._do(visit, "finding", check=check, answer=answer, note=note, key=key, part=part))

    async def photo(self, visit: Visit, check: str, picture: bytes, key: str) -> bool:
        return bool(await self._do(visit, "photo", check=check, picture=picture, key=key))

    async def picture(self, visit: Visit, digest: str) -> bytes | None:
        found = await self._do(visit, "picture", digest=digest)
        return base64.b64decode(str(found)) if found is not None else None

    async def not_today(self, visit: Visit, why: str, key: str) -> bool:
        return bool(await self._do(visit, "not_today", why=why, key=key))

    async def sign_off(self, visit: Visit, key: str) -> bool:
        return bool(await self._do(visit, "sign_off", key=key))

    async def _do(self, visit: Visit, what: str, **told: Any) -> Json:
        assert isinstance(visit, FarVisit)
        plain = {
            name: base64.b64encode(each).decode() if isinstance(each, bytes) else codec.encode(each)
            for name, each in told.items()
        }
        return _value(await self._shelf.ask(f"technician.{what}", visit.token, visit.device, plain))

    def _document(self, link: str) -> Mapping[str, Json] | None:
        found = self._shelf.document(PREFIX + link)
        return found if isinstance(found, dict) else None


def _value(outcome: Outcome) -> Any:
    if outcome.phrases:
        raise Declined(*outcome.phrases)
    if outcome.error:
        kind = ERRORS.get(outcome.error, Refused if outcome.error in ("Forbidden",) else Retryable)
        raise kind(outcome.message, remedy=outcome.remedy)
    return outcome.value
