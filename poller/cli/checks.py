"""What tells how things are."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from poller.cli.app import FAILED, app, examples, say, say_json, some_time

STOPPED = 128 + signal.SIGTERM


@app.command(epilog=examples("pgmedia doctor --within 90s"))
def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for programs: all findings as one object.")
    ] = False,
    within: Annotated[
        timedelta | None,
        typer.Option(
            parser=some_time,
            metavar="TIME",
            help="Give up the rest after a time such as 90s; by default 5m.",
        ),
    ] = None,
) -> None:
    """Check settings, database, WhatsApp and storage, and say what to do about what is wrong.

    A small file is stored in each bucket, read and removed. Exit code 1 if anything is wrong.
    """
    from poller.doctor import LONGEST, Finding, Findings, examine

    made: list[Finding] = []

    def tell(finding: Finding) -> None:
        made.append(finding)
        if not as_json:
            say(f"{finding.state:8} {finding.check}: {finding.text}")
            sys.stdout.flush()

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await examine(Findings(tell), (within or LONGEST).total_seconds())

    try:
        asyncio.run(run())
    except asyncio.CancelledError:
        raise typer.Exit(STOPPED) from None
    fine = all(one.state != "wrong" for one in made)
    if as_json:
        answer = {"ok": fine, "findings": [asdict(one) for one in made]}
        say_json(answer)
    if not fine:
        raise typer.Exit(FAILED)
