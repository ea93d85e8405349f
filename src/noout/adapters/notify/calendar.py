"""Calendars: the maintenance notification that networks' machines read (BCOP MAINTNOTE), and one to subscribe to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from icalendar import Calendar, Event

from noout.domain.notices import Class, Impact, Notice, Text

_STATUS = {
    Class.PLANNED: "CONFIRMED",
    Class.CHANGED: "RE-SCHEDULED",
    Class.CALLED_OFF: "CANCELLED",
}
_WORST = (Impact.OUTAGE, Impact.DEGRADED, Impact.REDUCED_REDUNDANCY)


@dataclass(frozen=True, slots=True)
class Entry:
    """One maintenance as its customer knows it: the last message about it, in the reader's words."""

    notice: Notice
    text: Text


def maintnote(entry: Entry, provider: str) -> bytes:
    """One notification. Its SEQUENCE is the message's number; each service is an object with an impact of its own.

    ``provider``: a domain.
    """
    calendar = _calendar("CANCEL" if entry.notice.kind is Class.CALLED_OFF else "PUBLISH")
    event = _event(entry, provider)
    impacts = [each.impact for each in entry.notice.services] or [Impact.REDUCED_REDUNDANCY]
    event.add("x-maintnote-provider", provider)
    event.add("x-maintnote-account", entry.notice.customer)
    event.add("x-maintnote-maintenance-id", entry.notice.reference)
    for each in entry.notice.services:
        event.add("x-maintnote-object-id", each.service, {"X-MAINTNOTE-OBJECT-IMPACT": each.impact.value})
    event.add("x-maintnote-impact", min(impacts, key=_WORST.index).value)
    event.add("x-maintnote-status", _STATUS.get(entry.notice.kind, "COMPLETED"))
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def subscription(entries: Sequence[Entry], provider: str, name: str) -> bytes:
    """All of a customer's maintenances; what moved keeps its place in the reader's agenda by its UID."""
    calendar = _calendar("PUBLISH")
    calendar.add("x-wr-calname", name)
    for entry in entries:
        calendar.add_component(_event(entry, provider))
    return bytes(calendar.to_ical())


def _calendar(method: str) -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", "-//noout//maintenance//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    return calendar


def _event(entry: Entry, provider: str) -> Event:
    notice = entry.notice
    event = Event()
    event.add("uid", f"{notice.reference}.{notice.round}.{notice.customer}@{provider}")
    event.add("dtstamp", notice.made_at)
    event.add("dtstart", notice.since)
    event.add("dtend", notice.until)
    event.add("sequence", notice.number)
    event.add("summary", entry.text.subject)
    told = [entry.text.lede, *(f"{line.label}: {line.text}" for line in entry.text.lines)]
    event.add("description", "\n".join(told))
    event.add("status", "CANCELLED" if notice.kind is Class.CALLED_OFF else "CONFIRMED")
    event.add("transp", "TRANSPARENT")  # it blocks nobody's agenda
    return event
