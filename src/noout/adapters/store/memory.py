"""Journal and measurements in memory: for simulations under virtual time, where a thread would stop the clock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from noout.domain.cluster import GuestId, NodeId
from noout.domain.errors import Superseded
from noout.domain.hardware import HardwareState, LogEntry
from noout.domain.impact import Sample
from noout.domain.journal import ERASED, GENESIS, Event, Message, digest, reading
from noout.domain.maintenance import Json
from noout.domain.trend import Trend, bucket, condense
from noout.ports import Clock, Head


class MemoryStore:
    """``Journal`` and ``Measurements``; the same contract as ``SqlStore``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: dict[str, list[Event]] = {}
        self._messages: dict[str, dict[str, Message]] = {}
        self._samples: dict[str, list[Sample]] = {}
        self._hardware: dict[NodeId, list[HardwareState]] = {}
        self._thinned: dict[NodeId, tuple[list[Trend], list[tuple[datetime, LogEntry]]]] = {}
        self._memory: dict[NodeId, tuple[datetime, Json]] = {}

    async def append(
        self, stream: str, expected_seq: int, kind: str, data: Mapping[str, Json], actor: str = "noout"
    ) -> Event:
        plain = json.loads(json.dumps(data, allow_nan=False))
        chain = self._events.get(stream, [])
        if len(chain) != expected_seq:
            raise Superseded(f"{stream} is at event {len(chain)}, not {expected_seq}: somebody else wrote to it")
        at, seq = self._clock.now(), expected_seq + 1
        made = digest(chain[-1].digest if chain else GENESIS, stream, seq, at, kind, plain, actor)
        event = Event(stream, seq, at, str(kind), plain, actor, made)
        self._events.setdefault(stream, []).append(event)
        return event

    async def erase(
        self, stream: str, expected_seq: int, reads: Sequence[Event], said: Sequence[tuple[str, Message]], actor: str
    ) -> Event:
        told = {"reads": {str(each.seq): reading(each) for each in reads}}
        event = await self.append(stream, expected_seq, ERASED, told, actor)
        instead = {each.seq: each for each in reads}
        self._events[stream] = [instead.get(each.seq, each) for each in self._events[stream]]
        changed = dict(said)
        box = (changed.get(key, message) for key, message in self._messages.get(stream, {}).items())
        self._messages[stream] = {message.key: message for message in box}
        return event

    async def writable(self) -> None:
        return None

    async def read(self, stream: str, after: int = 0) -> Sequence[Event]:
        return self._events.get(stream, [])[after:]

    async def streams(self) -> Sequence[str]:
        return list(self._events)

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        return {
            stream: Head(len(self._events[stream]), len(self._messages.get(stream, {})))
            for stream in streams
            if self._events.get(stream)
        }

    async def post(self, stream: str, message: Message) -> bool:
        box = self._messages.setdefault(stream, {})
        if message.key in box:
            return False
        box[message.key] = message
        return True

    async def messages(self, stream: str) -> Sequence[Message]:
        return list(self._messages.get(stream, {}).values())

    async def add_samples(self, maintenance: str, samples: Sequence[Sample]) -> None:
        self._samples.setdefault(maintenance, []).extend(samples)

    async def samples(
        self, maintenance: str, guest: GuestId | None = None, since: datetime | None = None
    ) -> Sequence[Sample]:
        known = self._samples.get(maintenance, [])
        found = [each for each in known if guest in (None, each.guest) and (since is None or each.at > since)]
        return sorted(found, key=lambda each: each.at)

    async def forget_samples(self, before: datetime) -> None:
        self._samples = {
            maintenance: each
            for maintenance, each in self._samples.items()
            if each and max(sample.at for sample in each) >= before
        }

    async def add_hardware(self, state: HardwareState) -> None:
        self._hardware.setdefault(state.node, []).append(state)

    async def hardware(self, node: NodeId, since: datetime) -> Sequence[HardwareState]:
        return [state for state in self._hardware.get(node, []) if state.at >= since]

    async def thin_hardware(self, node: NodeId, raw_since: datetime, trends_since: datetime) -> None:
        limit, kept = bucket(raw_since), self._hardware.get(node, [])
        old = [state for state in kept if state.at < limit]
        self._hardware[node] = [state for state in kept if state.at >= limit]
        entries = [(state.at, entry) for state in old for entry in state.log]
        first = bucket(trends_since)
        trends, logged = self._thinned.get(node, ([], []))
        self._thinned[node] = (
            [each for each in (*trends, *condense(old)) if each.at >= first],
            [each for each in (*logged, *entries) if each[0] >= first],
        )

    async def trends(self, node: NodeId, since: datetime) -> Sequence[Trend]:
        return [each for each in self._thinned.get(node, ([], []))[0] if each.at >= bucket(since)]

    async def logged(self, node: NodeId, since: datetime) -> Sequence[LogEntry]:
        old = [entry for at, entry in self._thinned.get(node, ([], []))[1] if at >= bucket(since)]
        return old + [entry for state in await self.hardware(node, since) for entry in state.log]

    async def keep_memory(self, node: NodeId, at: datetime, memory: Json) -> None:
        self._memory[node] = (at, json.loads(json.dumps(memory)))

    async def memory(self, node: NodeId) -> tuple[datetime, Json] | None:
        return self._memory.get(node)
