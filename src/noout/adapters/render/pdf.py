"""The report as a PDF/UA document by typst: the same words as the page, set in type. No font of the system is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files

import typst

from noout import codec
from noout.adapters.render.standalone import groups
from noout.domain.errors import Broken
from noout.tell.report import Report


def render(report: Report) -> bytes:
    """A tagged PDF (PDF/UA-1), the same bytes for the same report. Raises Broken when typst refuses."""
    told = json.dumps(codec.encode(report), ensure_ascii=False)
    return typeset("report.typ", {"report": told, "digest": groups(report.seal.digest)}, report.generated_at)


def typeset(name: str, inputs: Mapping[str, str], at: datetime) -> bytes:
    """``name``: of a typst file in ``style``; ``inputs``: what it reads; ``at``: when the document says it was made."""
    try:
        made = typst.compile(
            _source(name),
            format="pdf",
            ignore_system_fonts=True,
            sys_inputs=dict(inputs),
            pdf_standards="ua-1",
            timestamp=at.replace(microsecond=0),  # PDF knows whole seconds
        )
    except typst.TypstError as error:
        raise Broken(f"the PDF could not be made: {error.message}") from error
    if not isinstance(made, bytes):
        raise Broken("the PDF could not be made: typst returned several files")
    return made


@cache
def _source(name: str) -> bytes:
    return (files("noout.adapters.render") / "style" / name).read_bytes()
