"""The report as a PDF/UA document by typst: the same words as the page, set in type. No font of the system is used."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import typst

from noout import codec
from noout.domain.errors import Broken
from noout.tell.report import Report


def render(report: Report) -> bytes:
    """A tagged PDF (PDF/UA-1), the same bytes for the same report. Raises Broken when typst refuses."""
    digest = report.seal.digest
    inputs = {
        "report": json.dumps(codec.encode(report), ensure_ascii=False),
        "digest": " ".join(digest[i : i + 4] for i in range(0, len(digest), 4)),
    }
    try:
        made = typst.compile(
            _template(),
            format="pdf",
            ignore_system_fonts=True,
            sys_inputs=inputs,
            pdf_standards="ua-1",
            timestamp=report.generated_at.replace(microsecond=0),  # PDF knows whole seconds
        )
    except typst.TypstError as error:
        raise Broken(f"the PDF could not be made: {error.message}") from error
    if not isinstance(made, bytes):
        raise Broken("the PDF could not be made: typst returned several files")
    return made


@cache
def _template() -> bytes:
    return (files("noout.adapters.render") / "style" / "report.typ").read_bytes()
