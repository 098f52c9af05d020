"""The application `pgmedia` and what its commands share."""

from __future__ import annotations

import json
import logging
import re
import signal
import sys
import textwrap
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any, NoReturn
from uuid import UUID

import typer
from typer.core import TyperGroup

from poller import __version__
from poller.config import Settings, settings_table
from poller.db import Database

DONE, FAILED, WRONG_SETTINGS = 0, 1, 2
STOPPED = 128 + signal.SIGINT
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
SECONDS_BETWEEN_LINES = 10.0
"""How often a long command tells how far it is where nobody watches."""
DURATION = re.compile(r"([0-9]{1,9})([smhd])")


def settings_help() -> str:
    """Every setting with its default and meaning, for `--help`."""
    lines = ["Settings, from the environment or a file .env in the working directory:"]
    for name, default, meaning in settings_table():
        lines += ["", f"{name}{f' [{default}]' if default else ''}"]
        lines += textwrap.wrap(meaning, 74, initial_indent="    ", subsequent_indent="    ")
    return "\b\n" + "\n".join(line or " " for line in lines)


def examples(*lines: str) -> str:
    """What a command is called with, for the end of its help."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])


SECTIONS = {
    "Set up": ("migrate", "buckets", "doctor", "schedule", "settings"),
    "Run": ("poll", "webhook", "demo"),
    "Look": ("status", "show", "url", "report"),
    "Work with the queue": ("queue", "retry", "cancel", "pause", "resume"),
    "Keep and delete": ("hold", "release", "delete", "cleanup", "reconcile"),
}
"""The commands as `--help` lists them."""


class Commands(TyperGroup):
    """Lists the commands by what they are for, each with its whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        for section, names in SECTIONS.items():
            rows = [(name, self.commands[name].get_short_help_str(limit=1000)) for name in names]
            with formatter.section(section):
                formatter.write_dl(rows)


app = typer.Typer(
    name="pgmedia",
    cls=Commands,
    help="Keep the media of WhatsApp messages: the database decides, the poller moves bytes.\n\n"
    "Exit codes: 0 done; 1 it could not be done, or something is wrong; 2 a setting or an argument"
    " is wrong; 130 stopped by Ctrl-C; 141 nobody reads the output any more.\n\n"
    "What changes something asks first; --yes answers, and is needed where nobody can be asked."
    " --dry-run changes nothing.",
    epilog=settings_help(),
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would be done.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, for programs; docs/cli.md has its keys.")
]


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")


def say_json(answer: object, *, indent: int | None = None) -> None:
    """One value as JSON in ASCII, which no encoding loses and no terminal obeys."""
    say(json_of(answer, indent=indent))


def json_of(answer: object, *, indent: int | None = None) -> str:
    return json.dumps(answer, default=_to_json, indent=indent)


def _to_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def give_up(line: str) -> NoReturn:
    """Say on standard error why it could not be done, and end."""
    say_why(line)
    raise typer.Exit(FAILED)


def say_why(line: str) -> None:
    """Say on standard error why the command ends, or in its log where that is for programs."""
    if logging.getLogger().handlers:
        from poller.logs import logs_json

        if logs_json():
            logging.getLogger("pgmedia").error(line)
            return
    sys.stderr.write(f"pgmedia: {line}\n")


def ask(question: str | Callable[[], str], *, yes: bool, dry_run: bool) -> None:
    """Go on only when somebody says so; on standard error, which --json leaves alone.

    Where nobody can be asked, --yes has to be there. What has to be counted for a question is
    counted only if it is asked.
    """
    if yes or dry_run:
        return
    need_an_answer(yes=yes, dry_run=dry_run)
    try:
        typer.confirm(question if isinstance(question, str) else question(), abort=True, err=True)
    except typer.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise typer.Exit(STOPPED) from None
        raise


def need_an_answer(*, yes: bool, dry_run: bool) -> None:
    """Refuse where there will be a question and nobody to answer it, before any work is done."""
    if not (yes or dry_run or sys.stdin.isatty()):
        raise typer.BadParameter(
            "this asks first, and nobody can answer here: pass --yes, or --dry-run to try it"
        )


def tell(line: str, answer: Mapping[str, Any], *, as_json: bool, dry_run: bool) -> None:
    """What was done, or with `dry_run` would have been, in a line or as JSON."""
    if as_json:
        say_json({**answer, "dry_run": dry_run})
    else:
        say(f"dry run: {line}" if dry_run else line)


def duration(text: str) -> timedelta:
    """A time such as 90s, 30m, 1h or 7d."""
    parts = DURATION.fullmatch(text.strip())
    if parts is None:
        raise typer.BadParameter(f"{text!r} is no time such as 90s, 30m, 1h or 7d")
    time = timedelta(**{UNITS[parts[2]]: int(parts[1])})
    if time > timedelta(days=36_500):
        raise typer.BadParameter(f"{text!r} is more than 36500d")
    return time


def some_time(text: str) -> timedelta:
    """A time that is above zero."""
    if not (time := duration(text)):
        raise typer.BadParameter(f"{text!r} is too short: use 1s or more")
    return time


def uuid(text: str) -> UUID:
    """A media id."""
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no UUID") from None


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


@asynccontextmanager
async def connected(settings: Settings) -> AsyncGenerator[Database]:
    """The database, by one connection that is closed at the end."""
    database = await Database.connect(
        settings.database_url.get_secret_value(),
        settings.pgmedia_poller_name,
        connections=1,
        own_session=False,  # it may be behind a transaction pooler
    )
    try:
        yield database
    finally:
        await database.close()
