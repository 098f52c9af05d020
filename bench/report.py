"""What a benchmark found: tables, and the aims that its figures are held against.

A table is Markdown wherever it goes: on the terminal, a row as soon as it is known, and in docs/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

NO_FIGURE = ""
"""A cell of a figure that does not exist, such as the ratio of the bound itself."""


@dataclass(slots=True)
class Table:
    title: str
    columns: Sequence[tuple[str, str]]
    """Name, and how to format what is in it: `,.1f`; empty for text."""
    rows: list[list[Any]] = field(default_factory=list[list[Any]])

    def widths(self) -> list[int]:
        """Of the columns. Rows that come later may break them, which Markdown does not mind."""
        first = max(len(row[0]) for row in self.cells()) if self.rows else 36
        least = [first, *(8 for _ in self.columns[1:])]
        return [max(len(name), width) for (name, _), width in zip(self.columns, least, strict=True)]

    def cells(self) -> list[list[str]]:
        return [
            [
                cell if isinstance(cell, str) else format(cell, form)
                for cell, (_, form) in zip(row, self.columns, strict=True)
            ]
            for row in self.rows
        ]

    def heading(self) -> list[str]:
        widths = self.widths()
        rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        return [line_of([name for name, _ in self.columns], widths), line_of(rules, widths)]

    def body(self) -> list[str]:
        widths = self.widths()
        return [line_of(row, widths) for row in self.cells()]


def line_of(cells: Iterable[str], widths: list[int]) -> str:
    first, *others = cells
    parts = [f"{first:<{widths[0]}}"]
    parts += [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
    return f"| {' | '.join(parts)} |"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should be. Of `at_least` and `at_most` one is given."""

    what: str
    figure: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        return (self.at_least is None or self.figure >= self.at_least) and (
            self.at_most is None or self.figure <= self.at_most
        )

    def row(self) -> list[Any]:
        wanted = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        return [self.what, self.figure, wanted, "met" if self.is_met else "missed"]


AIM_COLUMNS = [("aim", ""), ("figure", ",.2f"), ("wanted", ""), ("", "")]


@dataclass(slots=True)
class Report:
    """Of one part. `machine`: what it ran on, by name."""

    machine: dict[str, Any]
    tables: list[Table] = field(default_factory=list[Table])
    aims: list[Aim] = field(default_factory=list[Aim])

    def table(self, title: str, *columns: tuple[str, str]) -> Table:
        """Begin a table, on the terminal too."""
        self.tables.append(Table(title, columns))
        print(f"\n{title}\n", *self.tables[-1].heading(), sep="\n", flush=True)
        return self.tables[-1]

    def add(self, *row: Any) -> None:
        """A row of the last table."""
        table = self.tables[-1]
        table.rows.append(list(row))
        *_, cells = table.cells()
        empty = Table(table.title, table.columns)
        print(line_of(cells, empty.widths()), flush=True)

    def show_aims(self) -> None:
        if self.aims:
            table = Table("", AIM_COLUMNS, [aim.row() for aim in self.aims])
            print("", *table.heading(), *table.body(), sep="\n", flush=True)
