"""The three renderings: standalone, tagged, valid, and the same words in each."""

from __future__ import annotations

import html as html_words
import io
import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import jsonschema
import pypdf
import pytest

from noout.adapters.render import data, html, pdf
from noout.app.reports import affected, write_reports
from noout.domain.errors import UsageError
from noout.tell.report import Report, make_report
from tests.unit.tell.cast import BOEKHUIS, CUSTOMERS, EXPERIENCES, GUESTS, KADE, LIBRERIA, at, journal, make_maintenance


def report(language: str = "en") -> Report:
    m = make_maintenance()
    return make_report(m, LIBRERIA, EXPERIENCES, GUESTS, language=language, generated_at=at(10, 0), events=journal(m))


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u00a0", " "))


@pytest.mark.parametrize("language", ["en", "nl", "es"])
def test_the_pdf_is_tagged_in_its_language_and_prints_on_two_sheets(language: str) -> None:
    made = report(language)
    read = pypdf.PdfReader(io.BytesIO(pdf.render(made)))
    root = read.trailer["/Root"]
    assert root["/Lang"] == language
    assert root["/MarkInfo"]["/Marked"]
    assert "pdfuaid" in root["/Metadata"].get_object().get_data().decode()
    assert read.metadata is not None and read.metadata.title == made.title
    assert len(read.pages) <= 2
    words = squeezed(" ".join(page.extract_text() for page in read.pages))
    for expected in (made.headline.figure, made.story[-1].title, "wiki", made.seal.digest[:4]):
        assert squeezed(expected) in words


def test_the_pdf_is_the_same_bytes_for_the_same_report() -> None:
    assert pdf.render(report()) == pdf.render(report())


def test_text_of_customers_is_never_read_as_markup() -> None:
    hostile = '#read("/etc/passwd") <script>alert(1)</script> *x* $y$'
    made = replace(report(), lede=hostile, title="Title")
    page = html.render(made).decode()
    assert "<script" not in page and html_words.escape(hostile, quote=False).split("&lt;")[1] in page
    words = squeezed("".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf.render(made))).pages))
    assert "#read(" in words and "*x*" in words


@pytest.mark.parametrize(
    ("name", "printed"), [("Łódź Æ, Ω", "Łódź Æ, Ω"), ("e\u0301clair", "éclair"), ("日本", "??"), ("x\u0345", "x?")]
)
def test_a_letter_that_no_font_has_is_a_question_mark_in_print_and_whole_on_the_page(name: str, printed: str) -> None:
    made = report()
    named = replace(made, services=tuple(replace(row, service=name) for row in made.services))
    words = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf.render(named))).pages)
    assert unicodedata.normalize("NFC", words).count(printed) >= len(made.services)
    assert name in html.render(named).decode()


def test_the_page_stands_alone() -> None:
    page = html.render(report("nl")).decode()
    assert '<html lang="nl">' in page
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://|\son\w+=|\sstyle=", page)
    assert page.count("<h1") == 1


def test_the_json_is_valid_against_its_schema_and_holds_the_measurements() -> None:
    document = json.loads(data.render(report()))
    schema = data.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    assert document["report"]["measurements"][0]["samples"] == 33_600
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "version": 99}, schema)


def test_files_are_written_for_affected_customers_only(tmp_path: Path) -> None:
    m = make_maintenance()
    m = replace(m, moved=tuple(move for move in m.moved if move.guest.vmid != 301))
    assert affected(m, CUSTOMERS, GUESTS) == (BOEKHUIS, LIBRERIA)
    paths = write_reports(m, journal(m), EXPERIENCES, CUSTOMERS, GUESTS, tmp_path, generated_at=at(10, 0))
    assert [path.name for path in paths] == [
        f"report-{key}.{kind}" for key in ("boekhuis", "libreria") for kind in ("html", "pdf", "json")
    ]
    assert all(path.stat().st_size > 1000 for path in paths)
    assert KADE.name not in b"".join(path.read_bytes() for path in paths).decode("latin-1")


def test_a_guest_that_two_customers_claim_is_in_nobodys_report(tmp_path: Path) -> None:
    m = make_maintenance()
    rival = replace(KADE, key="rival", name="Rival", pools=frozenset({"boekhuis"}))
    paths = write_reports(
        m, journal(m), EXPERIENCES, (BOEKHUIS, rival), GUESTS, tmp_path, generated_at=at(10, 0), formats=["json"]
    )
    assert paths == []


def test_a_bad_format_or_key_is_refused(tmp_path: Path) -> None:
    m = make_maintenance()
    with pytest.raises(UsageError):
        write_reports(m, (), (), CUSTOMERS, GUESTS, tmp_path, generated_at=at(10, 0), formats=["doc"])
    sly = replace(BOEKHUIS, key="../sly")
    with pytest.raises(UsageError):
        write_reports(m, (), (), (sly,), GUESTS, tmp_path, generated_at=at(10, 0))


def test_a_real_clocks_time_fits_into_a_pdf() -> None:
    """Times of a real run have microseconds, which PDF does not know."""
    m = make_maintenance()
    when = at(10, 0).replace(microsecond=123_456)
    made = make_report(m, LIBRERIA, EXPERIENCES, GUESTS, language="en", generated_at=when, events=journal(m))
    assert pdf.render(made).startswith(b"%PDF")
