"""The report in a real browser: light, dark and on a phone. Needs Debian's Chromium.

With PGMEDIA_SCREENSHOTS=FOLDER the pictures stay there, to be looked at.
"""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.report.conftest import Run, reader, run, today
from tests.report.history import write_failures, write_history
from tests.system.browser import Page, open_browser

__all__ = ["reader", "run", "today"]

OVERLAPPING = """
(() => {
    const boxes = [...document.querySelectorAll('svg')].filter(one => one.checkVisibility())
        .map(svg => [...svg.querySelectorAll('text')].map(text => text.getBoundingClientRect()));
    const apart = (a, b) =>
        a.left >= b.right || b.left >= a.right || a.top >= b.bottom || b.top >= a.bottom;
    const met = texts => texts.filter((a, i) => texts.some((b, j) => i < j && !apart(a, b)));
    return boxes.flatMap(met).length;
})()
"""
SMALLEST_TEXT = """
Math.min(...[...document.querySelectorAll('svg text')].filter(one => one.checkVisibility())
    .map(one => one.getBoundingClientRect().height))
"""
LEAST_CONTRAST = """
(() => {
    const light = colour => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(value => value / 255)
            .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = light(getComputedStyle(document.querySelector('.card')).backgroundColor);
    const ratios = [...document.querySelectorAll('.card h3, .card p, td, th, svg text')]
        .filter(one => one.checkVisibility())
        .map(one => getComputedStyle(one)[one.closest('svg') ? 'fill' : 'color']).map(light)
        .map(text => (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05));
    return Math.min(...ratios);
})()
"""


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Page]:
    async with open_browser(tmp_path / "chromium") as page:
        yield page


@pytest.mark.parametrize("days", [0, 1, 30, 400])
@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
async def test_the_report_looks_right(
    db: Any, run: Run, today: date, browser: Page, tmp_path: Path,
    days: int, width: int, scheme: str,
) -> None:  # fmt: skip
    if days:
        await write_history(db, today, days)
        await write_failures(db, "a type that no row allows", "another of them")
        await write_failures(db, "lost", code="131052")
    assert (await run("--days", str(max(days, 30))))[0] == 0
    file = (tmp_path / "report.html").as_uri()

    await browser.open(file, width=width, scheme=scheme)

    picture = await browser.screenshot()
    if folder := os.environ.get("PGMEDIA_SCREENSHOTS"):
        (Path(folder) / f"report-{days}-{scheme}-{width}.png").write_bytes(picture)
    with Image.open(io.BytesIO(picture)) as image:
        assert image.width == 2 * width
        brightness = image.convert("L").getpixel((4, 4))
    assert isinstance(brightness, int)
    assert (brightness < 64) is (scheme == "dark")
    assert (browser.requests, browser.problems) == ([file], [])
    assert await browser.value("document.documentElement.scrollWidth") == width
    sideways = (
        "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth)"
    )
    assert await browser.value(f"{sideways}.length") == 0
    drawings = "[...document.querySelectorAll('svg')].filter(one => one.checkVisibility()).length"
    assert await browser.value(drawings) == (7 if days else 0)
    assert await browser.value(OVERLAPPING) == 0, "texts of a chart overlap"
    assert await browser.value(LEAST_CONTRAST) >= 4.5
    if days:
        assert await browser.value(SMALLEST_TEXT) >= 11
