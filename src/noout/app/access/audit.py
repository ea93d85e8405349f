"""The record of who came in and who was given a way in: a hash chain of its own, like a maintenance's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from noout.domain.errors import Superseded
from noout.domain.journal import Event
from noout.domain.maintenance import Json
from noout.ports import Journal

STREAM = "access"
SIGNED_IN, NOT_SIGNED_IN, SIGNED_OUT = "signed.in", "signed.not-in", "signed.out"
TOKEN_MADE, TOKEN_REVOKED = "token.made", "token.revoked"


async def write(journal: Journal, kind: str, data: Mapping[str, Json], actor: str) -> None:
    """Several processes write here: each tries until it is the next."""
    while True:
        events = await journal.read(STREAM)
        try:
            await journal.append(STREAM, len(events), kind, data, actor)
        except Superseded:
            continue
        return


async def read(journal: Journal) -> Sequence[Event]:
    return await journal.read(STREAM)
