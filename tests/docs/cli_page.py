"""What docs/cli.md says of each command."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.docs.fences import CHECKOUT

NAME = re.compile(r"`([^`]+)`")
KEY = re.compile(r"`(\w+)`")


@dataclass(frozen=True, slots=True)
class Row:
    asks: str
    as_json: bool


def tables(heading: str) -> list[list[str]]:
    """The cells of the rows of the table below a heading."""
    text = (CHECKOUT / "docs/cli.md").read_text("utf-8")
    part = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def rows() -> dict[str, Row]:
    """What is said of each command."""
    return {
        name.strip("`"): Row(asks, as_json == "yes")
        for name, asks, as_json, _ in tables("Commands")
    }


def keys(name: str) -> set[str]:
    """The keys of an answer, by the words of the first column."""
    for cell, said in tables("JSON"):
        if name == cell or name in NAME.findall(cell):
            return set(KEY.findall(re.sub(r"\([^)]*\)", "", said)))
    raise KeyError(name)
