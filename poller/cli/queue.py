"""What queues attachments by hand: one, or those that messages speak of and nobody has queued."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from poller.cli.app import (
    AsJson,
    DryRun,
    Yes,
    app,
    ask,
    connected,
    duration,
    examples,
    say,
    say_json,
    uuid,
)
from poller.cli.operate import attachments, operate
from poller.config import Settings
from poller.db import Database

MESSAGES_A_PAGE = 1000
PRIORITY = 5
COUNTS = ("queued", "failed", "expired", "deleted", "unusable")


@app.command(
    epilog=examples(
        "pgmedia queue 0b6dfd09-9c2c-4b8e-9d59-1c1f4f3f1c55 1003383421387256",
        "pgmedia queue --missing --since 7d --dry-run",
    )
)
def queue(
    message_id: Annotated[
        UUID | None,
        typer.Argument(parser=uuid, metavar="MESSAGE_ID", help="Its id in the table messages."),
    ] = None,
    whatsapp_media_id: Annotated[
        str | None, typer.Argument(metavar="WHATSAPP_MEDIA_ID", help="Its id in the webhook.")
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(min=1, max=10, metavar="NUMBER", help="1 goes first, 10 last; else 5."),
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="All that messages speak of and no media row knows.")
    ] = False,
    since: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="With --missing: only of messages of the last 12h or 7d.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="With --missing: end when so many are queued."),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Queue one attachment of a message, or with --missing all that were never queued.

    What was queued before stays as it is, what somebody deleted stays deleted, and what WhatsApp
    keeps no longer is recorded as failed. It may be stopped and run again. Needs media_admin.
    """
    if missing:
        if message_id or whatsapp_media_id:
            raise typer.BadParameter("--missing goes without a message")
        if priority is not None:
            raise typer.BadParameter("--priority goes with a message, not with --missing")
        _queue_missing(since, limit, yes=yes, dry_run=dry_run, as_json=as_json)
        return
    if message_id is None or whatsapp_media_id is None:
        raise typer.BadParameter("pass MESSAGE_ID and WHATSAPP_MEDIA_ID, or --missing")
    if since is not None or limit is not None:
        raise typer.BadParameter("--since and --limit go with --missing")
    ask("Queue this attachment?", yes=yes, dry_run=dry_run)
    media_id = operate(
        lambda database: database.queue_media(
            message_id, whatsapp_media_id, priority or PRIORITY, dry_run=dry_run
        )
    )
    if as_json:
        say_json({"media_id": None if dry_run else media_id, "dry_run": dry_run})
    else:
        say("it would be queued" if dry_run else f"media {media_id}: queued")


def _queue_missing(
    since: timedelta | None, limit: int | None, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    from poller.cli.progress import progress

    ask("Queue all media that is missing?", yes=yes, dry_run=dry_run)
    settings = Settings.from_env()
    found: Counter[str] = Counter()
    looked_at = messages = 0

    async def run() -> None:
        nonlocal looked_at, messages
        after: UUID | None = None
        async with connected(settings) as database:
            with progress("messages read") as report:
                while True:
                    left = None if limit is None else limit - found["queued"]
                    size = await _page_size(database, since, after, left)
                    page = await database.queue_missing(since, size, after, dry_run=dry_run)
                    found.update({name: getattr(page, name) for name in COUNTS})
                    looked_at, after = looked_at + page.looked_at, page.reached
                    messages = page.messages or messages
                    report(looked_at, messages or None)
                    if page.is_finished or (limit and found["queued"] >= limit):
                        return

    try:
        asyncio.run(run())
    except BaseException:
        if looked_at:  # what is queued stays queued
            _tell(found, dry_run=dry_run, as_json=as_json)
        raise
    _tell(found, dry_run=dry_run, as_json=as_json)


def _tell(found: Counter[str], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        say_json({**{name: found[name] for name in COUNTS}, "dry_run": dry_run})
        return
    for line in _lines(found, dry_run=dry_run):
        say(line)


async def _page_size(
    database: Database, since: timedelta | None, after: UUID | None, left: int | None
) -> int:
    """How many messages to look at, so that no more are queued than there are `left` to queue."""
    size = MESSAGES_A_PAGE
    while left is not None and size > 1:
        page = await database.queue_missing(since, size, after, dry_run=True)
        if page.queued <= left:
            break
        size //= 2
    return size


def _lines(found: Counter[str], *, dry_run: bool) -> list[str]:
    words = {
        "queued": "would be queued" if dry_run else "queued",
        "expired": f"{'would fail' if dry_run else 'failed'} as media_expired: WhatsApp keeps"
        " them no longer",
        "failed": "lost by WhatsApp, which said so in the message",
        "deleted": "left alone, as somebody deleted them",
        "unusable": "left out: malformed, or refused by a constraint or trigger of the table",
    }
    return [
        f"{attachments(found[name])} {text}"
        for name, text in words.items()
        if found[name] or name == "queued"
    ]
