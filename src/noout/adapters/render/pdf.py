"""The report as a PDF/UA document by typst: the same words as the page, set in type. No font of the system is used."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files

import typst

from noout import codec
from noout.adapters.render.standalone import groups
from noout.domain.errors import Broken
from noout.tell.report import Report
from noout.tell.say import SHIPPED


def render(report: Report) -> bytes:
    """A tagged PDF (PDF/UA-1), the same bytes for the same report. Raises Broken when typst refuses."""
    told = json.dumps(codec.encode(report), ensure_ascii=False)
    return typeset("report.typ", {"report": told, "digest": groups(report.seal.digest)}, report.generated_at)


def typeset(name: str, inputs: Mapping[str, str], at: datetime) -> bytes:
    """``name``: of a typst file in ``style``; ``inputs``: what it reads; ``at``: when the document says it was made.

    A letter that the fonts lack, in a customer's or a service's name, is printed as "?": PDF/UA wants every letter to
    be there, and the page and the data have it in full.
    """
    try:
        try:
            made = _compiled(name, inputs, at)
        except typst.TypstError as error:
            if "could not be displayed" not in error.message:
                raise
            made = _compiled(name, {key: _printable(text) for key, text in inputs.items()}, at)
    except typst.TypstError as error:
        raise Broken(f"the PDF could not be made: {error.message}", remedy="take the page (html) instead") from error
    if not isinstance(made, bytes):
        raise Broken("the PDF could not be made: typst returned several files")
    return made


def _compiled(name: str, inputs: Mapping[str, str], at: datetime) -> bytes | list[bytes]:
    return typst.compile(
        _source(name),
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs=dict(inputs),
        pdf_standards="ua-1",
        timestamp=at.replace(microsecond=0),  # PDF knows whole seconds
    )


def _printable(text: str) -> str:
    """Composed, and with "?" for what is neither Latin, Greek nor Cyrillic, nor in our own words."""
    return "".join(each if _has_glyph(each) else "?" for each in unicodedata.normalize("NFC", text))


def _has_glyph(letter: str) -> bool:
    known = ord(letter) < 0x250 or 0x370 <= ord(letter) < 0x500
    return (known and unicodedata.category(letter)[0] != "C") or letter in _own_letters() or letter == "\n"


@cache
def _own_letters() -> frozenset[str]:
    return frozenset("".join(text for words in SHIPPED.values() for text in words.values()))


@cache
def _source(name: str) -> bytes:
    return (files("noout.adapters.render") / "style" / name).read_bytes()
