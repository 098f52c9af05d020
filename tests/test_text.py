"""Words for people: one file, two files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import poller
from poller.text import counted

SOURCES = Path(poller.__file__).parent
PLURAL = re.compile(r"(?:%s|\}) (?:attachments|calls|days|files|messages|places|rows)\b")


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1200, "1,200 files")]
)
def test_a_number_and_its_noun(number: int, words: str) -> None:
    assert counted(number, "file") == words


def test_no_line_has_a_plural_for_any_number() -> None:
    found = {
        f"{file.name}: {line.strip()}"
        for file in SOURCES.rglob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if PLURAL.search(line)
    }
    assert found == set()
