"""noout's lines in the description of a node: who works on it, where to look, and how far the journal was.

::

    <!-- noout begin -->
    **noout**: in maintenance, evacuate (ams1-pve3-1, begun by operator:anna): fan 2 stops and starts
    [where it stands](https://noout.example.net)
    <!-- noout run=ams1-pve3-1 seq=12 digest=4f...(64 hex digits) -->
    <!-- noout end -->

Proxmox VE shows a description as Markdown; the comments are not seen there. What stands around the lines is others'
and stays as it is, byte for byte but for empty lines next to them and at the end. ``seq`` and ``digest`` name an event
of the stream ``run``: a journal in which that event is missing, or has another digest, is older than the cluster, or
another one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BEGIN, END = "<!-- noout begin -->", "<!-- noout end -->"
CHARS_MAX = 65536  # of a description, in Proxmox VE
_OURS = re.compile(rf"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", re.DOTALL)
_KNOWN = re.compile(r"<!-- noout run=(\S+) seq=(\d+) digest=([0-9a-f]{64}) -->")


@dataclass(frozen=True, slots=True)
class Note:
    """``run``: the maintenance; ``seq`` and ``digest``: of an event of its journal, written before the note was."""

    run: str
    seq: int
    digest: str
    step: str = ""
    owner: str = ""
    reason: str = ""
    link: str = ""


def with_note(description: str, note: Note) -> str:
    """The description with this note at its end, in place of an older one. ValueError when it would be too long."""
    link = f"[where it stands]({note.link})\n" if note.link else ""
    lines = (
        f"{BEGIN}\n**noout**: in maintenance, {_plain(note.step)} ({note.run}, begun by {_plain(note.owner)}): "
        f"{_plain(note.reason)}\n{link}<!-- noout run={note.run} seq={note.seq} digest={note.digest} -->\n{END}\n"
    )
    others = without_note(description)
    found = f"{others}\n\n{lines}" if others else lines
    if len(found) > CHARS_MAX:
        raise ValueError(f"the description would have {len(found)} characters, more than {CHARS_MAX}")
    return found


def without_note(description: str) -> str:
    """What others wrote, without empty lines at its end."""
    ours = _OURS.search(description)
    if ours is None:
        return description.rstrip("\n")
    around = description[: ours.start()].rstrip("\n"), description[ours.end() :].strip("\n")
    return without_note("\n\n".join(each for each in around if each))


def read_note(description: str) -> Note | None:
    """The note in a description, by what machines need of it; None when there is none that can be read."""
    ours = _OURS.search(description)
    known = _KNOWN.search(ours[1]) if ours is not None else None
    return Note(known[1], int(known[2]), known[3]) if known is not None else None


def note_text(description: str) -> str:
    """What the note in a description tells people, as one line; "" without one."""
    ours = _OURS.search(description)
    return " ".join(re.sub(r"<!--.*?-->|[*]{2}", "", ours[1]).split()) if ours is not None else ""


def _plain(text: str) -> str:
    """One line that neither ends a comment nor begins one."""
    return " ".join(re.sub(r"[<>]", "", text).split())
