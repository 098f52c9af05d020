"""`pgmedia report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from poller.cli.app import app, examples, give_up, say
from poller.cli.operate import operate
from poller.report import Report, read_report, report_json
from poller.text import counted

MOST_DAYS = 400
"""As long as the views remember by default."""
STANDARD_OUTPUT, DEFAULT_FILE = Path("-"), Path("report.html")


@app.command(
    epilog=examples(
        "pgmedia report --days 90 -o report.html", "pgmedia report --json | jq .failures"
    )
)
def report(
    days: Annotated[
        int, typer.Option(min=1, max=MOST_DAYS, metavar="DAYS", help="How many, today included.")
    ] = 30,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The page to write, report.html unless named; - for standard output.",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON, for programs: the figures, in place of a page."),
    ] = False,
) -> None:
    """Write a page about files, storage, failures and times, for a manager to read.

    One file that fetches nothing from the network. Needs the role media_reader or media_admin, and
    pip install 'pgmedia[report]', which --json does without.
    """

    def read() -> Report:
        return operate(lambda database: read_report(database, days))

    if as_json:
        if output is not None:
            raise typer.BadParameter("--json prints, so it goes without --output")
        say(report_json(read()))
        return
    try:
        from poller.report.page import report_page
    except ImportError as error:
        give_up(f"{error.name} is missing: pip install 'pgmedia[report]'")
    found = read()
    page = report_page(found).encode()
    if output == STANDARD_OUTPUT:
        sys.stdout.buffer.write(page + b"\n")
    else:
        output = output or DEFAULT_FILE
        try:
            output.write_bytes(page)
        except OSError as error:
            give_up(f"cannot write {output}: {error.strerror}")
        say(f"{output}: {counted(found.total('files'), 'file')} in {counted(days, 'day')}")
