"""Messages and media that a bot's checks and triggers refuse."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from tests.webhook.calls import receive
from tests.webhook.payloads import (
    lost,
    media,
    message,
    received,
)
from tests.webhook.triggers import ASSERT_ALL, REFUSE_ONE, REFUSE_SOME_MEDIA


async def test_one_refused_message_does_not_keep_the_others_out(db: Any) -> None:
    await db.execute(REFUSE_ONE)
    good, bad = [message(), message()], message(**{"from": "banned"})

    summary = await receive(db, received(good[0], bad, good[1]))

    assert (summary["new"], summary["media_queued"]) == (2, 2)
    assert summary["errors"] == {"message_refused: the sender is banned (BOT01)": 1}


async def test_refused_messages_among_many_are_found(db: Any) -> None:
    await db.execute(REFUSE_ONE)
    messages = [message() for _ in range(41)]
    for place in (0, 13, 14, 40):
        messages[place]["from"] = "banned"

    summary = await receive(db, received(*messages))

    assert (summary["new"], summary["duplicates"], summary["media_queued"]) == (37, 0, 37)
    assert summary["errors"] == {"message_refused: the sender is banned (BOT01)": 4}


async def test_refused_media_does_not_keep_the_others_out(db: Any) -> None:
    await db.execute(REFUSE_SOME_MEDIA)
    rude = message(image=media(caption="rude"))
    nameless = message("document", document=media("document", filename=""))
    gone, other = lost(), lost(errors=[{"code": 131052}])
    good = [message() for _ in range(9)]

    summary = await receive(db, received(*good[:4], rude, gone, *good[4:], nameless, other))

    assert (summary["new"], summary["media_queued"], summary["media_failed"]) == (13, 9, 1)
    refused = 'media_refused: new row for relation "media" violates check constraint'
    assert summary["errors"] == {
        "media_refused: the caption is rude (BOT02)": 1,
        f'{refused} "no_empty_name" (23514)': 1,
        f'{refused} "not_everything_is_lost" (23514)': 1,
    }
    assert await db.fetchval("select count(*) from media") == 10
    for table in ("media_processing_queue", "media_audit_log"):
        lonely = (
            f"select count(*) from {table} t where not exists (select from media m where m.id = "
        )
        column = "t.id" if table == "media_processing_queue" else "t.media_id"
        assert await db.fetchval(lonely + column + ")") == 0
    assert await db.fetchval("select count(*) from media_processing_queue") == 9

    await db.execute("drop trigger refuse on media")
    replayed = await db.fetchval("select replay_whatsapp_webhook($1)", summary["event_id"])
    assert (json.loads(replayed)["new"], json.loads(replayed)["media_queued"]) == (0, 1)


async def test_an_assertion_that_fails_refuses_its_row_alone(db: Any) -> None:
    await db.execute(ASSERT_ALL)
    rude = message(image=media(caption="rude"))

    summary = await receive(db, received(message(), message(**{"from": "banned"}), rude))

    assert (summary["new"], summary["media_queued"]) == (2, 1)
    assert summary["errors"] == {
        "message_refused: the sender is banned (P0004)": 1,
        "media_refused: the caption is rude (P0004)": 1,
    }


async def test_a_row_the_queue_refuses_leaves_no_media_row(db: Any) -> None:
    await db.execute("alter table media_processing_queue add check (source_url is null)")
    bad, good = message(image=media(url="https://example.com/1")), message()

    summary = await receive(db, received(bad, good))

    assert summary["media_queued"] == 1
    assert [reason.partition(":")[0] for reason in summary["errors"]] == ["media_refused"]
    for table in ("media", "media_audit_log", "media_processing_queue"):
        assert await db.fetchval(f"select count(*) from {table}") == 1


async def test_a_fault_of_the_server_among_the_media_is_raised(db: Any) -> None:
    await db.execute(REFUSE_SOME_MEDIA.replace("BOT02", "53100"))

    with pytest.raises(asyncpg.DiskFullError):
        await receive(db, received(message(image=media(caption="rude")), message()))

    assert await db.fetchval("select count(*) from messages") == 0
