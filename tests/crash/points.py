"""Crash points found by instrumentation: before and after every write to the journal, and every effect on the world.

A crash is a ``BaseException`` that nothing in noout may catch. The write or effect just before it has happened, or has
not; what the process knew is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from noout.domain.journal import Event, Message
from noout.domain.maintenance import Json
from noout.ports import Journal
from noout.steps.site import Site

EFFECTS = {
    "hypervisor": ("migrate", "ha_migrate", "shutdown_guest", "start_guest", "cancel", "set_drive", "ceph_service",
                   "shutdown_node", "maintenance_mode", "add_node_rule", "delete_rule", "set_failback", "set_onboot",
                   "set_crs"),
    "ceph": ("set_host_flags", "unset_host_flags", "fail_mgr"),
    "bmc": ("power_on", "locate"),
}  # fmt: skip


class Crash(BaseException):
    """The process is gone."""


@dataclass(frozen=True, order=True)
class Point:
    """``nth`` counts the same place within one history: "after | effect | migrate", the 3rd time."""

    when: str  # before | after
    kind: str  # write | effect
    what: str
    nth: int


@dataclass
class Points:
    """Counts every point passed; ``here`` may raise Crash."""

    crash_at: Callable[[Point], bool] = lambda point: False
    passed: list[Point] = field(default_factory=list)
    crashed: list[Point] = field(default_factory=list)
    _count: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def here(self, when: str, kind: str, what: str) -> None:
        self._count[(when, kind, what)] += 1
        point = Point(when, kind, what, self._count[(when, kind, what)])
        self.passed.append(point)
        if self.crash_at(point):
            self.crashed.append(point)
            raise Crash(str(point))

    def per_kind(self) -> dict[str, int]:
        return dict(sorted(Counter(f"{point.when} {point.kind}" for point in self.passed).items()))


class CrashingJournal:
    """A ``Journal`` whose appends are crash points; reading and posting are not noout's process dying."""

    def __init__(self, inner: Journal, points: Points) -> None:
        self._inner = inner
        self._points = points

    async def append(
        self, stream: str, expected_seq: int, kind: str, data: Mapping[str, Json], actor: str = "noout"
    ) -> Event:
        what = f"{kind} {data.get('key') or data.get('step') or data.get('name') or ''}".strip()
        self._points.here("before", "write", what)
        event = await self._inner.append(stream, expected_seq, kind, data, actor)
        self._points.here("after", "write", what)
        return event

    async def read(self, stream: str, after: int = 0) -> Sequence[Event]:
        return await self._inner.read(stream, after)

    async def streams(self) -> Sequence[str]:
        return await self._inner.streams()

    async def post(self, stream: str, message: Message) -> bool:
        return await self._inner.post(stream, message)

    async def messages(self, stream: str) -> Sequence[Message]:
        return await self._inner.messages(stream)


class _Crashing:
    """A port whose effects are crash points; everything else goes straight through."""

    def __init__(self, inner: object, effects: Sequence[str], points: Points) -> None:
        self._inner = inner
        self._effects = effects
        self._points = points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._effects:
            return found

        async def effect(*args: Any, **kwargs: Any) -> Any:
            self._points.here("before", "effect", name)
            answer = await found(*args, **kwargs)
            self._points.here("after", "effect", name)
            return answer

        return effect


def crashing(site: Site, points: Points) -> Site:
    parts: dict[str, Any] = {name: _Crashing(getattr(site, name), effects, points) for name, effects in EFFECTS.items()}
    return replace(site, **parts)
