"""Work orders on paper, and what technicians brought back from the rack: for commands and pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from noout.adapters.render.paper import printed, qr_text
from noout.app.compose import Installation
from noout.domain.errors import Broken
from noout.domain.maintenance import Maintenance
from noout.domain.workorder import Photo, WorkOrder

__all__ = ["printed", "qr_text", "sheet", "take_photos_out"]


def sheet(found: Installation, order: WorkOrder, link: tuple[str, datetime] | None, language: str = "") -> bytes:
    """The printed work order as one HTML file."""
    zone = found.settings.clusters[order.node.cluster].timezone
    language = language or found.settings.workorders.language
    return printed(order, language, link=link, timezone=zone, standalone=True).encode()


async def take_photos_out(found: Installation, m: Maintenance, folder: Path) -> list[Path]:
    """Write the photos of a maintenance into a folder, named by check and digest; those written.

    What was erased, or forgotten, is left out. Broken when the folder cannot be written.
    """
    kept = [(each, await found.photos.find(m.id, each.digest)) for each in m.photos]
    return await asyncio.to_thread(_write, folder, [(each, jpeg) for each, jpeg in kept if jpeg is not None])


def _write(folder: Path, photos: Sequence[tuple[Photo, bytes]]) -> list[Path]:
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each, jpeg in photos:
            path = folder / f"{each.at:%Y%m%d-%H%M%S}-{each.check}-{each.digest[:12]}.jpg"
            path.write_bytes(jpeg)
            written.append(path)
    except OSError as error:
        raise Broken(f"{folder} cannot be written: {error.strerror}", remedy="choose another folder") from None
    return written
