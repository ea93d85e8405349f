"""The public status page as files: for a host off the cluster, so that it stands when the cluster does not."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from pathlib import Path

from noout.app import agenda
from noout.codec import decode
from noout.domain.errors import Broken, Refused
from noout.tell.portal import LANGUAGES, Status
from noout.tell.say import Say
from noout.web.portal.pages import Portals, status_page

PROVIDER = "status.noout.invalid"  # calendars want a domain, and a file knows none
STYLES = {"tokens.css": ("noout.adapters.render", "style/tokens.css"), "portal.css": ("noout.web", "static/portal.css")}


async def export_status(portals: Portals, folder: Path) -> list[Path]:
    """The files written. Refused where the status page is off, Broken where they cannot be written."""
    found = await portals.document("status")
    if found is None:
        raise Refused("the status page is off", remedy='add "public" to tell.channels')
    status = decode(Status, found, what="status")
    made: dict[str, bytes] = {
        name: files(package).joinpath(path).read_bytes() for name, (package, path) in STYLES.items()
    }
    for language in LANGUAGES:
        say = Say(language, status.timezone)
        made[f"status.{language}.html"] = status_page(status, say, portals.now(), exported=True).encode()
        if "calendar" in status.ways:
            made[f"calendar.{language}.ics"] = agenda.public_calendar(status, PROVIDER, say)
        if "feed" in status.ways:
            made[f"feed.{language}.atom"] = agenda.public_feed(status, "", say)
    made["index.html"] = made[f"status.{LANGUAGES[0]}.html"]
    try:
        return await asyncio.to_thread(_write, folder, made)
    except OSError as error:
        raise Broken(f"{folder} cannot be written: {error.strerror}", remedy="choose another place") from None


def _write(folder: Path, made: dict[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in made]
