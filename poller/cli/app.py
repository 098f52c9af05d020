"""The application `pgmedia` and what its commands share."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from poller import __version__
from poller.config import Settings, settings_table
from poller.db import Database

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
        settings.database_url.get_secret_value(), settings.pgmedia_poller_name, connections=1
    )
    try:
        yield database
    finally:
        await database.close()
