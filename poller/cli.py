"""The command `pgmedia`.

Exit codes: 0 done, 1 it could not be done, 2 settings or arguments are wrong.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import textwrap
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from poller import __version__
from poller.config import Settings, SettingsError, settings_table
from poller.db import DATABASE_AWAY, Database
from poller.http import describe_error, plain

DONE, FAILED, WRONG_SETTINGS = 0, 1, 2


def settings_help() -> str:
    """Every setting with its default and meaning, for `--help`."""
    lines = ["Settings, from the environment or a file .env in the working directory:"]
    for name, default, meaning in settings_table():
        lines += ["", f"{name}{f' [{default}]' if default else ''}"]
        lines += textwrap.wrap(meaning, 74, initial_indent="    ", subsequent_indent="    ")
    return "\b\n" + "\n".join(line or " " for line in lines)


app = typer.Typer(
    name="pgmedia",
    help="Keep the media of WhatsApp messages: the database decides, the poller moves bytes.",
    epilog=settings_help(),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")


def log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    for noisy in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("asyncpg").setLevel(logging.ERROR)  # warns of what its callers are told too


def show_version(wanted: bool) -> None:
    if wanted:
        say(f"pgmedia {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version


@app.command()
def migrate() -> None:
    """Bring the database to this version: migrations, functions, and a check of the result."""
    from poller.migrate import migrate as run

    settings = Settings.from_env()
    done = run(settings.database_url)
    for name in done.applied:
        say(f"applied {name}")
    for difference in done.differences:
        say(difference)
    if done.differences:
        say(f"the schema differs from version {__version__} in {len(done.differences)} places")
        raise typer.Exit(FAILED)
    say(f"the schema is that of version {__version__}")


@app.command()
def buckets(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 on a difference.")
    ] = False,
) -> None:
    """Create or update the buckets in Supabase Storage to the policy in the database; verify."""
    from poller.buckets import sync_buckets

    settings = Settings.from_env("supabase_url", "supabase_service_key")

    async def run() -> bool:
        database = await Database.connect(
            settings.database_url.get_secret_value(), settings.pgmedia_poller_name, connections=1
        )
        try:
            changes = await sync_buckets(settings, await database.bucket_policy(), check=check)
            if not check:
                await database.set_project_url(str(settings.supabase_url))
        finally:
            await database.close()
        for change in changes:
            action = "differs" if check and change.action != "right" else change.action
            say(f"{change.bucket_name}: {action}{''.join(f'; {d}' for d in change.differences)}")
        return all(change.action == "right" for change in changes)

    if not asyncio.run(run()) and check:
        raise typer.Exit(FAILED)


@app.command()
def poll(
    drain: Annotated[
        bool, typer.Option("--drain", help="Stop when nothing is due, as for a run by cron.")
    ] = False,
) -> None:
    """Fetch, check and store what is queued, until stopped (SIGTERM; twice to stop at once)."""
    from poller.poll import poll as run

    settings = Settings.from_env("supabase_url", "supabase_service_key", "whatsapp_token")
    log_to_stderr()
    asyncio.run(run(settings, drain=drain))


@app.command()
def webhook() -> None:
    """Serve Meta's webhook: check the signature, store the call, queue its media."""
    from poller.webhook import serve

    settings = Settings.from_env("whatsapp_app_secret", "whatsapp_verify_token")
    log_to_stderr()
    asyncio.run(serve(settings))


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option(help="Where the stand-in storage keeps its files; emptied first.")
    ] = Path("sandbox"),
    messages: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many messages to send.")
    ] = 200,
    keep: Annotated[
        bool | None,
        typer.Option(help="Keep the database up afterwards until Ctrl-C; so on a terminal."),
    ] = None,
    real: Annotated[
        bool,
        typer.Option("--real", help="Write into DATABASE_URL and SUPABASE_URL where they are set."),
    ] = False,
) -> None:
    """Send WhatsApp messages with media of all formats through the real poller, on stand-ins."""
    from poller.sandbox.demo import run_demo

    stay = sys.stdin.isatty() if keep is None else keep
    raise typer.Exit(asyncio.run(run_demo(folder, messages, keep=stay, real=real)))


def main() -> None:
    """Run a command; whatever is wrong is said in a line each, without a traceback."""
    from poller.buckets import BucketError
    from poller.migrate import MigrationError

    try:
        app()
    except SettingsError as error:
        _fail(error.problems, WRONG_SETTINGS)
    except (MigrationError, BucketError) as error:
        _fail(str(error).splitlines(), FAILED)
    except (asyncpg.UndefinedFunctionError, asyncpg.UndefinedTableError) as error:
        first_line = str(error).partition("\n")[0]
        _fail(
            [f"the schema of pgmedia {__version__} is missing: {first_line}; run pgmedia migrate"],
            FAILED,
        )
    except asyncpg.PostgresError as error:
        _fail([f"the database refused: {plain(error)}"], FAILED)
    except DATABASE_AWAY as error:
        a_file = isinstance(error, OSError) and error.filename is not None
        what = "" if a_file else "cannot reach the database: "
        _fail([what + describe_error(error)], FAILED)
    except KeyboardInterrupt:
        os._exit(130)


def _fail(lines: list[str], code: int) -> None:
    for line in lines:
        sys.stderr.write(f"pgmedia: {line}\n")
    sys.exit(code)
