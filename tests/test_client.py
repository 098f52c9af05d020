"""The Python client: each call one SQL function, in the rights of a bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from poller.client import (
    HeldError,
    InvalidMediaError,
    MediaClient,
    MediaError,
    UnknownMediaError,
    UnknownMessageError,
)
from poller.sandbox.samples import SAMPLES
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import POLLER_PASSWORD, StartPoller
from tests.helpers import add_message, as_user, claim, create_login, eventually, fail, sha256, store

USER = "pgmedia_test_bot"
JPEG = SAMPLES[0].read()


@pytest.fixture
async def client(db: Any, database: str) -> AsyncIterator[MediaClient]:
    """A client as media_client alone."""
    await db.execute(create_login(USER, POLLER_PASSWORD, "media_client"))
    async with await MediaClient.connect(as_user(database, USER, POLLER_PASSWORD)) as opened:
        yield opened


@pytest.fixture
async def admin(operator: str) -> AsyncIterator[MediaClient]:
    async with await MediaClient.connect(operator) as opened:
        yield opened


async def test_the_four_calls_from_message_to_deletion(
    db: Any, client: MediaClient, admin: MediaClient, whatsapp: WhatsAppApi,
    start_poller: StartPoller,
) -> None:  # fmt: skip
    message = await add_message(db)
    await start_poller()
    media_id = whatsapp.add_media(JPEG, "image/jpeg")

    done = await client.process_media(
        message, media_id, media_type="image", file_name="a.jpg", caption="at sea", wait=60
    )

    assert (done.status, done.bucket_name) == ("stored", "images")
    assert done.public_url
    (there,) = await client.check_media_exists(sha256(JPEG))
    assert (there.storage_path, there.file_size) == (done.storage_path, len(JPEG))
    (attachment,) = await client.get_media_by_message(message)
    assert (attachment.id, attachment.caption) == (done.media_id, "at sea")
    assert attachment.content_hash == sha256(JPEG)
    again = await client.process_media(message, media_id)
    assert (again.media_id, again.status) == (done.media_id, "stored")
    assert await admin.delete_media(done.media_id) is True
    assert await admin.delete_media(done.media_id) is False
    assert await client.get_media_by_message(message) == []
    assert await client.check_media_exists(sha256(JPEG)) == []


async def test_all_arguments_arrive(db: Any, client: MediaClient) -> None:
    message = await add_message(db)

    queued = await client.process_media(
        message, "4711", media_type="document", mime_type="application/pdf", file_name="a.pdf",
        caption="the figures", file_size=12, sha256=sha256(b"x"), priority=2,
    )  # fmt: skip

    row = await db.fetchrow(
        "select m.*, q.priority from media m join media_processing_queue q using (id)"
    )
    assert (queued.status, queued.attempts) == ("pending", 0)
    assert (row["id"], row["message_id"], row["priority"]) == (queued.media_id, message, 2)
    assert (row["media_type"], row["mime_type"], row["file_name"], row["caption"]) == (
        "document", "application/pdf", "a.pdf", "the figures",
    )  # fmt: skip
    assert (row["file_size"], row["whatsapp_sha256"]) == (12, sha256(b"x"))


async def test_a_wait_ends_with_its_time_or_with_a_failure(db: Any, client: MediaClient) -> None:
    message = await add_message(db)
    assert (await client.process_media(message, "4711", wait=0.2)).status == "pending"
    waiting = asyncio.create_task(client.process_media(message, "4711", wait=30))
    held = await claim(db)
    ((media, token),) = held.items()
    await fail(db, media, token, code="100")

    done = await waiting

    assert (done.status, done.error_code) == ("failed", "media_expired_or_foreign")


async def test_no_connection_is_held_nor_leaked(db: Any, database: str) -> None:
    """Many wait at once on a pool of one connection; one is cancelled, one's media is deleted."""
    pool: Any = await asyncpg.create_pool(database, min_size=1, max_size=1)
    client = MediaClient(pool)
    message = await add_message(db)
    waiting = [
        asyncio.create_task(client.process_media(message, str(number), wait=30))
        for number in range(10)
    ]
    await eventually(lambda: all_queued(db, 10))
    waiting[0].cancel()
    await db.execute("delete from media where whatsapp_media_id = '1'")
    await db.execute("select cancel_media(id) from media")

    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    assert isinstance(answers[1], UnknownMediaError)
    assert {getattr(one, "status", None) for one in answers[2:]} == {"cancelled"}
    await client.close()  # it is not the client's
    assert (pool.get_size(), pool.get_idle_size()) == (1, 1)
    await pool.close()


async def all_queued(db: Any, count: int) -> bool:
    return await db.fetchval("select count(*) from media") == count


async def test_a_message_and_its_media_in_one_transaction(db: Any, connect: Any) -> None:
    connection = await connect()
    client = MediaClient(connection)
    transaction = connection.transaction()
    await transaction.start()
    message = await add_message(connection)
    with pytest.raises(ValueError, match="before this transaction commits"):
        await client.process_media(message, "4711", wait=1)
    assert (await client.process_media(message, "4711")).status == "pending"
    await transaction.rollback()
    assert await all_queued(db, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "sqlstate", "words"),
    [
        ({"media_type": "hologram"}, InvalidMediaError, "MD011", "'hologram'"),
        ({"priority": 11}, InvalidMediaError, "MD012", "priority 11"),
        ({"sha256": "junk"}, InvalidMediaError, "MD013", "'junk'"),
        ({"whatsapp_media_id": ""}, InvalidMediaError, "MD014", "empty"),
        ({"file_size": -1}, InvalidMediaError, "MD015", "-1"),
        ({"message_id": uuid4()}, UnknownMessageError, "MD010", "does not exist"),
    ],
)
async def test_bad_input_is_a_typed_error(
    db: Any, client: MediaClient, arguments: dict[str, Any], error: type[MediaError],
    sqlstate: str, words: str,
) -> None:  # fmt: skip
    call: dict[str, Any] = {
        "message_id": await add_message(db),
        "whatsapp_media_id": "4711",
    } | arguments

    with pytest.raises(error, match=words) as caught:
        await client.process_media(**call)

    assert caught.value.sqlstate == sqlstate
    assert caught.value.hint
    assert isinstance(caught.value, ValueError) == (error is InvalidMediaError)


async def test_other_errors(db: Any, client: MediaClient, admin: MediaClient) -> None:
    media = await store(db, sha256(b"x"))
    await db.execute("select hold_media($1, 'case 12')", media)
    with pytest.raises(HeldError, match="case 12"):
        await admin.delete_media(media)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await client.delete_media(media)
    with pytest.raises(InvalidMediaError):
        await client.check_media_exists("junk")


def test_the_document_names_what_there_is() -> None:
    text = (Path(__file__).parents[1] / "docs" / "client.md").read_text(encoding="utf-8")
    for name in ("process_media", "check_media_exists", "get_media_by_message", "delete_media"):
        assert f"| `{name}` |" in text
        assert callable(getattr(MediaClient, name))
