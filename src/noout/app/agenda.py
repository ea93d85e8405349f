"""Calendars and feeds from a portal's document: the messages that were released, in the reader's language."""

from __future__ import annotations

from datetime import UTC, datetime

from noout.adapters.notify.calendar import Entry, subscription
from noout.adapters.notify.feed import atom
from noout.domain.notices import Class, Line, Notice, Text
from noout.tell.portal import Portal, Public, Status
from noout.tell.say import Say

SUBSCRIPTIONS = {"calendar.ics": "calendar", "feed.atom": "feed"}  # the way that each comes by
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)  # what a feed without entries was updated at


def calendar(portal: Portal, provider: str, language: str) -> bytes:
    """Each maintenance once, by its last message about when it is."""
    last: dict[tuple[str, int], Notice] = {}
    for each in portal.messages:
        if each.kind in (Class.PLANNED, Class.CHANGED, Class.CALLED_OFF, Class.DONE):
            last[each.reference, each.round] = each
    entries = [Entry(each, each.text_for(language, portal.timezone)) for each in last.values()]
    return subscription(entries, provider, f"{portal.provider}: {portal.name}")


def feed(portal: Portal, url: str, language: str) -> bytes:
    """Every message, the newest first."""
    entries = [Entry(each, each.text_for(language, portal.timezone)) for each in portal.messages]
    title = f"{portal.provider}: {portal.name}"
    return atom(entries, title=title, author=portal.provider, url=url, id=f"urn:noout:{portal.customer}", updated=BEGAN)


def public_calendar(status: Status, provider: str, say: Say) -> bytes:
    return subscription([_entry(each, status, say) for each in status.works], provider, status.provider)


def public_feed(status: Status, url: str, say: Say) -> bytes:
    entries = [_entry(each, status, say) for each in status.works]
    return atom(entries, title=status.provider, author=status.provider, url=url, id="urn:noout:status", updated=BEGAN)


def _entry(work: Public, status: Status, say: Say) -> Entry:
    kind = Class.PLANNED if work.planned else Class.CALLED_OFF if work.called_off else Class.DONE
    subject = say(f"status.fault.{work.fault}")
    state = say(f"portal.state.{'repaired' if work.repaired else kind.value}")
    when = Line(
        say("notice.when"), f"{say.weekday(work.since)}, {say.clocks(work.since, work.until)} ({say.zone_name})"
    )
    text = Text(say.language, status.timezone, f"{subject}: {state}", subject, (when,), ())
    notice = Notice(
        f"{work.reference}-{kind.value}", "status", kind, work.reference, work.reference, 0 if work.planned else 1,
        work.since if work.planned else work.until, work.since, work.until, (), (text,),
    )  # fmt: skip
    return Entry(notice, text)
