"""The record of who came in, who was given a way in, and what people decided beside the maintenances, whose journals
hold what was decided there: a hash chain of its own, like theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from noout.domain.errors import Superseded
from noout.domain.journal import Event
from noout.domain.maintenance import Json
from noout.ports import Journal

STREAM = "access"
SIGNED_IN, NOT_SIGNED_IN, SIGNED_OUT = "signed.in", "signed.not-in", "signed.out"
TOKEN_MADE, TOKEN_REVOKED = "token.made", "token.revoked"
SNOOZED, DECLINED, RELEASED, STOPPED, ALLOWED = "snoozed", "declined", "released", "stopped", "allowed"


async def write(journal: Journal, kind: str, data: Mapping[str, Json], actor: str) -> None:
    """Several processes write here: each tries until it is the next."""
    while True:
        events = await journal.read(STREAM)
        try:
            await journal.append(STREAM, len(events), kind, data, actor)
        except Superseded:
            continue
        return


async def decided(journal: Journal, kind: str, actor: str, address: str, about: str = "", reason: str = "") -> None:
    """``about``: a node, or what was released; "" for the whole installation."""
    told = {"about": about, "reason": reason, "from": address}
    await write(journal, kind, {key: value for key, value in told.items() if value}, actor)


async def read(journal: Journal) -> Sequence[Event]:
    return await journal.read(STREAM)
