"""The BMC's event log (SEL) as a Redfish LogService, paged as real BMCs page it."""

from __future__ import annotations

from typing import Any

from noout.lab.wire.redfish.shape import Document, link, stamp
from noout.lab.world.model import LogRecord

PAGE = 50  # entries a page when the client asks for no number; more follow behind Members@odata.nextLink


def log_service(owner: str, now: float) -> Document:
    """``owner``: the System or the Manager that shows the log."""
    base = f"{owner}/LogServices/SEL"
    return {
        "@odata.type": "#LogService.v1_3_0.LogService",
        "@odata.id": base,
        "Id": "SEL",
        "Name": "System Event Log",
        "LogEntryType": "SEL",
        "OverWritePolicy": "WrapsWhenFull",
        "DateTime": stamp(now),
        "DateTimeLocalOffset": "+00:00",
        "ServiceEnabled": True,
        "Entries": link(f"{base}/Entries"),
    }


def log_entry(owner: str, record: LogRecord) -> Document:
    return {
        "@odata.type": "#LogEntry.v1_11_0.LogEntry",
        "@odata.id": f"{owner}/LogServices/SEL/Entries/{record.id}",
        "Id": str(record.id),
        "Name": f"Log Entry {record.id}",
        "EntryType": "SEL",
        "Created": stamp(record.at),
        "Severity": record.severity,
        "Message": record.message,
        "MessageId": record.message_id,
        "MessageArgs": [record.sensor] if record.sensor else [],
    }


def log_entries(owner: str, records: list[Any], skip: int = 0, top: int | None = None) -> Document:
    """Newest first, as most BMCs answer; ``skip`` and ``top`` count from the newest."""
    newest_first = sorted(records, key=lambda record: (record.at, record.id), reverse=True)
    size = PAGE if top is None else top
    page = newest_first[skip : skip + size]
    base = f"{owner}/LogServices/SEL/Entries"
    document: Document = {
        "@odata.type": "#LogEntryCollection.LogEntryCollection",
        "@odata.id": base,
        "Name": "Log Entry Collection",
        "Members@odata.count": len(records),
        "Members": [log_entry(owner, record) for record in page],
    }
    if skip + size < len(records) and size > 0:
        more = f"{base}?$skip={skip + size}" + (f"&$top={top}" if top is not None else "")
        document["Members@odata.nextLink"] = more
    return document
