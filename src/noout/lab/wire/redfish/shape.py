"""Paths and small shapes that every Redfish document uses."""

from __future__ import annotations

import datetime as dt
from typing import Any

Document = dict[str, Any]
ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/1"
CHASSIS = f"{ROOT}/Chassis/1"
MANAGER = f"{ROOT}/Managers/1"


def stamp(at: float) -> str:
    """Redfish's date-time, whole seconds."""
    return dt.datetime.fromtimestamp(int(at), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def link(path: str) -> Document:
    return {"@odata.id": path}


def collection(path: str, kind: str, name: str, members: list[Document]) -> Document:
    return {
        "@odata.type": f"#{kind}.{kind}",
        "@odata.id": path,
        "Name": name,
        "Members@odata.count": len(members),
        "Members": members,
    }
