"""Technicians' links as documents, on control's side; and what technicians do there, done here."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from inspect import signature
from typing import Any, cast, get_type_hints

from noout import codec
from noout.app.links import Live, Visit, live_links
from noout.app.public.envelope import Operation
from noout.app.technician import FieldWork
from noout.domain.errors import NooutError, Refused
from noout.domain.maintenance import Json, Maintenance

PREFIX = "link/"  # and the hash of the link's secret
KEPT_WALL_S = 30.0  # a document that nobody looks at is that old at the most
OPERATIONS = frozenset({"hands_on", "serial_again", "finding", "photo", "picture", "not_today", "sign_off"})
"""Methods of ``FieldWork`` that a technician may ask for: each takes a visit, and plain values."""


@dataclass(slots=True)
class Technicians:
    """``open_ones``: the maintenances that are open; ``all_ones``: those that are over too."""

    work: FieldWork
    open_ones: Callable[[], Awaitable[Sequence[Maintenance]]]
    all_ones: Callable[[], Awaitable[Sequence[Maintenance]]]
    _ids: set[str] | None = None
    _made: dict[str, tuple[datetime, Mapping[str, Json]]] = field(default_factory=dict)

    async def documents(self, wanted: frozenset[str]) -> Mapping[str, Json]:
        """One for each link that is good, with all that its page shows."""
        if self._ids is None:
            self._ids = {m.id for m in await self.all_ones()}
        self._ids |= {m.id for m in await self.open_ones()}
        found: dict[str, Mapping[str, Json]] = {}
        for id in sorted(self._ids):
            links = live_links(await self.work.messages(id), self.work.clock.now())
            m = await self.work.maintenance(id)
            if m is not None and not m.open and not links:  # nobody will be given one any more
                self._ids.discard(id)
            for link in links:
                name = PREFIX + link.link
                found[name] = await self._document(id, link, fresh=name in wanted)
        self._made = {name: made for name, made in self._made.items() if name in found}
        return found

    async def _document(self, maintenance: str, link: Live, *, fresh: bool) -> Mapping[str, Json]:
        name, now = PREFIX + link.link, self.work.clock.now()
        at, made = self._made.get(name, (now, None))
        old = self.work.clock.wall_s((now - at) / timedelta(seconds=1)) >= KEPT_WALL_S
        if made is None or fresh or old or made["device"] != link.device:
            try:
                bench = await self.work.bench(Visit(maintenance, link.technician, link.link, ""))
            except NooutError:  # what public has grows old there, and says so
                if made is None:
                    raise
                return made
            made = {
                "maintenance": maintenance, "technician": link.technician, "expires": link.expires.isoformat(),
                "device": link.device, "bench": codec.encode(bench),
            }  # fmt: skip
            self._made[name] = now, made
        return made

    async def perform(self, wanted: Operation) -> Json:
        """As if the phone had come here: its link and its device are checked, and every rule holds."""
        visit = await self.work.enter(wanted.token, wanted.device)
        what = wanted.what.partition(".")[2]
        if what == "enter":
            return {"maintenance": visit.maintenance, "technician": visit.technician, "link": visit.link}
        if what not in OPERATIONS:
            raise Refused(f"{what[:40]!r} is nothing that a technician can do")
        method = getattr(self.work, what)
        kinds = get_type_hints(type(self.work).__dict__[what])
        wants = [each for each in signature(method).parameters.values() if each.name != "visit"]
        missing = [each.name for each in wants if each.default is each.empty and each.name not in wanted.told]
        if missing or (more := wanted.told.keys() - {each.name for each in wants}):
            raise Refused(f"{what} does not go with {', '.join(sorted(missing or more))[:60]!r}")
        told = {name: _plain(kinds[name], value, name) for name, value in wanted.told.items()}
        done = await method(visit, **told)
        return base64.b64encode(done).decode() if isinstance(done, bytes) else cast(Json, done)


def _plain(kind: Any, value: Json, key: str) -> Any:
    """UsageError for what is not of its kind."""
    if kind is bytes:
        try:
            return base64.b64decode(str(value), validate=True)
        except ValueError:
            raise Refused(f"{key} is not whole", remedy="send it again") from None
    return codec.decode(kind, value, what=key)
