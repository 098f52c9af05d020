"""Tables that a bot had before: adopted, completed, refused, and given back."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from pydantic import SecretStr

from poller.migrate import MigrationError, rollback
from tests.helpers import (
    begin_upload,
    claim,
    finish_upload,
    queue_media,
    sha256,
    sql,
    status,
)
from tests.migrations import OLD_MEDIA, OLD_MESSAGES, OLDER_BOT, catalog, difference_lines, migrated


def refused(dsn: str) -> tuple[str | None, str]:
    """What `migrate` refuses a database with: the SQLSTATE and the message."""
    before = catalog(dsn)
    with pytest.raises(MigrationError) as caught:
        migrated(dsn)
    assert catalog(dsn) == before
    cause = caught.value.__context__
    assert isinstance(cause, psycopg.Error)
    return cause.sqlstate, str(caught.value)


def test_a_taken_name_is_refused(empty_database: str) -> None:
    sql(empty_database, "create table media_objects (id integer)")
    sql(empty_database, "create view media_buckets as select 1 as one")

    assert refused(empty_database) == (
        "MD030",
        "cannot install pgmedia: schema public already has media_buckets, media_objects\n"
        "Rename these relations, then migrate again.",
    )
    sql(empty_database, "alter table media_objects rename to my_objects; drop view media_buckets")
    assert difference_lines(empty_database) == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("media (id integer primary key)", 'media has no primary key "id" of type uuid'),
        ("media (id uuid)", 'media has no primary key "id" of type uuid'),
        (
            "media (id uuid, n integer default 0, primary key (id, n))",
            'media has no primary key "id" of',
        ),
        ("messages (id text primary key)", 'messages has no primary key "id" of type uuid'),
        (
            "media (id uuid primary key, message_id bigint)",
            "media.message_id has type int8; pgmedia needs uuid",
        ),
        (
            "media (id uuid primary key, processed text)",
            "media.processed has type text; pgmedia needs bool",
        ),
        (
            "messages (id uuid primary key, sent_at date)",
            "messages.sent_at has type date; pgmedia needs timestamptz",
        ),
        (
            "media (id uuid primary key, chat_id integer not null)",
            "media.chat_id is not null and has no default, so pgmedia cannot add rows",
        ),
        (
            "messages (id uuid primary key, whatsapp_message_id text unique deferrable)",
            "messages.whatsapp_message_id has a deferrable key; pgmedia needs one that is not",
        ),
    ],
    ids=lambda value: value if " (" in value else "",
)
def test_a_layout_that_does_not_fit_is_refused(
    empty_database: str, table: str, problem: str
) -> None:
    sql(empty_database, f"create table {table}")

    state, message = refused(empty_database)

    assert state == "MD031"
    first, *problems, hint = message.splitlines()
    assert first == "cannot adopt the existing tables of schema public:"
    assert len(problems) == 1
    assert problems[0].startswith(problem)
    assert hint == "Alter or rename what is named, then migrate again."


def test_every_problem_of_a_layout_is_named(empty_database: str) -> None:
    sql(empty_database, "create view messages as select 1 as id")
    sql(
        empty_database,
        "create table media (id text primary key, message_id text, processed int, a int not null)",
    )

    state, message = refused(empty_database)

    assert state == "MD031"
    assert len(message.splitlines()) == 2 + 6


async def test_an_older_bot_is_adopted(empty_database: str) -> None:
    sql(empty_database, OLDER_BOT)
    before = catalog(empty_database)
    rows = sql(empty_database, OLD_MESSAGES), sql(empty_database, OLD_MEDIA)
    assert [len(table) for table in rows] == [3, 3]

    assert difference_lines(empty_database) == []

    assert (sql(empty_database, OLD_MESSAGES), sql(empty_database, OLD_MEDIA)) == rows
    own = [line for line in before if line.startswith("relation") and "relation r" in line]
    assert own == [line for line in catalog(empty_database) if line in own]  # RLS and grants
    await go_the_main_path(empty_database)
    assert (sql(empty_database, OLD_MESSAGES), sql(empty_database, OLD_MEDIA)) == rows

    rollback(SecretStr(empty_database))

    assert catalog(empty_database) == before
    assert (sql(empty_database, OLD_MESSAGES), sql(empty_database, OLD_MEDIA)) == rows
    assert difference_lines(empty_database) == []


async def go_the_main_path(dsn: str) -> None:
    db: Any = await asyncpg.connect(dsn)
    try:
        old_message, old_media = await db.fetchrow(
            "select message_id, id from media where storage_path = 'old/wamid.1'"
        )
        media = await queue_media(db, "1234", message_id=old_message, mime_type="image/jpeg")
        assert media == await queue_media(db, "1234", message_id=old_message)
        repeat = await queue_media(db, "5678")
        tokens = await claim(db)
        assert set(tokens) == {media, repeat}
        begun = await begin_upload(db, media, tokens[media], content_hash=sha256(b"content"))
        assert begun["verdict"] == "upload"
        joined = await begin_upload(db, repeat, tokens[repeat], content_hash=sha256(b"content"))
        assert joined["verdict"] == "joined"
        assert await finish_upload(db, media, tokens[media], begun["object_id"]) == 1
        assert [(await status(db, one))["status"] for one in (media, repeat)] == ["stored"] * 2
        (found,) = await db.fetch("select * from check_media_exists($1)", sha256(b"content"))
        assert found["object_id"] == begun["object_id"]
        listed = await db.fetch("select * from get_media_by_message($1)", old_message)
        assert {row["id"] for row in listed} == {old_media, media}
    finally:
        await db.close()


@pytest.mark.parametrize(
    "layout",
    [
        "create table messages (id uuid primary key);"
        "alter table messages enable row level security",
        "create table media (id uuid primary key, message_id uuid, whatsapp_media_id varchar(50))",
        "create table messages (id uuid primary key, whatsapp_message_id varchar(100) not null,"
        " created_at timestamp not null default now());"
        "create table media (id uuid primary key, message_id uuid not null,"
        " file_size numeric, created_at timestamp default now())",
    ],
    ids=["messages", "media", "both"],
)
async def test_parts_of_an_older_layout(empty_database: str, layout: str) -> None:
    sql(empty_database, layout)
    before = catalog(empty_database)

    assert difference_lines(empty_database) == []

    db: Any = await asyncpg.connect(empty_database)
    message = await db.fetchval(
        "insert into messages (id, whatsapp_message_id) values ($1, 'wamid.x') returning id",
        uuid4(),
    )
    media = await queue_media(db, "1234", message_id=message)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=sha256(b"x"))
    await finish_upload(db, media, token, begun["object_id"])
    assert (await status(db, media))["status"] == "stored"
    await db.close()
    rollback(SecretStr(empty_database))
    assert catalog(empty_database) == before
