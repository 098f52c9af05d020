"""What operators do: retry, cancel, pause and resume. Each is one function of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from typing import Annotated, Any, NoReturn, TypeVar
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
    give_up,
    say,
    say_json,
    tell,
    uuid,
)  # fmt: skip
from poller.config import Settings
from poller.db import Database
from poller.text import counted, plain

Answer = TypeVar("Answer")
AT_ONCE, MOST = 1000, 1_000_000
"""How many a retry queues again, unless told, and at most."""
MediaId = Annotated[
    UUID,
    typer.Argument(
        parser=uuid, metavar="MEDIA_ID", help="The id that queue_media_processing returned."
    ),
]
Scope = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="storage, whatsapp:<phone number id> or poller:<name>."),
]


def operate(call: Callable[[Database], Awaitable[Answer]]) -> Answer:
    """Connect, make the call, disconnect."""
    settings = Settings.from_env()

    async def run() -> Answer:
        async with connected(settings) as database:
            return await call(database)

    return asyncio.run(run())


def no_such_media(media_id: UUID) -> NoReturn:
    give_up(
        f"no media with id {media_id}. queue_media_processing returned the id,"
        " get_media_by_message(message_id) lists those of a message, and pgmedia status shows what"
        " failed last"
    )


def attachments(count: int) -> str:
    return counted(count, "attachment")


@app.command(
    epilog=examples(
        "pgmedia retry 7f3c2a54-5a0e-4f0e-8f3d-2f3f0b8a7a10",
        "pgmedia retry --failed --code media_url_expired --since 2h --dry-run",
    )
)
def retry(
    media_id: Annotated[
        UUID | None,
        typer.Argument(
            parser=uuid, metavar="MEDIA_ID", help="One attachment that failed or was cancelled."
        ),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All that failed, oldest first, in place of one.")
    ] = False,
    code: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only of this failure code.")
    ] = None,
    since: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration, metavar="TIME", help="Only what failed in the last 90s, 30m, 2h or 7d."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, metavar="NUMBER", help=f"So many at most; else {AT_ONCE}."),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Queue again what failed: one attachment, or all of them, with all their attempts.

    Needs the role media_admin.
    """
    if (media_id is not None) == failed:
        raise typer.BadParameter("pass either the id of an attachment or --failed")
    if media_id is not None:
        if code is not None or since is not None or limit is not None:
            raise typer.BadParameter("--code, --since and --limit go with --failed")
        ask(f"Queue media {media_id} again?", yes=yes, dry_run=dry_run)
        _retry_one(media_id, dry_run=dry_run, as_json=as_json)
        return

    at_most = limit or AT_ONCE

    def run(*, dry: bool) -> int:
        return operate(
            lambda database: database.retry_failed(code, since, at_most, dry_run=dry),
        )

    if dry_run:
        count = run(dry=True)
        line = f"{attachments(count)} would be queued again"
        if as_json:
            say_json({"queued": count, "dry_run": True})
        else:
            say(line)
        return
    ask(lambda: f"Queue {attachments(run(dry=True))} again?", yes=yes, dry_run=dry_run)
    count = run(dry=False)
    line = f"{attachments(count)} queued again{'; there may be more' if count == at_most else ''}"
    tell(line, {"queued": count}, as_json=as_json, dry_run=False)


def _retry_one(media_id: UUID, *, dry_run: bool, as_json: bool) -> None:
    async def run(database: Database) -> tuple[bool, dict[str, Any] | None]:
        queued = await database.retry(media_id, dry_run=dry_run)
        return queued, await database.media_status(media_id)

    queued, found = operate(run)
    if queued:
        line, answer = f"media {media_id}: queued again", {"media_id": media_id, "done": "queued"}
        tell(line, answer, as_json=as_json, dry_run=dry_run)
    elif found is None:
        no_such_media(media_id)
    elif found["status"] in ("failed", "cancelled"):
        give_up(
            f"media {media_id} is {found['status']} and cannot be queued again: its work has left"
            " the queue (media_settings.dead_letters_kept), or WhatsApp had lost the file"
        )
    else:
        give_up(f"media {media_id} is {found['status']}: neither failed nor cancelled")


@app.command()
def cancel(
    media_id: MediaId, yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Stop work on an attachment, also while a poller is at it. `retry` takes it up again.

    Needs the role media_admin.
    """
    ask(f"Cancel media {media_id}?", yes=yes, dry_run=dry_run)

    async def run(database: Database) -> tuple[bool, dict[str, Any] | None]:
        cancelled = await database.cancel(media_id, dry_run=dry_run)
        return cancelled, await database.media_status(media_id)

    cancelled, found = operate(run)
    if found is None:
        no_such_media(media_id)
    if not cancelled:
        give_up(f"media {media_id} is {found['status']}: there is no work to stop")
    answer = {"media_id": media_id, "done": "cancelled"}
    tell(f"media {media_id}: cancelled", answer, as_json=as_json, dry_run=dry_run)


@app.command(
    epilog=examples(
        'pgmedia pause whatsapp:106540352242922 --reason "moving house" --for 10m',
        "pgmedia pause storage",
    )
)
def pause(
    scope: Scope,
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="For those who wonder; `status` shows it.")
    ] = None,
    pause_for: Annotated[
        timedelta | None,
        typer.Option(
            "--for",
            parser=duration,
            metavar="TIME",
            help="For how long, such as 90s, 30m or 7d; else 1h.",
        ),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let every poller leave a source alone for a time. A pause that runs is only made longer.

    Needs the role media_admin.
    """
    ask(f"Pause {plain(scope)}?", yes=yes, dry_run=dry_run)
    until = operate(lambda database: database.pause(scope, reason, pause_for, dry_run=dry_run))
    line = f"{plain(scope)} is paused until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    answer = {"scope": scope, "until": until.isoformat()}
    tell(line, answer, as_json=as_json, dry_run=dry_run)


@app.command()
def resume(
    scope: Scope, yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Lift the pause of a source at once. One job goes first; when the source works, all follow.

    Needs the role media_admin.
    """
    ask(f"Resume {plain(scope)}?", yes=yes, dry_run=dry_run)
    if not operate(lambda database: database.resume(scope, dry_run=dry_run)):
        give_up(f"{plain(scope)} was not paused: pgmedia status shows what is")
    line = f"{plain(scope)} is resumed; one job goes first"
    tell(line, {"scope": scope, "done": "resumed"}, as_json=as_json, dry_run=dry_run)
