"""Progress out of task logs: rates of the last minute, the blackout at the end, nothing made up."""

from __future__ import annotations

from noout.adapters.pve.parse import task_from_upid, task_status
from noout.adapters.pve.task_log import migration_progress

MIB = 1024**2
UPID = "UPID:pve3:00001AE1:00049C3A:6B03876D:qmigrate:104:noout@pve!lab:"


def active(minute: int, second: int, mib: float, total: str = "8.0 GiB") -> str:
    return f"2026-11-23 00:{minute:02}:{second:02} migration active, transferred {mib} MiB of {total} VM-state, 9 MiB/s"


def test_nothing_yet() -> None:
    assert migration_progress(["2026-11-23 00:23:38 use dedicated network address"]) is None
    begun = migration_progress(["2026-11-23 00:23:39 starting migration of VM 103 to node 'pve3' (10.77.0.3)"])
    assert begun is not None and (begun.target, begun.transferred_bytes) == ("pve3", 0)


def test_one_line_has_no_rate() -> None:
    seen = migration_progress([active(0, 1, 100.0)])
    assert seen is not None
    assert (seen.transferred_bytes, seen.total_bytes, seen.rate_bytes_s) == (100 * MIB, 8 * 1024 * MIB, None)


def test_the_rate_is_of_the_last_minute() -> None:
    fast = [active(0, second, 100.0 * second) for second in range(60)]
    slow = [active(minute, second, 5900.0 + minute) for minute in range(1, 4) for second in (0, 30)]
    seen = migration_progress([*fast, *slow])
    assert seen is not None
    assert seen.rate_bytes_s is not None
    assert seen.rate_bytes_s == MIB / 60  # one MiB in the minute from 2:30 to 3:30


def test_more_sent_than_there_is_memory() -> None:
    """A guest that rewrites its memory has it sent more than once."""
    seen = migration_progress([active(0, 1, 9000.0)])
    assert seen is not None
    assert seen.total_bytes >= seen.transferred_bytes


def test_the_end() -> None:
    seen = migration_progress(
        [
            active(0, 1, 100.0),
            "2026-11-23 00:00:20 average migration speed: 272.8 MiB/s - downtime 25 ms",
            "2026-11-23 00:00:20 migration completed, transferred 3.1 MiB VM-state",
        ]
    )
    assert seen is not None
    assert seen.blackout_ms == 25
    assert seen.transferred_bytes == int(3.1 * MIB)


def test_a_task_that_ended_without_a_word_is_no_success() -> None:
    task = task_status({"upid": UPID, "node": "pve3", "type": "qmigrate", "id": "104", "status": "stopped"})
    assert task.ok is False
    assert task_from_upid(UPID).ok is None
