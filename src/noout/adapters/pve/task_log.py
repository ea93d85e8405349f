"""How far a migration is, read from its task's log: PVE logs about one ``migration active`` line a second."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from noout.adapters.pve.parse import rows, whole
from noout.domain.cluster import MigrationProgress

_UNIT = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_AMOUNT = r"([\d.]+) (B|[KMGT]iB)"
_STAMP = r"^(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) "
_ACTIVE = re.compile(_STAMP + rf"migration active, transferred {_AMOUNT} of {_AMOUNT} VM-state")
_DOWNTIME = re.compile(r"average migration speed: .* - downtime (?P<ms>\d+) ms")
_COMPLETED = re.compile(rf"migration completed, transferred {_AMOUNT} VM-state")
_TARGET = re.compile(r"starting migration of (?:VM|CT) \d+ to node '(?P<node>[^']+)'")
_OVER = re.compile(r"^TASK (?:OK|ERROR|WARNINGS)\b")
RATE_OVER = timedelta(seconds=60)


def log_lines(data: Any) -> list[str]:
    """``data`` of ``/nodes/N/tasks/UPID/log``, in order."""
    return [str(row.get("t") or "") for row in sorted(rows(data), key=lambda row: whole(row.get("n")))]


def migration_target(line: str) -> str:
    """The name of the node to which a migration goes, by the line that says it; "" for any other line."""
    found = _TARGET.search(line)
    return found["node"] if found else ""


def migration_progress(lines: Iterable[str]) -> MigrationProgress | None:
    """The latest figures and the target, None before either is told. Both amounts are 0 before the first figure.

    ``rate_bytes_s`` is bytes over seconds of the last minute's lines; PVE's own rate jumps and its "average
    migration speed" is configured RAM over time, not bytes sent. PVE logs nothing while a migration stands still:
    figures that stay the same are the only sign.
    """
    seen: list[tuple[datetime, int, int]] = []
    blackout_ms: int | None = None
    completed: int | None = None
    target, over = "", False
    for line in lines:
        if goes := migration_target(line):
            target = goes
        elif found := _ACTIVE.match(line):
            at = datetime.fromisoformat(found["at"])  # the node's local time: only differences are used
            seen.append((at, _bytes(found[2], found[3]), _bytes(found[4], found[5])))
        elif found := _DOWNTIME.search(line):
            blackout_ms = int(found["ms"])
        elif found := _COMPLETED.search(line):
            completed = _bytes(found[1], found[2])
        elif _OVER.match(line):
            over = True
    if not (seen or target) and blackout_ms is None and completed is None:
        return None
    total = seen[-1][2] if seen else (completed or 0)
    transferred = completed if completed is not None else (seen[-1][1] if seen else 0)
    return MigrationProgress(transferred, max(total, transferred), _rate(seen), blackout_ms, target, over)


def _rate(seen: Sequence[tuple[datetime, int, int]]) -> float | None:
    if not seen:
        return None
    end, sent, _ = seen[-1]
    start, before, _ = next(each for each in seen if each[0] >= end - RATE_OVER)
    seconds = (end - start).total_seconds()
    return (sent - before) / seconds if seconds > 0 else None


def _bytes(amount: str, unit: str) -> int:
    return int(float(amount) * _UNIT[unit])
