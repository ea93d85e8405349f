"""``noout workorder`` and ``noout checklists``: what technicians are asked, and what they brought back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from noout.app.checklists import write_checklists
from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.paper import qr_text, sheet, take_photos_out
from noout.cli.options import (
    ConfigOption,
    IdArgument,
    JsonOption,
    err,
    opened,
    operator,
    out,
    print_json,
    print_plain,
    wait,
)
from noout.codec import encode
from noout.domain.errors import Broken, Refused, UsageError
from noout.domain.maintenance import Maintenance
from noout.domain.workorder import WorkOrder


def work_order_of(state: Maintenance) -> WorkOrder:
    if state.work_order is None:
        raise Refused(f"{state.id} has no work order yet", remedy="it is issued once the node is empty of guests")
    return state.work_order


def workorder(
    maintenance: IdArgument,
    link: Annotated[bool, typer.Option("--link", help="Issue a single-use link for the technician's phone.")] = False,
    qr: Annotated[bool, typer.Option("--qr", help="Issue a link and show it as a QR code.")] = False,
    paper: Annotated[
        Path | None,
        typer.Option("--print", metavar="FILE", help="Issue a link and write the work order with its QR code as HTML."),
    ] = None,
    language: Annotated[str, typer.Option("--lang", metavar="en|nl|es", help="Of the printed work order.")] = "",
    links: Annotated[bool, typer.Option("--links", help="The links that were issued so far.")] = False,
    revoke: Annotated[
        str, typer.Option("--revoke", metavar="LINK", help="End a link at once (as --links names it; all: every link).")
    ] = "",
    photos: Annotated[
        Path | None, typer.Option("--photos", metavar="FOLDER", help="Write the technicians' photos there.")
    ] = None,
    erase_photo: Annotated[
        str, typer.Option("--erase-photo", metavar="DIGEST", help="Erase one photo; the journal keeps its digest.")
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The work order of a maintenance: where to go, what to do; links to it, on paper, and the photos."""
    if language not in ("", "en", "nl", "es"):
        raise UsageError(f"--lang {language} is not known", remedy="en, nl or es")

    async def work() -> None:
        async with opened(config) as found:
            maintenances = Maintenances(found)
            state = await maintenances.get(maintenance)
            if links:
                await _show_links(found, maintenances, maintenance)
            elif revoke:
                await _revoke(maintenances, maintenance, revoke)
            elif photos is not None:
                written = await take_photos_out(found, state, photos)
                out.print(f"{len(written)} of {len(state.photos)} photos are in {photos}", markup=False)
            elif erase_photo:
                await _erase(found, state, erase_photo)
            elif link or qr or paper is not None:
                order = work_order_of(state)
                url, expires = await _issue(found, maintenances, maintenance)
                if paper is not None:
                    _write(paper, sheet(found, order, (url, expires), language))
                    out.print(f"{paper}: {order.number} with its QR code; print it, then delete the file", markup=False)
                if qr:
                    print_plain([qr_text(url)])
                if link or qr:
                    print_plain([url])
                err.print(
                    f"opens on one device, until {expires:%Y-%m-%d %H:%M} UTC, while noout serve or noout maintain runs"
                )
            elif as_json:
                order = work_order_of(state)
                print_json({"format": "noout.workorder", "version": 1, "work_order": encode(order)})
            else:
                _print(work_order_of(state))

    wait(work())


async def _issue(found: Installation, maintenances: Maintenances, maintenance: str) -> tuple[str, datetime]:
    token, expires = await maintenances.field_work().make_link(maintenance, "technician")
    base = found.settings.serve.base_url or f"http://{found.settings.serve.listen}"
    return f"{base.rstrip('/')}/w/{token}", expires


async def _show_links(found: Installation, maintenances: Maintenances, maintenance: str) -> None:
    issued = await maintenances.field_work().links(maintenance)
    now = found.clock.now()
    for each in issued:
        how = "revoked" if each.revoked_at else "good" if each.good(now) else "over"
        opened_at = f"opened {each.opened_at:%m-%d %H:%M}" if each.opened_at else "never opened"
        out.print(
            f"{each.id}  {each.technician}  {how}, made {each.made_at:%m-%d %H:%M}, {opened_at}, until "
            f"{each.expires:%m-%d %H:%M} UTC",
            markup=False,
        )
    if not issued:
        out.print("no link was issued")


async def _revoke(maintenances: Maintenances, maintenance: str, which: str) -> None:
    field = maintenances.field_work()
    wanted = [each.id for each in await field.links(maintenance)] if which == "all" else [which]
    new = [each for each in wanted if await field.revoke_link(maintenance, each, operator())]
    out.print(f"{maintenance}: {len(new)} link{'s' if len(new) != 1 else ''} revoked", markup=False)


async def _erase(found: Installation, state: Maintenance, which: str) -> None:
    known = [each.digest for each in state.photos if each.digest.startswith(which)]
    if len(known) != 1 or len(which) < 8:
        raise UsageError(f"{state.id} has no photo {which}", remedy="give its digest, or 8 characters of it at least")
    if not await found.photos.erase(state.id, known[0]):
        raise Refused(f"the photo {known[0][:12]} is not there any more", remedy="nothing is left to erase")
    out.print(f"{state.id}: the photo {known[0][:12]} is erased; backups made before still have it", markup=False)


def _write(path: Path, page: bytes) -> None:
    """Readable by its owner alone: whoever has the QR code has the link."""
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_bytes(page)
    except OSError as error:
        raise Broken(f"{path} cannot be written: {error.strerror}", remedy="choose another file") from None


def _print(order: WorkOrder) -> None:
    out.print(f"[bold]{order.number}[/]  {order.node}  {escape(order.reason)}")
    place = order.location
    parts = (("room", place.room), ("rack", place.rack), ("unit", place.unit), ("serial", place.serial))
    known = [f"{what} {value}" for what, value in parts if value]
    out.print(escape("  ".join(known) or f"where {order.node.name} is, the configuration does not say"))
    section = ""
    for check in order.checks:
        if check.section != section:
            section = check.section
            out.print(f"[dim]{escape(section)}[/]")
        out.print(f"  ☐ {escape(check.text)}")


def checklists(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write them; begun if it is not there.")],
) -> None:
    """Write the checklists that noout brings along, to be edited; `[workorders] checklists` names the folder then."""
    written = write_checklists(folder)
    for path in written:
        out.print(str(path), markup=False)
    if not written:
        out.print(f"{folder} has them all already; nothing was written over", markup=False)
