"""A feed (Atom, RFC 4287) of the messages that a customer may read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from xml.etree import ElementTree

from noout.adapters.notify.calendar import Entry

_ATOM = "http://www.w3.org/2005/Atom"


def atom(entries: Sequence[Entry], *, title: str, author: str, url: str, id: str, updated: datetime) -> bytes:
    """``url``: where all of it can be read, "" where nowhere; ``id``: a URN that never changes."""
    ElementTree.register_namespace("", _ATOM)
    feed = ElementTree.Element(f"{{{_ATOM}}}feed")
    _add(feed, "id", id)
    _add(feed, "title", title)
    _add(feed, "updated", max([updated, *(each.notice.made_at for each in entries)]).isoformat())
    _add(_add(feed, "author"), "name", author)
    if url:
        ElementTree.SubElement(feed, f"{{{_ATOM}}}link", {"href": url})
    for each in sorted(entries, key=lambda entry: entry.notice.made_at, reverse=True):
        entry = _add(feed, "entry")
        entry.set("{http://www.w3.org/XML/1998/namespace}lang", each.text.language)
        _add(entry, "id", f"{id}:{each.notice.id}")
        _add(entry, "title", each.text.subject)
        _add(entry, "updated", each.notice.made_at.isoformat())
        _add(entry, "summary", each.text.lede)
        lines = [f"{line.label}: {line.text}" for line in each.text.lines]
        _add(entry, "content", "\n".join(lines)).set("type", "text")
    body = ElementTree.tostring(feed, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}'.encode()


def _add(parent: ElementTree.Element, name: str, text: str = "") -> ElementTree.Element:
    made = ElementTree.SubElement(parent, f"{{{_ATOM}}}{name}")
    made.text = text or None
    return made
