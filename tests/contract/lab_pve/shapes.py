"""Comparing a recorded answer with the lab's: same keys and kinds, whatever the values."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

# What tells one row of a list from another; rows are compared with the row of the same name, else of the same kind.
IDENTITIES = ("id", "vmid", "sid", "rule", "key", "volid", "name", "iface", "poolid", "storage", "pool")
# Objects whose keys are names of things (tasks' uids, nodes, hosts ...): their values are compared with each other.
MAPS = ("*.results", "*.services", "*.standbys", "*.always_on_modules", "*.nics", "*.service_status")


def differences(recorded: Any, answered: Any, where: str = "", allowed: tuple[str, ...] = ()) -> list[str]:
    """Paths where the lab's answer lacks a recorded key, or has another kind of value there."""
    found = _differences(recorded, answered, where)
    return [d for d in found if not any(fnmatch.fnmatchcase(d.split(":")[0], pattern) for pattern in allowed)]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return type(value).__name__


def _differences(recorded: Any, answered: Any, where: str) -> list[str]:
    if recorded is None or answered is None:
        if recorded is None and where:
            return []
        return [] if recorded is answered else [f"{where}: {_kind(recorded)} recorded, {_kind(answered)} answered"]
    if _kind(recorded) != _kind(answered):
        return [f"{where}: {_kind(recorded)} recorded, {_kind(answered)} answered"]
    if isinstance(recorded, dict):
        return _of_objects(recorded, answered, where)
    if isinstance(recorded, list):
        return _of_lists(recorded, answered, where)
    return []


def _of_objects(recorded: dict[str, Any], answered: dict[str, Any], where: str) -> list[str]:
    if any(fnmatch.fnmatchcase(where, pattern) for pattern in MAPS):
        pairs = zip(recorded.values(), answered.values(), strict=False)
        return [d for one, other in pairs for d in _differences(one, other, f"{where}.?")]
    found = [f"{where}.{key}: missing" for key in recorded if key not in answered]
    for key in recorded.keys() & answered.keys():
        found += _differences(recorded[key], answered[key], f"{where}.{key}")
    return sorted(found)


def _of_lists(recorded: list[Any], answered: list[Any], where: str) -> list[str]:
    if recorded and not answered:
        return [f"{where}: recorded rows, none answered"]
    found: list[str] = []
    for row in recorded:
        found += _differences(row, _partner(row, answered), f"{where}[]")
    return sorted(set(found))


def _partner(row: Any, rows: list[Any]) -> Any:
    if not isinstance(row, dict):
        return rows[0]
    for identity in IDENTITIES if "upid" not in row else ():  # a task's id is that of its guest
        for other in rows:
            if identity in row and isinstance(other, dict) and other.get(identity) == row[identity]:
                return other
    like = [o for o in rows if isinstance(o, dict) and o.get("type") == row.get("type")]
    # Rows of one kind may have different keys: a task has a token's name only if a token began it.
    complete = [o for o in [*like, *rows] if isinstance(o, dict) and row.keys() <= o.keys()]
    return (complete or like or rows)[0]


# --- logs -----------------------------------------------------------------------------------------------------

_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")


def pattern(line: str) -> str:
    """A log line without its time, sizes, numbers, ids and volumes."""
    line = _STAMP.sub("<time> ", line)
    line = re.sub(r"\d+(\.\d+)? ([KMGT]i?B)(/s)?", r"<size>\3", line)
    line = re.sub(r"'[\w-]+:[^']*'", "<volume>", line)
    line = re.sub(r"\(\d+\.\d+\.\d+\.\d+\)", "<address>", line)
    return re.sub(r"\d+", "<n>", line)


def missing_lines(recorded: list[str], answered: list[str], skipped: tuple[str, ...]) -> list[str]:
    """Recorded line patterns that the lab's log does not have in the same order; ``skipped`` are globs of lines."""
    wanted = [p for p in map(pattern, recorded) if not any(fnmatch.fnmatchcase(p, s) for s in skipped)]
    there = [pattern(line) for line in answered]
    missing, at = [], 0
    for line in wanted:
        try:
            at = there.index(line, max(at - 1, 0) if line == (there[at - 1] if at else None) else at) + 1
        except ValueError:
            missing.append(line)
    return missing
