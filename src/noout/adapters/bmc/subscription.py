"""A BMC's subscription to its own events (Redfish EventService), and what the events it sends then mean.

BMCs have room for a handful of subscriptions and keep them over everybody's restarts: what an earlier life of noout
left behind at the same destination is ended before a new one is made.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from noout.adapters.bmc import parse
from noout.adapters.bmc.client import ROOT, RedfishClient
from noout.adapters.bmc.parse import Document, documents, link, links, table
from noout.domain.errors import Refused, UnknownOutcome
from noout.domain.hardware import LogEntry

SUBSCRIPTIONS_MAX = 50
RECORDS_MAX = 200  # of one event
UNTIMED = datetime(1970, 1, 1, tzinfo=UTC)  # of a record that does not say when; whoever keeps it knows better


async def subscribed(client: RedfishClient, destination: str, context: str, known: str) -> str:
    """See ``EventSource.subscribed``."""
    if known and _to(await client.get(known, missing_ok=True), destination):
        return known
    root = await client.get(f"{ROOT}/", missing_ok=True)
    service = await client.get(link(root, "EventService") or f"{ROOT}/EventService", missing_ok=True)
    place = link(service, "Subscriptions")
    if place is None or service.get("ServiceEnabled") is False:
        raise Refused(f"the BMC of {client.node} has no event service")
    for member in links((await client.get(place)).get("Members"))[:SUBSCRIPTIONS_MAX]:
        if _to(await client.get(member, missing_ok=True), destination):
            await client.effect("DELETE", member)
    body: dict[str, Any] = {"Destination": destination, "Protocol": "Redfish", "Context": context}
    offered = service.get("EventTypesForSubscription")
    kinds = [kind for kind in ("Alert", "StatusChange") if isinstance(offered, list) and kind in offered]
    made = ""
    try:
        made = await client.effect("POST", place, {**body, "EventTypes": kinds} if kinds else body)
    except Refused:
        if not kinds:
            raise
        made = await client.effect("POST", place, body)  # types are of the old way; some know only the new one
    if not made:
        raise UnknownOutcome(f"the BMC of {client.node} does not say where its subscription is")
    return made


def _to(subscription: Document, destination: str) -> bool:
    return subscription.get("Destination") == destination


def context_of(event: Any) -> str:
    """What the subscription was made with; some BMCs say it with each record only. "" where it is not said."""
    told = [table(event).get("Context"), *(each.get("Context") for each in documents(table(event).get("Events")))]
    return next((each for each in told if isinstance(each, str) and each), "")


def entries_of(event: Any) -> tuple[LogEntry, ...]:
    """The records of one event, as log entries. Their numbers begin anew with every boot of a BMC, so each is known
    by its time and its words as well."""
    rows = documents(table(event).get("Events"))[:RECORDS_MAX]
    timed = [row if parse.log_time(row) else {**row, "Created": UNTIMED.isoformat()} for row in map(_row, rows)]
    return tuple(replace(entry, id=f"event {entry.id}") for entry in parse.log_entries(timed))


def _row(record: Document) -> Document:
    """An event's record has other names for what a log entry says."""
    link_ = link(record, "OriginOfCondition") or ""
    return {
        "Id": str(record.get("EventId") or record.get("MemberId") or ""),
        "EventTimestamp": record.get("EventTimestamp"),
        "Message": record.get("Message"),
        "MessageId": record.get("MessageId"),
        "MessageArgs": record.get("MessageArgs"),
        "Severity": record.get("MessageSeverity") or record.get("Severity"),
        "@odata.id": link_,
    }
