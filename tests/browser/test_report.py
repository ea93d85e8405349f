"""The report in a browser: two A4 sheets in every language, nothing asked of any server, readable on a phone."""

from __future__ import annotations

import io
from pathlib import Path

import pypdf
import pytest
from playwright.async_api import Browser

from noout.app.reports import write_reports
from noout.tell.report import Policy
from tests.unit.tell.cast import CUSTOMERS, EXPERIENCES, GUESTS, at, journal, make_maintenance

pytestmark = pytest.mark.real


def pages(folder: Path, language: str) -> list[Path]:
    m = make_maintenance()
    return write_reports(
        m,
        journal(m),
        EXPERIENCES,
        CUSTOMERS,
        GUESTS,
        folder,
        generated_at=at(10, 0),
        policy=Policy("Havenstad Hosting", show_estimates=True),
        language=language,
        formats=["html"],
    )


@pytest.mark.parametrize("language", ["en", "nl", "es"])
async def test_it_prints_on_two_sheets_and_loads_nothing(browser: Browser, tmp_path: Path, language: str) -> None:
    page = await browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    for path in pages(tmp_path, language):
        await page.goto(path.as_uri())
        printed = pypdf.PdfReader(io.BytesIO(await page.pdf(prefer_css_page_size=True)))
        assert len(printed.pages) == 2, path.name
    assert {url.partition("://")[0] for url in asked} == {"file"} and len(asked) == len(CUSTOMERS)
    assert said == []


@pytest.mark.parametrize("width", [390, 900])
async def test_nothing_sticks_out(browser: Browser, tmp_path: Path, width: int) -> None:
    page = await browser.new_page(viewport={"width": width, "height": 900})
    for path in pages(tmp_path, "nl"):
        await page.goto(path.as_uri())
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
