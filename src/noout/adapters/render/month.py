"""A customer's month as a page, in print and as data."""

from __future__ import annotations

import json
from typing import Any

from noout import codec
from noout.adapters.render.pdf import typeset
from noout.adapters.render.standalone import groups, style, template
from noout.tell.month import VERSION, Month

FORMAT = "noout.month"


def document(month: Month) -> dict[str, Any]:
    """``{"format": "noout.month", "version": 1, "month": {...}}``."""
    return {"format": FORMAT, "version": VERSION, "month": codec.encode(month)}


def data(month: Month) -> bytes:
    """UTF-8, indented."""
    return (json.dumps(document(month), ensure_ascii=False, indent=2) + "\n").encode()


def html(month: Month) -> bytes:
    """A standalone page: its style is in it, nothing else is loaded."""
    return template("month.html").render(m=month, style=style("report.css"), digest=groups(month.digest)).encode()


def pdf(month: Month) -> bytes:
    """PDF/UA-1, the same bytes for the same month. Raises Broken when typst refuses."""
    told = json.dumps(codec.encode(month), ensure_ascii=False)
    return typeset("month.typ", {"month": told, "digest": groups(month.digest)}, month.generated_at)
