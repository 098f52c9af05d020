"""The tables of docs/ come from a run of the benchmarks; the prose around them stays."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import PARTS
from bench.report import Aim, Report
from bench.write_performance import FILES, SECTION, write

MACHINE = {
    "date": "2026-11-22", "cores": 4, "memory_gib": 24, "architecture": "x86_64",
    "python": "3.11.7", "load": 0.5, "short": False, "postgres": {"fsync": "on"},
}  # fmt: skip
DOCUMENT = """# Figures
<!-- bench: aims -->
<!-- end: aims -->
By hand.
<!-- bench: queue -->
old
<!-- end: queue -->
<!-- bench: scale -->
kept
<!-- end: scale -->
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "performance.md"
    path.write_text(DOCUMENT)
    return path


@pytest.fixture
def found() -> dict[str, Any]:
    report = Report(MACHINE)
    report.table("Out of the queue", ("", ""), ("jobs/s", ",.0f"), ("of bound", ".2f"))
    report.add("pgmedia", 12345.6, 0.5)
    report.aims.append(Aim("drain, of the peer's", 2.0, at_least=3))
    return asdict(report)


def test_tables_replace_what_was_between_the_marks(document: Path, found: dict[str, Any]) -> None:
    assert write({"parts": {"queue": found}}, (document,)) == []
    text = document.read_text()
    assert re.search(r"\| pgmedia \| +12,346 \| +0\.50 \|", text)
    assert "`make bench-queue SHORT=`, 2026-11-22: 4 cores" in text
    assert "Postgres: fsync on." in text
    assert "old" not in text
    assert "By hand.\n<!-- bench: queue -->" in text
    assert re.search(r"\| queue +\| drain, of the peer's +\| +2\.00 \| +≥ 3 \| +missed \|", text)


def test_writing_twice_changes_nothing(document: Path, found: dict[str, Any]) -> None:
    write({"parts": {"queue": found}}, (document,))
    once = document.read_text()
    write({"parts": {"queue": found}}, (document,))
    assert document.read_text() == once


def test_a_part_that_failed_keeps_its_tables(document: Path, found: dict[str, Any]) -> None:
    parts = {"queue": found, "scale": {"failed": "exit code 1", "seconds": 3}}
    assert write({"parts": parts}, (document,)) == []
    assert "<!-- bench: scale -->\nkept\n<!-- end: scale -->" in document.read_text()


def test_a_part_without_a_section_is_named(document: Path, found: dict[str, Any]) -> None:
    assert write({"parts": {"growth": found}}, (document,)) == ["growth"]


def test_every_part_has_its_section_and_its_target() -> None:
    sections = [part for path in FILES for _, part, _ in SECTION.findall(path.read_text())]
    assert sorted(sections) == sorted([*PARTS, "aims"])
    targets = re.search(r"^BENCHES = (.*)$", Path("Makefile").read_text(), re.MULTILINE)
    assert targets
    assert targets[1].split() == list(PARTS)
