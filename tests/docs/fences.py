"""The fenced code of README.md and docs/, and the commands in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
GENERATED = "sql-api.md"
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
HEREDOC = re.compile(r"<<'(\w+)'")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its file, the line it begins at, its language and its text."""

    file: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a block of `sh`, without its comment."""

    fence: Fence
    text: str

    def __str__(self) -> str:
        return f"{self.fence}: {self.text.splitlines()[0]}"


def documents() -> list[Path]:
    written = sorted((CHECKOUT / "docs").glob("*.md"))
    return [CHECKOUT / "README.md", *(file for file in written if file.name != GENERATED)]


def fences(language: str | None = None) -> list[Fence]:
    """All blocks, or those of a language."""
    found: list[Fence] = []
    for file in documents():
        text = file.read_text("utf-8")
        for match in FENCE.finditer(text):
            indent, lines = len(match[1]), match[3].splitlines()
            found.append(
                Fence(
                    file.relative_to(CHECKOUT).as_posix(),
                    text.count("\n", 0, match.start()) + 1,
                    match[2],
                    "\n".join(line[indent:] for line in lines),
                )
            )
    return [fence for fence in found if language is None or fence.language == language]


def commands() -> list[Command]:
    return [command for fence in fences("sh") for command in commands_of(fence)]


def commands_of(fence: Fence) -> Iterator[Command]:
    """One for each line, lines that are continued and here-documents together."""
    lines = iter(fence.text.splitlines())
    for line in lines:
        text = re.sub(r"\s+#.*", "", line)
        while text.endswith("\\"):
            text = text[:-1] + next(lines).strip()
        if heredoc := HEREDOC.search(text):
            for inner in lines:
                text += "\n" + inner
                if inner == heredoc[1]:
                    break
        if text.strip() and not text.startswith("#"):
            yield Command(fence, text.strip())
