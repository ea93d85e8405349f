"""Journal and measurements in memory: for simulations under virtual time, where a thread would stop the clock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from noout.domain.cluster import GuestId, NodeId
from noout.domain.errors import Superseded
from noout.domain.hardware import HardwareState
from noout.domain.impact import Sample
from noout.domain.journal import GENESIS, Event, Message, digest
from noout.domain.maintenance import Json
from noout.ports import Clock


class MemoryStore:
    """``Journal`` and ``Measurements``; the same contract as ``SqlStore``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: dict[str, list[Event]] = {}
        self._messages: dict[str, dict[str, Message]] = {}
        self._samples: dict[str, list[Sample]] = {}
        self._hardware: dict[NodeId, list[HardwareState]] = {}

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

    async def read(self, stream: str, after: int = 0) -> Sequence[Event]:
        return self._events.get(stream, [])[after:]

    async def streams(self) -> Sequence[str]:
        return list(self._events)

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

    async def samples(self, maintenance: str, guest: GuestId | None = None) -> Sequence[Sample]:
        found = [each for each in self._samples.get(maintenance, []) if guest in (None, each.guest)]
        return sorted(found, key=lambda each: each.at)

    async def add_hardware(self, state: HardwareState) -> None:
        self._hardware.setdefault(state.node, []).append(state)

    async def hardware(self, node: NodeId, since: datetime) -> Sequence[HardwareState]:
        return [state for state in self._hardware.get(node, []) if state.at >= since]
