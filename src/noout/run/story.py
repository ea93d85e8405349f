"""The story, and the one loop that carries it. The loop never changes: upgrades, crashes and resumes are one path."""

from __future__ import annotations

from noout.ports import Engine
from noout.run.advance import advance
from noout.run.context import Context


async def run(engine: Engine, ctx: Context, maintenance: str) -> None:
    """One durable step after the other until the run is over; between two, the inbox."""

    while wait := await engine.step(lambda mid: advance(ctx, mid), maintenance):
        await engine.inbox(maintenance, wait.until)
