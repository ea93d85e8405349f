"""Take somebody's name, number or address out of what was written down, and leave the chain as it is.

Nothing of the kind is written down by noout itself but who acted; people type what they like into reasons and notes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from noout.app.compose import Installation
from noout.domain.errors import NooutError, Refused, UsageError
from noout.domain.journal import ERASED, Event, Message
from noout.domain.maintenance import Json
from noout.run.fold import fold

MARK = "(erased)"
CHARS_MIN = 3


async def erase(found: Installation, stream: str, text: str, actor: str) -> tuple[int, int]:
    """Write MARK wherever ``text`` stands as words of its own, in the stream's events and messages: how many of each.

    Refused while the maintenance is open (its run reads its own journal), and where the journal could not be read any
    more without the text; UsageError for a stream that is not there, or a text too short to mean anything.
    """
    if len(text.strip()) < CHARS_MIN:
        raise UsageError(f"{text!r} is too short to be erased", remedy=f"give at least {CHARS_MIN} characters")
    events = await found.journal.read(stream)
    if not events:
        raise UsageError(f"there is no stream {stream}", remedy="see `noout journal verify`")
    state = await found.known.find(stream)
    if state is not None and state.open:
        raise Refused(f"{stream} is open: its run reads it", remedy="close it first")
    words = re.compile(rf"(?<!\w){re.escape(text.strip())}(?!\w)")
    reads = [new for old in events if old.kind != ERASED and (new := _event(old, words)) != old]
    posted = await found.journal.messages(stream)
    said = [(each.key, less) for each in posted if (less := _message(each, words)) != each]
    if not reads and not said:
        return 0, 0
    instead = {each.seq: each for each in reads}
    if state is not None:
        _require_sense([instead.get(each.seq, each) for each in events], stream, text)
    await found.journal.erase(stream, events[-1].seq, reads, said, actor)
    found.known.forget(stream)
    return len(reads), len(said)


def _require_sense(events: list[Event], stream: str, text: str) -> None:
    try:
        fold(events)
    except (NooutError, KeyError, ValueError, TypeError) as error:
        raise Refused(f"{stream} cannot be read without {text!r}", remedy="erase what people typed only") from error


def _event(event: Event, words: re.Pattern[str]) -> Event:
    return replace(event, data=_mapping(event.data, words), actor=words.sub(MARK, event.actor))


def _message(message: Message, words: re.Pattern[str]) -> Message:
    """Its key names whoever sent it; the event that took it in is written over in the same way."""
    return replace(
        message,
        key=words.sub(MARK, message.key),
        actor=words.sub(MARK, message.actor),
        data=_mapping(message.data, words),
    )


def _mapping(data: Mapping[str, Json], words: re.Pattern[str]) -> dict[str, Json]:
    return {key: _within(value, words) for key, value in data.items()}


def _within(value: Json, words: re.Pattern[str]) -> Json:
    if isinstance(value, str):
        return words.sub(MARK, value)
    if isinstance(value, Mapping):
        return _mapping(value, words)
    return [_within(each, words) for each in value] if isinstance(value, list | tuple) else value
