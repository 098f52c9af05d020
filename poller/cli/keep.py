"""Single attachments: held, released, deleted. Each is one function of the database."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from poller.cli.app import AsJson, DryRun, Yes, app, ask, examples, give_up, say, say_json
from poller.cli.operate import MediaId, no_such_media, operate
from poller.db import Database

Reason = Annotated[str, typer.Option(metavar="REASON", help="For whoever finds it held.")]


@app.command(
    epilog=examples('pgmedia hold 7f3c2a54-5a0e-4f0e-8f3d-2f3f0b8a7a10 --reason "case 12"')
)
def hold(
    media_id: MediaId,
    reason: Reason,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Keep an attachment from every deletion, until it is released.

    Needs the role media_admin.
    """
    ask(f"Hold media {media_id}?", yes=yes, dry_run=dry_run)
    operate(lambda database: database.hold_media(media_id, reason, dry_run=dry_run))
    done = "would be held" if dry_run else "is held"
    line = f"media {media_id} {done}: {reason}"
    tell(media_id, "held", line, as_json=as_json, dry_run=dry_run)


@app.command()
def release(
    media_id: MediaId, yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """End the hold on an attachment; the next cleanup may delete it.

    Needs the role media_admin.
    """
    ask(f"Release media {media_id}?", yes=yes, dry_run=dry_run)

    async def run(database: Database) -> tuple[bool, bool]:
        released = await database.release_media_hold(media_id, dry_run=dry_run)
        return released, await database.media_status(media_id) is not None

    released, exists = operate(run)
    if not exists:
        no_such_media(media_id)
    if not released:
        give_up(f"media {media_id} is not held")
    done = "would be released" if dry_run else "is released"
    tell(media_id, "released", f"media {media_id} {done}", as_json=as_json, dry_run=dry_run)


@app.command()
def delete(
    media_id: MediaId, yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Delete an attachment in any state; its file goes with the last use of its content.

    Needs the role media_admin.
    """
    ask(f"Delete media {media_id}?", yes=yes, dry_run=dry_run)
    if not operate(lambda database: database.delete_media(media_id, dry_run=dry_run)):
        no_such_media(media_id)
    done = "would be deleted" if dry_run else "is deleted"
    tell(media_id, "deleted", f"media {media_id} {done}", as_json=as_json, dry_run=dry_run)


def tell(media_id: UUID, done: str, line: str, *, as_json: bool, dry_run: bool = False) -> None:
    answer = {"media_id": str(media_id), "done": done, "dry_run": dry_run}
    if as_json:
        say_json(answer)
    else:
        say(line)
