"""What brings a database and a storage to this version."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated

import asyncpg
import typer

from poller import __version__
from poller.cli.app import (
    DONE,
    FAILED,
    AsJson,
    DryRun,
    Yes,
    app,
    ask,
    connected,
    examples,
    say,
    say_json,
)
from poller.config import Settings
from poller.db import Database
from poller.text import counted


@app.command(epilog=examples("pgmedia migrate --dry-run"))
def migrate(yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Bring the database to this version: migrations, functions, and a check of the result.

    Exits with 1 when the database then differs from a fresh installation. Needs the login that owns
    the schema.
    """
    from poller.migrate import migrate as run
    from poller.migrate import pending_migrations

    settings = Settings.from_env()
    ask(f"Bring the database to version {__version__}?", yes=yes, dry_run=dry_run)
    if dry_run:
        pending = pending_migrations(settings.database_url)
        if as_json:
            _tell_migrated(pending, [], dry_run=True)
            return
        for name in pending:
            say(f"dry run: {name} would be applied")
        say(f"dry run: the functions of version {__version__} would be installed")
        return
    done = run(settings.database_url)
    if as_json:
        _tell_migrated(done.applied, done.differences, dry_run=False)
        raise typer.Exit(FAILED if done.differences else DONE)
    for name in done.applied:
        say(f"applied {name}")
    for difference in done.differences:
        say(difference)
    if done.differences:
        places = counted(len(done.differences), "place")
        say(f"the schema differs from version {__version__} in {places}")
        raise typer.Exit(FAILED)
    say(f"the schema is that of version {__version__}")


def _tell_migrated(applied: list[str], differences: list[str], *, dry_run: bool) -> None:
    answer = {
        "version": __version__, "applied": applied, "differences": differences, "dry_run": dry_run
    }  # fmt: skip
    say_json(answer)


@app.command(epilog=examples("pgmedia buckets --check"))
def buckets(
    check: Annotated[
        bool, typer.Option("--check", "--dry-run", help="Change nothing; exit 1 on a difference.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Create or update the buckets in Supabase Storage to the policy in the database; verify.

    Needs the role media_admin; with --check, media_poller is enough.
    """
    from poller.buckets import sync_buckets

    settings = Settings.from_env("supabase_url", "supabase_service_key")
    ask("Bring the buckets to the policy?", yes=yes, dry_run=check)

    async def run() -> set[str]:
        actions: set[str] = set()
        async with connected(settings) as database:
            policy = await database.bucket_policy()
            async with aclosing(sync_buckets(settings, policy, check=check)) as changes:
                async for change in changes:
                    actions.add(change.action)
                    differs = check and change.action in {"created", "changed"}
                    action = "differs" if differs else change.action
                    if as_json:
                        say_json({**asdict(change), "action": action, "dry_run": check})
                        continue
                    if action == "failed":
                        why = "; ".join(change.differences)
                        typer.echo(f"pgmedia: bucket {change.bucket_name}: {why}", err=True)
                        continue
                    differences = "".join(f"; {one}" for one in change.differences)
                    say(f"{change.bucket_name}: {action}{differences}")
            if check:
                url = str(settings.supabase_url)
                actions.add(await _check_project_url(database, url, as_json=as_json))
            elif actions - {"failed"}:
                await _set_project_url(database, str(settings.supabase_url), as_json=as_json)
        return actions

    actions = asyncio.run(run())
    if "failed" in actions or (check and actions != {"right"}):
        raise typer.Exit(FAILED)


async def _check_project_url(database: Database, url: str, *, as_json: bool) -> str:
    known = await database.project_url()
    if as_json:
        _tell_project_url("right" if known == url else "differs", url, known, 0, dry_run=True)
    elif known == url:
        say("public URLs: right")
    else:
        lead = f"to {known}" if known else "nowhere"
        say(f"public URLs: differs; they lead {lead}, not to {url}")
    return "right" if known == url else "changed"


async def _set_project_url(database: Database, url: str, *, as_json: bool) -> None:
    """Tell the database where storage is, which has just been seen to be the right place."""
    known = await database.project_url()
    try:
        rebuilt = await database.set_project_url(url)
    except asyncpg.InsufficientPrivilegeError:
        typer.echo(
            "pgmedia: the buckets are right, but this login may not set the project URL, from which"
            " public URLs are built: run pgmedia buckets as a role that is in media_admin",
            err=True,
        )
        raise typer.Exit(FAILED) from None
    if as_json:
        action = "right" if known == url and not rebuilt else "changed"
        _tell_project_url(action, url, known, rebuilt, dry_run=False)
        return
    changes = [] if known == url else [f"they led {f'to {known}' if known else 'nowhere'}"]
    if rebuilt:
        changes.append(f"{rebuilt:,} rebuilt")
    say("; ".join(["public URLs: changed" if changes else "public URLs: right", *changes]))


def _tell_project_url(
    action: str, url: str, known: str | None, rebuilt: int, *, dry_run: bool
) -> None:
    answer = {
        "project_url": url, "action": action, "was": known, "rebuilt": rebuilt, "dry_run": dry_run
    }  # fmt: skip
    say_json(answer)
