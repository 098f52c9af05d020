"""Bring the figures of a run into docs/: `python -m bench.write_performance bench.json`.

The tables of a part stand in docs/performance.md or docs/scaling.md between two marks, such as
`<!-- bench: queue -->` and `<!-- end: queue -->`; the prose around them is kept by hand. A part
that the file does not have, or that failed, keeps the tables it has.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from bench.report import AIM_COLUMNS, Aim, Table

DOCS = Path(__file__).parent.parent / "docs"
FILES = (DOCS / "performance.md", DOCS / "scaling.md")
SECTION = re.compile(r"(<!-- bench: (\w+) -->\n).*?(<!-- end: \2 -->\n)", re.DOTALL)
AIMS = "aims"
"""The section with the aims of all parts."""


def write(results: dict[str, Any], files: tuple[Path, ...] = FILES) -> list[str]:
    """Fill the sections; returns the parts of the run that no document has a section for."""
    sections = {
        part: section_of(part, found)
        for part, found in results["parts"].items()
        if "failed" not in found
    }
    wanted = set(sections)
    sections[AIMS] = aims_of(results["parts"])
    for path in files:
        text = path.read_text()
        wanted -= {part for _, part, _ in SECTION.findall(text)}
        path.write_text(SECTION.sub(lambda found: filled(found, sections), text))
    return sorted(wanted)


def filled(found: re.Match[str], sections: dict[str, str]) -> str:
    begin, part, end = found.groups()
    return f"{begin}\n{sections[part]}\n{end}" if part in sections else found[0]


def section_of(part: str, found: dict[str, Any]) -> str:
    return "\n".join([described(part, found["machine"]), *map(shown, found["tables"])])


def described(part: str, machine: dict[str, Any]) -> str:
    form = "" if machine["short"] else " SHORT="
    text = (
        f"`make bench-{part}{form}`, {machine['date']}: {machine['cores']} cores,"
        f" {machine['memory_gib']} GiB, {machine['architecture']}, Python {machine['python']},"
        f" load {machine['load']} when it began."
    )
    if postgres := machine.get("postgres"):
        settings = ", ".join(f"{name} {value}" for name, value in postgres.items())
        text += f" Postgres: {settings}."
    return f"{text}\n"


def shown(table: dict[str, Any]) -> str:
    one = Table(table["title"], [tuple(column) for column in table["columns"]], table["rows"])
    return "\n".join([f"{one.title}:\n" if one.title else "", *one.heading(), *one.body(), ""])


def aims_of(parts: dict[str, Any]) -> str:
    columns = [("part", ""), *AIM_COLUMNS]
    rows = [
        [part, *Aim(**aim).row()]
        for part, found in parts.items()
        if "failed" not in found
        for aim in found["aims"]
    ]
    table = Table("", columns, rows)
    return "\n".join([*table.heading(), *table.body(), ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, metavar="FILE", help="as --json of a run wrote it")
    results = json.loads(parser.parse_args().results.read_text())
    for part, found in results["parts"].items():
        if "failed" in found:
            print(f"{part} failed ({found['failed']}): its tables stay as they are")
    if missing := write(results):
        sys.exit(f"no section <!-- bench: NAME --> in docs/ for: {', '.join(missing)}")


if __name__ == "__main__":
    main()
