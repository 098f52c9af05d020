"""The end of media: cleanup, its schedule, and the settings in the database."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated

import typer

from poller.cli.app import (
    AsJson,
    DryRun,
    Yes,
    app,
    ask,
    examples,
    give_up,
    need_an_answer,
    say,
    say_json,
    tell,
)
from poller.cli.operate import attachments, operate
from poller.records import MediaCleanup
from poller.text import counted

MOST_DAYS = 36_500
"""A hundred years, as in the database."""
PASSES = 2
"""What is locked by others may be free when a cleanup looks again."""
Days = Annotated[
    int,
    typer.Argument(
        min=1, max=MOST_DAYS, metavar="DAYS", help="Delete what is older, by the message's time."
    ),
]


@app.command(
    epilog=examples(
        "pgmedia cleanup 365 --type video --dry-run", "pgmedia cleanup 365 --keep-accessed 30 --yes"
    )
)
def cleanup(
    days_old: Days,
    media_type: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only image, audio, video, document or sticker; may be given more than once.",
        ),
    ] = None,
    keep_accessed: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_DAYS, metavar="DAYS", help="Keep what was touched within so many days."
        ),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Delete media older than so many days, but for what is held. Files go with their last use.

    Exits with 1 when some could not be deleted. Needs the role media_admin.
    """

    from poller.cli.progress import progress

    def run(*, dry: bool) -> MediaCleanup:
        return operate(
            lambda database: database.clean_up(days_old, media_type, keep_accessed, dry_run=dry)
        )

    def answer(done: MediaCleanup, line: str) -> None:
        if as_json:
            say_json({**asdict(done), "dry_run": dry_run})
        else:
            say(line)

    def expected(found: MediaCleanup) -> str:
        return f"{'' if found.is_finished else 'at least '}{attachments(found.attachments)}"

    need_an_answer(yes=yes, dry_run=dry_run)
    found = run(dry=True)
    if dry_run:
        answer(found, f"{expected(found)} would be deleted")
        return
    total = found.attachments if found.is_finished else None
    ask(f"Delete {expected(found)}?", yes=yes, dry_run=dry_run)
    deleted, passes = 0, 0
    with progress("attachments deleted") as report:
        while True:
            done = run(dry=False)
            deleted += done.attachments
            report(deleted, total)
            passes += done.is_finished
            in_the_way = done.locked + done.refused
            if done.is_finished and (not in_the_way or passes == PASSES):
                break
    answer(replace(done, attachments=deleted), f"{attachments(deleted)} deleted")
    if in_the_way:
        reason = f" ({done.problem})" if done.problem else ""
        give_up(
            f"{attachments(in_the_way)} could not be deleted: {done.locked} locked by another"
            f" transaction, {done.refused} refused by the database{reason}"
        )


@app.command(
    epilog=examples(
        "pgmedia schedule --cleanup-days 365 --cleanup-at 03:30", "pgmedia schedule --off"
    )
)
def schedule(
    cleanup_days: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_DAYS, metavar="DAYS", help="Once a day, delete media older than this."
        ),
    ] = None,
    cleanup_at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%H:%M"], metavar="HH:MM", help="From this time on (UTC); else 03:30."
        ),
    ] = None,
    keep_accessed: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_DAYS, metavar="DAYS", help="Keep what was touched within so many days."
        ),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Take the schedule back.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let pg_cron run maintenance every minute, and clean up once a day if asked.

    Called again, the last call counts: what it does not say is reset. Needs the role media_admin.
    """
    if off:
        if cleanup_days or cleanup_at or keep_accessed:
            raise typer.BadParameter("--off goes alone")
        ask("Take the schedule back?", yes=yes, dry_run=dry_run)
        had_job = operate(lambda database: database.unschedule(dry_run=dry_run))
        line = f"no daily cleanup; pg_cron {'has no job any more' if had_job else 'had no job'}"
        tell(line, {"had_job": had_job}, as_json=as_json, dry_run=dry_run)
        return
    if cleanup_days is None and (cleanup_at or keep_accessed):
        raise typer.BadParameter("--cleanup-at and --keep-accessed go with --cleanup-days")
    at = cleanup_at.time() if cleanup_at else None
    ask("Set the schedule?", yes=yes, dry_run=dry_run)
    is_set = operate(
        lambda database: database.schedule(cleanup_days, at, keep_accessed, dry_run=dry_run)
    )
    if as_json:
        tell("", is_set, as_json=True, dry_run=dry_run)
        return
    by = f"by pg_cron, {is_set['runs']}" if is_set["pg_cron"] else is_set["runs"]
    tell(f"maintenance: {by}", {}, as_json=False, dry_run=dry_run)
    if is_set["cleanup_days"] is None:
        say("daily cleanup: none")
        return
    kept = is_set["cleanup_keep_accessed_days"]
    touched = (
        f"but for what was touched within {counted(kept, 'day')}" if kept else "touched or not"
    )
    say(
        f"daily cleanup: from {is_set['cleanup_at'][:5]} UTC, of media older than"
        f" {counted(is_set['cleanup_days'], 'day')}, {touched}"
    )


@app.command(
    epilog=examples(
        "pgmedia settings lease",
        'pgmedia settings lease "2 minutes"',
        "pgmedia settings lease --reset",
    )
)
def settings(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One setting; all without it.")
    ] = None,
    value: Annotated[str | None, typer.Argument(metavar="VALUE", help="What to set it to.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Set it to its default.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Show the settings in the database, or change one. The environment's: pgmedia --help.

    Needs the role media_admin.
    """
    if reset and (name is None or value is not None):
        raise typer.BadParameter("--reset goes with the name of a setting and no value")
    if name is not None and (reset or value is not None):
        ask(f"Set {name} {'to its default' if reset else f'to {value}'}?", yes=yes, dry_run=dry_run)
        now = operate(lambda database: database.set_media_setting(name, value, dry_run=dry_run))
        line = f"{name} is not set" if now is None else f"{name} is {now}"
        tell(line, {"name": name, "value": now}, as_json=as_json, dry_run=dry_run)
        return
    rows = [
        one
        for one in operate(lambda database: database.media_settings())
        if name is None or one.name == name
    ]
    if not rows:
        raise typer.BadParameter(f"no setting {name!r}; pgmedia settings lists them")
    if as_json:
        say_json([asdict(one) for one in rows])
        return
    for one in rows:
        changed = one.value != one.default_value
        default = f"  [default: {_shown(one.default_value)}]" if changed else ""
        say(f"{one.name} = {_shown(one.value)}{default}")
        say(textwrap.fill(one.meaning, 76, initial_indent="    ", subsequent_indent="    "))


def _shown(value: str | None) -> str:
    return "not set" if value is None else value
