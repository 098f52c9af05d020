"""Bring a database to this version's schema, install its functions, and check the result."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr
from yoyo import get_backend, read_migrations  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
from yoyo.exceptions import LockTimeout  # pyright: ignore[reportMissingTypeStubs]

from poller.errors import OperatorError

PACKAGE = Path(__file__).resolve().parent


class MigrationError(OperatorError):
    """The database was not brought to this version."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `migrate` did, and in what the database differs from what this version expects."""

    applied: list[str]
    differences: list[str]


def schema_folder() -> Path:
    """`schema` inside an installed package, `db` beside it in a checkout."""
    packaged = PACKAGE / "schema"
    return packaged if packaged.exists() else PACKAGE.parent / "db"


def migrate(database_url: SecretStr) -> Migrated:
    """Apply pending migrations, install all functions, verify. Raises MigrationError."""
    folder = schema_folder()
    migrations = read_migrations(str(folder / "migrations"))
    with _backend(database_url) as backend, _explained():
        _refuse_without_writes(backend)
        with backend.lock():
            pending = backend.to_apply(migrations)
            names = [migration.id for migration in pending]
            backend.apply_migrations_only(pending)
            _install_functions(backend, migrations)
        held = {row[0] for row in backend.execute("select public.describe_media_schema()")}
        return Migrated(names, schema_differences(held))


def _install_functions(backend: Any, migrations: Any) -> None:
    """Run the hooks after migrations. Not by yoyo's own call: its log would grow with each run."""
    for hook in migrations.post_apply:
        with backend.copy() as copy:
            hook.process_steps(copy, "apply")


def pending_migrations(database_url: SecretStr) -> list[str]:
    """The migrations that `migrate` would apply. Raises MigrationError."""
    migrations = read_migrations(str(schema_folder() / "migrations"))
    with _backend(database_url) as backend, _explained():
        return [migration.id for migration in backend.to_apply(migrations)]


def rollback(database_url: SecretStr) -> None:
    """Take everything back. Raises MigrationError."""
    migrations = read_migrations(str(schema_folder() / "migrations"))
    with _backend(database_url) as backend, _explained(), backend.lock():
        backend.rollback_migrations(backend.to_rollback(migrations))


def _refuse_without_writes(backend: Any) -> None:
    """Else yoyo takes it for a lock that somebody else holds."""
    ((only_reads,),) = backend.execute("select current_setting('transaction_read_only')")
    backend.rollback()
    if only_reads == "on":
        raise MigrationError(
            "the database takes no writes: is it a standby, or made read-only, as by a host whose"
            " disk is full?"
        )


@contextlib.contextmanager
def _backend(database_url: SecretStr) -> Generator[Any]:
    with _explained():
        # libpq takes the URL apart: it knows of several hosts and of sockets, yoyo does not.
        parts = {"connect_timeout": "10"} | conninfo_to_dict(database_url.get_secret_value())
        with contextlib.closing(_Backend(f"postgresql+psycopg:///?{urlencode(parts)}")) as held:
            yield held.backend


class _Backend:
    """yoyo's backend, closed at the end: an open connection keeps a database from being cloned."""

    def __init__(self, uri: str) -> None:
        self.backend: Any = get_backend(uri)

    def close(self) -> None:
        self.backend.connection.close()


@contextlib.contextmanager
def _explained() -> Generator[None]:
    """Say what went wrong as the database put it, without a traceback."""
    try:
        yield
    except LockTimeout as error:
        raise MigrationError(
            f"{error}. If no other migration runs, one was killed: `yoyo break-lock` clears it."
        ) from None
    except psycopg.Error as error:
        raise MigrationError(_said(error)) from None


def _said(error: psycopg.Error) -> str:
    lines = [error.diag.message_primary or " ".join(str(error).split())]
    if error.diag.message_hint:
        lines.append(error.diag.message_hint)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        lines.append("Migrate with the login that owns the schema of pgmedia.")
    return "\n".join(lines)


# Of a table that a bot had before, these keys are pgmedia's own, and needed.
OWN_KEYS = (
    "pgmedia_media_message_id_whatsapp_media_id_key",
    "pgmedia_media_object_id_fkey",
    "pgmedia_media_object_id_idx",
)


def schema_differences(held: set[str]) -> list[str]:
    """What is missing of this version's schema in what a database holds, and what is too much."""
    expected_file = schema_folder() / "schema.txt"
    adopted = [line.removeprefix("adopted ") for line in held if line.startswith("adopted ")]
    expected = set(expected_file.read_text(encoding="utf-8").splitlines())
    for table in adopted:
        lines = {line for line in expected if _is_about(line, table)}
        columns = {
            line.partition(" ")[2].split()[0] for line in lines if line.startswith("column ")
        }
        expected -= {line for line in lines if not any(key in line for key in OWN_KEYS)}
        expected |= {f"adopted {table}"} | {f"column {name}" for name in columns}
    missing = [f"missing: {line}" for line in sorted(expected - held)]
    extra = sorted(line for line in held - expected if not _is_the_bots(line))
    return missing + [f"unexpected: {line}" for line in extra]


def _is_the_bots(line: str) -> bool:
    """A bot may add to messages and media what it likes, but opening them to everybody."""
    to_everybody = line.startswith("grant ") and line.endswith(
        (" public", " anon", " authenticated")
    )
    return not to_everybody and (_is_about(line, "messages") or _is_about(line, "media"))


def _is_about(line: str, table: str) -> bool:
    """Is this line of the schema about the table itself?"""
    return (
        line.startswith((f"table {table} ", f"column {table}."))
        or any(
            words in line
            for words in (f" on {table}: ", f" on {table} to ", f" ON public.{table} USING ")
        )
        or line.endswith(f" on {table}")
    )
