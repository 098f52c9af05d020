"""The command `pgmedia`.

Exit codes: 0 done, 1 it could not be done, 2 settings or arguments are wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from typing import NoReturn

import asyncpg

from poller import __version__
from poller.cli import (
    checks,
    files,
    keep,
    lifecycle,
    operate,
    prepare,
    queue,
    reconcile,
    report,
    serve,
    show,
)
from poller.cli.app import FAILED, STOPPED, WRONG_SETTINGS, app, say_why
from poller.cli.output import (
    READER_GONE,
    OutputError,
    describe_file_error,
    is_about_a_file,
    standard_output,
)
from poller.config import Settings, SettingsError
from poller.db import DATABASE_AWAY, WrongProjectError, what_it_needs
from poller.errors import OperatorError
from poller.text import describe_error, plain

WRONG_ARGUMENTS = {
    "MD011", "MD012", "MD014", "MD017", "MD018", "MD022", "MD023", "MD024", "MD062",
}  # fmt: skip
"""Errors of the functions about what was passed to them; docs/reference.md lists them."""
MAY_NOT = re.compile(r"permission denied for function (?P<function>\w+)")
REFUSED = {"MD010", "MD016", "MD021", "MD025"}
"""Errors that say themselves what is in the way."""

# importing a module adds its commands to the application
__all__ = [
    "checks",
    "files",
    "keep",
    "lifecycle",
    "main",
    "operate",
    "prepare",
    "queue",
    "reconcile",
    "report",
    "serve",
    "show",
]


def main() -> None:
    """Run a command; whatever is wrong is said in a line each, without a traceback."""
    try:
        with standard_output():
            run()
    except OutputError as error:
        if error.reader_is_gone:
            sys.exit(READER_GONE)
        _fail([str(error)], FAILED)


def run() -> None:
    try:
        app()
    except SettingsError as error:
        _fail(error.problems, WRONG_SETTINGS)
    except WrongProjectError as error:
        _fail([plain(error)], WRONG_SETTINGS)
    except OperatorError as error:
        _fail(str(error).splitlines(), FAILED)
    except (asyncpg.UndefinedFunctionError, asyncpg.UndefinedTableError) as error:
        first_line = str(error).partition("\n")[0]
        _fail(
            [f"the schema of pgmedia {__version__} is missing: {first_line}; run pgmedia migrate"],
            FAILED,
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate in WRONG_ARGUMENTS:
            _fail([plain(f"{error.args[0]}. {error.hint}")], WRONG_SETTINGS)
        if error.sqlstate in REFUSED:
            _fail([plain(f"{error.args[0]}. {error.hint}")], FAILED)
        _fail([f"the database refused: {plain(error)}{_needed(error)}"], FAILED)
    except asyncpg.ClientConfigurationError as error:
        _fail([f"DATABASE_URL: {error}"], WRONG_SETTINGS)
    except DATABASE_AWAY as error:
        if isinstance(error, OSError) and is_about_a_file(error):
            _fail([plain(describe_file_error(error))], FAILED)
        _fail([f"cannot reach the database: {describe_error(error)}"], FAILED)
    except KeyboardInterrupt:
        os._exit(STOPPED)


def _needed(error: asyncpg.PostgresError) -> str:
    """What a login needs to call what it may not."""
    refused = MAY_NOT.fullmatch(error.args[0])
    if not isinstance(error, asyncpg.InsufficientPrivilegeError) or refused is None:
        return ""
    dsn = Settings.from_env().database_url.get_secret_value()
    with contextlib.suppress(*DATABASE_AWAY, asyncpg.PostgresError):
        if hint := asyncio.run(what_it_needs(dsn, refused["function"])):
            return f"; {plain(hint)}"
    return ""


def _fail(lines: list[str], code: int) -> NoReturn:
    for line in lines:
        say_why(line)
    sys.exit(code)
