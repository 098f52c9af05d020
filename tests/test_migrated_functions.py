"""Functions on migration: changed, removed, renewed; and what a bot has of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from poller.migrate import MigrationError, rollback
from tests.helpers import (
    sql,
)
from tests.migrations import change_file, db_folder, difference_lines, functions_named, migrated

__all__ = ["db_folder"]


def test_a_changed_function_needs_no_migration(database: str, db_folder: Path) -> None:
    change_file(
        db_folder / "functions/api/get_media_storage_stats.sql",
        ("as $$\n", "as $$\n    -- as it is now\n"),
    )

    done = migrated(database)

    assert done.applied == []
    assert len(done.differences) == 2  # schema.txt tells of the older body
    source = "select prosrc from pg_proc where proname = 'get_media_storage_stats'"
    ((text,),) = sql(database, source)
    assert "as it is now" in text


def test_a_function_without_a_file_goes(database: str, db_folder: Path) -> None:
    (db_folder / "functions/api/check_media_exists.sql").unlink()

    migrated(database)

    assert sql(database, "select to_regprocedure('check_media_exists(text)')") == [(None,)]


def test_a_changed_signature_replaces_the_old_one(database: str, db_folder: Path) -> None:
    file = db_folder / "functions/api/check_media_exists.sql"
    change_file(file, ("exists(content_hash text)", "exists(content_hash text, x int)"))

    migrated(database)

    assert functions_named("check_media_exists", database) == ["check_media_exists(text,integer)"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("stored_at timestamptz", "stored_at text"), ("(content_hash text)", "(p_hash text)")],
    ids=["columns", "name of an argument"],
)
def test_what_cannot_be_replaced_is_made_anew(
    database: str, db_folder: Path, old: str, new: str
) -> None:
    change_file(db_folder / "functions/api/check_media_exists.sql", (old, new))

    migrated(database)

    ((described,),) = sql(
        database,
        "select pg_get_function_arguments(oid) || pg_get_function_result(oid)"
        " from pg_proc where proname = 'check_media_exists'",
    )
    assert new.strip("()") in described
    grants = [line for line in difference_lines(database) if "grant" in line]
    assert grants == []


def test_an_overload_of_the_bot_is_left_alone(empty_database: str, db_folder: Path) -> None:
    own = "create function check_media_exists({}) returns integer language sql as 'select 1'"
    sql(empty_database, own.format("integer"))
    assert difference_lines(empty_database) == []
    sql(empty_database, own.format("bigint"))
    assert difference_lines(empty_database) == []
    (db_folder / "functions/api/check_media_exists.sql").unlink()
    migrated(empty_database)

    named = functions_named("check_media_exists", empty_database)
    assert named == ["check_media_exists(bigint)", "check_media_exists(integer)"]
    rollback(SecretStr(empty_database))
    assert functions_named("check_media_exists", empty_database) == named


def test_a_function_of_the_bot_is_not_replaced(empty_database: str) -> None:
    sql(
        empty_database,
        "create function delete_media(id uuid) returns integer language sql as 'select 1'",
    )

    with pytest.raises(MigrationError, match='function "delete_media" already exists'):
        migrated(empty_database)

    ((source,),) = sql(empty_database, "select prosrc from pg_proc where proname = 'delete_media'")
    assert source == "select 1"
