"""The picture of a node in a real browser: nothing overlaps its edge, and it can be read in light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from noout.watch.picture import picture
from tests.unit.watch.test_picture import flapping, shown

pytestmark = pytest.mark.real

OUTSIDE = """() => {
  const page = document.documentElement.getBoundingClientRect();
  return [...document.querySelectorAll('text')].filter(each => {
    const box = each.getBoundingClientRect();
    return box.left < page.left - 1 || box.right > page.right + 1 || box.bottom > page.bottom + 1;
  }).map(each => each.textContent);
}"""
COVERED = """() => {
  const boxes = [...document.querySelectorAll('text')].map(each => [each.textContent, each.getBoundingClientRect()]);
  const found = [];
  boxes.forEach(([word, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 4) found.push(word + ' | ' + other);
  }));
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_whole_and_legible(browser: Browser, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "pve3.svg"
    path.write_text(picture(shown(flapping())), encoding="utf-8")
    page = await browser.new_page(viewport={"width": 960, "height": 560}, color_scheme=scheme)  # type: ignore[arg-type]
    await page.goto(path.as_uri())
    assert await page.evaluate(OUTSIDE) == []
    assert await page.evaluate(COVERED) == []
    ink, paper = await page.evaluate(
        "() => ['text.p', '.bg'].map(each => getComputedStyle(document.querySelector(each)).fill)"
    )
    light, dark = ["rgb(65, 80, 76)", "rgb(255, 255, 255)"], ["rgb(182, 195, 191)", "rgb(21, 29, 27)"]
    assert [ink, paper] == (dark if scheme == "dark" else light)
