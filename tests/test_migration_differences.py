"""How `pgmedia migrate` tells what differs from a fresh installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from poller.migrate import schema_folder
from tests.helpers import (
    pgmedia,
    run_module,
    sql,
)
from tests.migrations import CHECKOUT, difference_lines


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("drop index media_queue_due_idx", ["missing: CREATE INDEX media_queue_due_idx"]),
        (
            "alter table media_settings alter column lease drop not null",
            [
                "missing: column media_settings.lease interval not null",
                "unexpected: column media_settings.lease interval default",
            ],
        ),
        (
            "alter table media_objects alter column stored_size type numeric",
            ["missing: column media_objects.stored_size bigint",
             "unexpected: column media_objects.stored_size numeric"],
        ),
        ("alter table media drop column caption", ["missing: column media.caption"]),
        (
            "alter table media_objects disable row level security",
            ["missing: table media_objects with", "unexpected: table media_objects"],
        ),
        ("grant select on media_objects to public", ["unexpected: grant select on media_objects"]),
        (
            "alter table media_buckets drop constraint media_buckets_file_size_limit_check",
            ["missing: constraint media_buckets_file_size_limit_check"],
        ),
        (
            "alter trigger release_media_objects on media rename to another",
            ["unexpected: CREATE TRIGGER another AFTER DELETE"],
        ),
        (
            "alter table media drop constraint pgmedia_media_message_id_whatsapp_media_id_key",
            [
                "missing: CREATE UNIQUE INDEX pgmedia_media_message_id_whatsapp_media_id_key",
                "missing: constraint pgmedia_media_message_id_whatsapp_media_id_key on media",
            ],
        ),
        (
            "drop policy pgmedia_admin_reads on media_pauses",
            ["missing: policy pgmedia_admin_reads on media_pauses"],
        ),
        (
            "drop index pgmedia_media_object_id_idx",
            ["missing: CREATE INDEX pgmedia_media_object_id_idx"],
        ),
        (
            "alter table messages disable row level security; grant all on messages to public",
            ["missing: table messages with row-level", "unexpected: grant select on messages"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_verification_names_what_differs(database: str, change: str, named: list[str]) -> None:
    sql(database, change)

    found = difference_lines(database)

    for words in named:
        assert [line for line in found if line.startswith(words)], found


def test_functions_and_triggers_heal(database: str) -> None:
    sql(database, "drop function delete_media; drop trigger release_media_objects on media")
    sql(database, "grant execute on function retry_media_job to public")

    assert difference_lines(database) == []


def test_what_a_bot_adds_of_its_own_is_no_difference(database: str) -> None:
    sql(database, "alter table media add column note text unique")
    sql(database, "create index on messages (sender)")
    sql(database, "create table media_notes (id uuid)")

    assert difference_lines(database) == []


def test_the_command_fails_on_a_difference(database: str, tmp_path: Path) -> None:
    sql(database, "drop index media_queue_due_idx")

    done = pgmedia("migrate", "--yes", cwd=tmp_path, DATABASE_URL=database)

    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("missing: CREATE INDEX media_queue_due_idx")
    assert lines[1:] == ["the schema differs from version 0.1.0 in 1 place"]
    assert done.stderr == ""


def test_the_committed_schema_is_what_is_written(tmp_path: Path) -> None:
    done = run_module("tests.write_schema", str(tmp_path / "schema.txt"), cwd=CHECKOUT)
    assert (done.returncode, done.stderr) == (0, "")

    assert (tmp_path / "schema.txt").read_text() == (schema_folder() / "schema.txt").read_text()
