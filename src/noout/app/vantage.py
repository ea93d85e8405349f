"""What a vantage point is made of: a prober and a clock, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from noout.adapters.clock import SystemClock
from noout.adapters.probe.direct import DirectProber
from noout.adapters.probe.limits import Limits
from noout.ports import Clock, Prober


@asynccontextmanager
async def vantage_point(
    per_s: int, per_host_per_s: int, contact: str, only: Sequence[str]
) -> AsyncIterator[tuple[Prober, Clock]]:
    """``only``: networks; an address outside of them is not asked, whoever wishes it."""
    clock = SystemClock()
    prober = DirectProber(clock, Limits(per_s, per_host_per_s), contact=contact, only=only)
    try:
        yield prober, clock
    finally:
        await prober.close()
