"""The heads of the journal's chains as text to be kept elsewhere: what was written until then cannot be changed unseen.

::

    # noout journal heads, 2026-11-23T06:00:00+00:00
    ams1-pve3-1 203 4f...(64 hex digits)
    standstill 2 9c...
    # end of 2 heads

What stands around these lines (a mail's headers, the heads of another day) is others'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from noout.domain.journal import Event

_FIRST = re.compile(r"# noout journal heads, (\S+)")
_LINE = re.compile(r"(\S+) (\d+) ([0-9a-f]{64})")
_LAST = re.compile(r"# end of (\d+) heads?")


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of a stream as it was ``at`` that time."""

    stream: str
    seq: int
    digest: str
    at: datetime


def write_heads(heads: Sequence[Head], at: datetime) -> str:
    """Streams without white space only, as all of noout's are."""
    lines = "".join(f"{each.stream} {each.seq} {each.digest}\n" for each in heads)
    return f"# noout journal heads, {at.isoformat()}\n{lines}# end of {len(heads)} head{'s'[: len(heads) != 1]}\n"


def read_heads(text: str) -> list[Head]:
    """The heads of every day that the text holds. ValueError, with a sentence, for none or for part of a day's."""
    found: list[Head] = []
    at: datetime | None = None
    counted = 0
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if first := _FIRST.fullmatch(line):
            if at is not None:
                raise ValueError(f"line {number}: the heads before it have no end")
            at, counted = datetime.fromisoformat(first[1]), 0
        elif at is None:
            continue
        elif last := _LAST.fullmatch(line):
            if int(last[1]) != counted:
                raise ValueError(f"line {number}: {counted} heads stand there, not {last[1]}")
            at = None
        elif each := _LINE.fullmatch(line):
            found.append(Head(each[1], int(each[2]), each[3], at))
            counted += 1
        else:
            raise ValueError(f"line {number} is no head: {line[:60]!r}")
    if at is not None:
        raise ValueError("it breaks off: the last heads have no end")
    if not found:
        raise ValueError("there are no heads of a noout journal in it")
    return found


def head_error(head: Head, events: Iterable[Event]) -> str | None:
    """None while the published head lies on the chain of these events (its stream's), else a sentence."""
    day = f"as published of {head.at:%Y-%m-%d %H:%M} UTC"
    known = {event.seq: event.digest for event in events}
    if not known:
        return f"{head.stream} is gone: it had {head.seq} events {day}"
    if head.seq not in known:
        return f"{head.stream} was cut short: it had {head.seq} events {day}, and has {max(known)}"
    if known[head.seq] != head.digest:
        return f"{head.stream} was written anew: its event {head.seq} is not the one {day}"
    return None
