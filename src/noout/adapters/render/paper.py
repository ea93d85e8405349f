"""The work order on paper, with its link as a QR code: a standalone file, or a page under a strict policy."""

from __future__ import annotations

import io
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

import segno
from markupsafe import Markup

from noout.adapters.render.standalone import style, template
from noout.domain.workorder import WorkOrder
from noout.tell.field import CATALOGUES, phrase

SERIAL_TAIL = 4


def printed(
    order: WorkOrder,
    language: str,
    *,
    link: tuple[str, datetime] | None = None,
    timezone: str = "UTC",
    standalone: bool = False,
) -> str:
    """HTML of one sheet of A4 or two. ``link``: its address and when it ends; None: without a QR code.

    Of the serial only its end is printed: who has found the paper still has to stand before the server.
    ``standalone``: the style is in it; else it wants ``/static/tokens.css`` and ``/static/workorder.css``.
    """

    def t(key: str, **fields: str | int) -> str:
        return phrase(key, **fields).told(language)

    place = order.location
    tail = place.serial[-SERIAL_TAIL:]
    words = CATALOGUES["en"]
    sections = [
        (
            t(f"section.{section}") if f"section.{section}" in words else section,
            [(*check.told(language), check.part) for check in checks],
        )
        for section, checks in groupby(order.checks, lambda check: check.section)
    ]
    return template("workorder.html").render(
        order=order, language=language, t=t, sections=sections, style=style("workorder.css") if standalone else None,
        place=[
            (t("page.room"), place.room), (t("page.rack"), place.rack), (t("page.unit"), place.unit),
            (t("page.tail"), f"…{tail}" if tail else ""),
        ],
        qr=Markup(qr_svg(link[0])) if link else "",
        until=f"{link[1].astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M} {timezone}" if link else "",
    )  # fmt: skip


def qr_svg(text: str) -> str:
    """A QR code as SVG, with the quiet zone that readers want, and no style of its own."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgclass=None, lineclass=None, omitsize=True, border=4
    )
    return out.getvalue().decode()


def qr_text(text: str) -> str:
    """The same for a terminal."""
    out = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out, compact=True)
    return out.getvalue()
