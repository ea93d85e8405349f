"""Guests that a new plan adds to those whom a maintenance touches: probed and told of as the others are."""

from __future__ import annotations

from noout.codec import encode
from noout.domain.cluster import ClusterState
from noout.domain.journal import Kind
from noout.domain.maintenance import Plan
from noout.run.context import Context
from noout.run.record import Record
from noout.run.touched import with_newcomers


async def note_newcomers(ctx: Context, record: Record, state: ClusterState, plan: Plan) -> None:
    """Written down with the addresses at which they are asked; nothing where nobody is new."""
    guests = with_newcomers(record.m, state, plan)
    if guests is None:
        return
    addressed, told = await ctx.addressed(state, guests)
    await record.write(Kind.FACT, {"name": "guests", "value": [encode(guest) for guest in addressed]})
    if told is not None:
        await record.write(Kind.FACT, {"name": "own-addresses", "value": told})
