"""Sections of lines that share the lines of a terminal, however many or few these are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.text import Text

NAME_WIDTH = 11
"""Of the column of names, with the gap after it."""


LEAST_ROWS = 2
"""A table of fewer than that and its frame says less than one line."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line, and others below it where there is room."""

    line: Text
    details: Sequence[Text] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """`short` is all of it in one line. `most`: it gets no more lines than that, 0 for any."""

    name: str
    short: Text
    items: Sequence[Item]
    head: Sequence[Text] = ()
    tail: Sequence[Text] = ()
    most: int = 0
    wanted: int = field(init=False)

    def __post_init__(self) -> None:
        lines = len(self.head) + len(self.tail)
        lines += sum(1 + len(item.details) for item in self.items)
        object.__setattr__(self, "wanted", max(1, min(lines, self.most or lines)))

    def lines(self, room: int) -> list[Text]:
        """No more lines than `room`: all first lines, then details of each by turns."""
        left = room - len(self.head) - len(self.tail)
        least = min(LEAST_ROWS if self.head else 1, len(self.items))
        if (room == 1 and self.wanted > 1) or left < least:
            return [self.short]
        shown = list(self.items)
        if len(shown) > left:
            shown = shown[: left - 1]
        left -= len(shown)
        if len(shown) < len(self.items):
            more = Text(f"and {len(self.items) - len(shown):,} more", style="dim")
            return [*self.head, *(item.line for item in shown), more, *self.tail]
        details = [0] * len(shown)
        while left and any(n < len(one.details) for n, one in zip(details, shown, strict=True)):
            for number, item in enumerate(shown):
                if left and details[number] < len(item.details):
                    details[number] += 1
                    left -= 1
        body = [
            line
            for count, item in zip(details, shown, strict=True)
            for line in (item.line, *item.details[:count])
        ]
        return [*self.head, *body, *self.tail]


def fit(sections: Sequence[Section], importance: Sequence[str], height: int) -> RenderableType:
    """As much of each section as `height` lines hold; the last section takes what is left.

    A line for each, by `importance`, then more by turns. The last one, which changes most, has a
    third for itself, so that the others keep their places.
    """
    last = sections[-1]
    by_name = {one.name: one for one in sections}
    order = [by_name[name] for name in importance if name in by_name][: max(1, height)]
    rooms = {one.name: 1 for one in order}
    left = height - len(order)
    kept = min(left, height // 3) if last.name in rooms else 0
    others = [one for one in order if one is not last]
    left = _share(others, rooms, left - kept)
    for one in others:  # what is of no use to one is of use to another
        unused = rooms[one.name] - len(one.lines(rooms[one.name]))
        rooms[one.name] -= unused
        left = _share([other for other in others if other is not one], rooms, left + unused)
    if last.name in rooms:
        rooms[last.name] += left + kept
    shown = [
        Text(("" if number else one.name).ljust(NAME_WIDTH), style="bold") + line
        for one in sections
        if one.name in rooms
        for number, line in enumerate(one.lines(rooms[one.name]))
    ]
    for line in shown:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*shown)


def _share(sections: Sequence[Section], rooms: dict[str, int], lines: int) -> int:
    """Give each a line by turns, as long as there are any; how many are left."""
    while lines and (hungry := [one for one in sections if rooms[one.name] < one.wanted]):
        for one in hungry[:lines]:
            rooms[one.name] += 1
        lines -= len(hungry[:lines])
    return lines


def columns(rows: Sequence[Sequence[str]], keep: Sequence[int], width: int) -> list[Text]:
    """Rows as lines of aligned columns, the first at the left, the others at the right.

    Where they are too wide, columns go that come late in `keep`, which names them by number.
    """
    widths = [max(Text(row[number]).cell_len for row in rows) for number in range(len(rows[0]))]
    shown = list(keep)
    while len(shown) > 1 and sum(widths[one] + 2 for one in shown) - 2 > width:
        shown.pop()
    lines: list[Text] = []
    for row in rows:
        line = Text()
        for number in sorted(shown):
            cell = Text(row[number])
            gap = widths[number] - cell.cell_len
            line.append("  " if number else "")
            if number:
                line.append(" " * gap).append_text(cell)
            else:
                line.append_text(cell).append(" " * gap)
        lines.append(line)
    return lines
