"""Write the table of settings into docs/reference.md, between its two markers."""

from __future__ import annotations

from pathlib import Path

from poller.config import settings_table

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->"


def markdown_table() -> str:
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in settings_table()]
    return "\n".join(["| Setting | Default | Meaning |", "|---|---|---|", *rows, ""])


def documented() -> str:
    """The table as docs/reference.md has it now."""
    return REFERENCE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    before, begin, rest = REFERENCE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    REFERENCE.write_text(before + begin + markdown_table() + end + after, encoding="utf-8")


if __name__ == "__main__":
    main()
