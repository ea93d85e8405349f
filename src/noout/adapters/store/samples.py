"""Samples in the database, as packed blocks (``witness.packing``).

What is added at once is one block of many guests. Every ten minutes or so these become one block for each guest, which
is what a report reads: a day of one service asked each second is then some tens of kilobytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from noout.adapters.store.tables import sample_blocks
from noout.domain.cluster import GuestId
from noout.domain.impact import Sample
from noout.witness.packing import pack, unpack

MIXED = ""  # in place of a guest: several are in it
MERGED_AT = 120  # so many mixed blocks become one for each guest

_blocks = sample_blocks.c


def add(connection: Connection, maintenance: str, samples: Sequence[Sample]) -> None:
    if not samples:
        return
    _insert(connection, maintenance, MIXED, samples)
    mixed = (_blocks.maintenance == maintenance) & (_blocks.guest == MIXED)
    count = connection.execute(select(func.count()).select_from(sample_blocks).where(mixed)).scalar_one()
    if count >= MERGED_AT:
        rows = connection.execute(select(_blocks.number, _blocks.packed).where(mixed).order_by(_blocks.number)).all()
        of: dict[GuestId, list[Sample]] = {}
        for row in rows:
            for sample in unpack(row.packed):
                of.setdefault(sample.guest, []).append(sample)
        for guest, each in of.items():
            _insert(connection, maintenance, str(guest), each)
        connection.execute(delete(sample_blocks).where(mixed & (_blocks.number <= rows[-1].number)))


def _insert(connection: Connection, maintenance: str, guest: str, samples: Sequence[Sample]) -> None:
    until_s = max(sample.at for sample in samples).timestamp()
    row = {"maintenance": maintenance, "guest": guest, "until_s": until_s, "packed": pack(samples)}
    connection.execute(insert(sample_blocks), row)


def read(
    connection: Connection, maintenance: str, guest: GuestId | None, since: datetime | None = None
) -> list[Sample]:
    """In the order of time; those of one instant in the order in which they were added."""
    query = select(_blocks.packed).where(_blocks.maintenance == maintenance)
    if since is not None:
        query = query.where(_blocks.until_s > since.timestamp())
    if guest is not None:
        query = query.where(_blocks.guest.in_([MIXED, str(guest)]))
    found = [
        sample
        for row in connection.execute(query.order_by(_blocks.guest == MIXED, _blocks.number))  # the merged are older
        for sample in unpack(row.packed)
        if guest in (None, sample.guest) and (since is None or sample.at > since)
    ]
    return sorted(found, key=lambda sample: sample.at)


def forget(connection: Connection, before: datetime) -> None:
    """Of every maintenance whose last sample is older than ``before``, all."""
    old = (
        select(_blocks.maintenance).group_by(_blocks.maintenance).having(func.max(_blocks.until_s) < before.timestamp())
    )
    connection.execute(delete(sample_blocks).where(_blocks.maintenance.in_(old)))
