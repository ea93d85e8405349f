"""QEMU calls a migration active for as long as its link is cut; that nothing moves is timed here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from noout.domain.cluster import MigrationProgress
from noout.run import look

START = datetime(2030, 1, 1, tzinfo=UTC)


def stands_still(*looks: tuple[float, int | None]) -> list[bool]:
    """What the rule says at each look: (seconds, bytes transferred; None where the log says nothing yet)."""
    ctx: Any = SimpleNamespace(sightings={}, stall_s=60.0)
    said = []
    for seconds, transferred in looks:
        seen: Any = SimpleNamespace(at=START + timedelta(seconds=seconds))
        found = None if transferred is None else MigrationProgress(transferred, 1 << 30)
        said.append(look._stands_still(ctx, "UPID:1", found, seen))
    return said


def test_bytes_that_stand_still_for_the_limit_are_a_stall_and_any_byte_more_is_not() -> None:
    assert stands_still((0, 100), (59, 100), (60, 100), (61, 101), (120, 101), (121, 101)) == [
        False, False, True, False, False, True,
    ]  # fmt: skip


def test_before_the_log_says_its_first_figure_nothing_stands_still() -> None:
    assert stands_still((0, None), (59, None), (60, None), (61, 5), (120, 5), (121, 5)) == [False] * 5 + [True]
