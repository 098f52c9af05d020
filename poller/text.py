"""What others say, made fit for a line, a terminal and Postgres."""

from __future__ import annotations

from typing import Any, cast


def describe_error(error: BaseException) -> str:
    """An error in one line: its kind, and what it says when it says something."""
    return plain(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def counted(number: int, thing: str) -> str:
    """1 file, 2 files, 1,200 files."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def plain(text: object) -> str:
    """A foreign text in one line, without what Postgres cannot hold or a terminal would obey."""
    return "".join(one if one.isprintable() else " " for one in str(text))


def all_plain(value: Any) -> Any:
    """A JSON value whose texts are all plain, names included; anything else in it as it was."""
    match value:
        case str():
            return plain(value)
        case dict():
            items = cast("dict[str, Any]", value).items()
            return {plain(name): all_plain(one) for name, one in items}
        case list():
            return [all_plain(one) for one in cast("list[Any]", value)]
        case _:
            return value
