"""What a person looks at: the whole store, or one attachment."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import Annotated, Any

import typer

from poller.cli.app import AsJson, app, examples, say, say_json, some_time
from poller.cli.operate import MediaId, no_such_media, operate
from poller.cli.story_view import story_view
from poller.config import Settings
from poller.db import Database
from poller.text import all_plain

EVERY = timedelta(seconds=2)


@app.command(epilog=examples("pgmedia status --watch", "pgmedia status --json | jq .queue"))
def status(
    as_json: AsJson = False,
    watching: Annotated[
        bool, typer.Option("--watch", help="On the whole terminal, until q or Ctrl-C.")
    ] = False,
    every: Annotated[
        timedelta | None,
        typer.Option(
            parser=some_time, metavar="TIME", help="With --watch: how often, such as 5s; else 2s."
        ),
    ] = None,
) -> None:
    """Show the queue, pauses, pollers, failures and storage.

    The JSON is that of get_media_storage_stats, whose comment says what is in it. Needs the role
    media_client or media_admin.
    """
    if watching:
        from poller.cli.watch import watch

        if as_json or not sys.stdout.isatty():
            raise typer.BadParameter("--watch is for a terminal, and goes without --json")
        asyncio.run(watch(Settings.from_env(), (every or EVERY).total_seconds()))
        return
    if every is not None:
        raise typer.BadParameter("--every goes with --watch")
    stats = operate(Database.storage_stats)
    if as_json:
        say_json(stats, indent=2)
    else:
        from rich.console import Console

        from poller.cli.status_view import status_view

        console = Console(highlight=False)
        with console.capture() as view:
            console.print(status_view(all_plain(stats), console.width))
        for line in view.get().rstrip().splitlines():
            say(line.rstrip())


@app.command()
def show(media_id: MediaId, as_json: AsJson = False) -> None:
    """Show where an attachment is, and all that happened to it, also after it was deleted.

    Times are in UTC. Needs the role media_client or media_admin.
    """

    words: tuple[str, str] | None = None

    async def read(database: Database) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        nonlocal words
        found = await database.media_status(media_id)
        if found is not None and found["error_code"] and found["status"] != "stored":
            words = await database.explain(found["error_code"])
        return found, await database.audit_trail(media_id)

    found, trail = operate(read)
    if found is None and not trail:
        no_such_media(media_id)
    if as_json:
        say_json({"status": found, "audit_trail": trail}, indent=2)
    else:
        for line in story_view(media_id, all_plain(found), all_plain(trail), words):
            say(line)
