"""Webhook calls into tables that a bot had before: its own columns, rows and triggers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
from pydantic import SecretStr

from poller.migrate import migrate
from tests.webhook.calls import receive
from tests.webhook.payloads import (
    PHONE_NUMBER_ID,
    SENDER,
    lost,
    media,
    message,
    received,
)
from tests.webhook.triggers import REFUSE_ONE

BOT_TABLES = """
    create table messages (
        id uuid primary key,
        whatsapp_message_id varchar(100) unique,
        sender varchar(20),
        raw_payload json,
        created_at timestamp not null,
        mood text not null default 'good'
    );
    create table media (id uuid primary key, caption varchar(10));
"""


async def test_a_bots_own_tables(empty_database: str) -> None:
    db: Any = await asyncpg.connect(empty_database)
    await db.execute(BOT_TABLES)
    await asyncio.to_thread(migrate, SecretStr(empty_database))

    summary = await receive(db, received(message("video"), message("text")))

    assert (summary["new"], summary["media_queued"], summary["errors"]) == (2, 1, {})
    assert await db.fetchval("select count(*) from messages where mood = 'good'") == 2
    await db.close()


async def test_a_column_that_pgmedia_cannot_fill_is_named(db: Any) -> None:
    await db.execute("alter table messages add customer integer not null")
    payload = received(message(), message())

    summary = await receive(db, payload)

    reason = (
        'message_refused: null value in column "customer" of relation "messages"'
        " violates not-null constraint (23502)"
    )
    assert summary["errors"] == {reason: 2}
    assert (summary["new"], summary["duplicates"], summary["media_queued"]) == (0, 0, 0)

    await db.execute("alter table messages alter customer set default 1")
    replayed = await db.fetchval("select replay_whatsapp_webhook($1)", summary["event_id"])
    assert json.loads(replayed) | {"event_id": 0} == {
        "event_id": 0, "messages": 2, "new": 2, "duplicates": 0,
        "media_queued": 2, "media_failed": 0, "media_deleted": 0,
        "ignored": {}, "errors": {},
    }  # fmt: skip


async def test_what_a_bot_left_null_is_filled_in(db: Any) -> None:
    await db.execute("insert into messages (whatsapp_message_id) values ('wamid.1'), ('wamid.2')")

    summary = await receive(db, received(message(id="wamid.1"), lost(id="wamid.2")))

    assert (summary["media_queued"], summary["media_failed"]) == (1, 1)
    for row in await db.fetch("select *, extract(epoch from sent_at)::int as epoch from messages"):
        assert (row["phone_number_id"], row["sender"]) == (PHONE_NUMBER_ID, SENDER)
        assert (row["message_type"], row["epoch"]) == ("image", 1732000000)
        assert json.loads(row["raw_payload"])["id"] == row["whatsapp_message_id"]
    source = await db.fetchval("select source from media_processing_queue")
    assert source == f"whatsapp:{PHONE_NUMBER_ID}"
    times = await db.fetch("select extract(epoch from message_sent_at)::int from media")
    assert [row[0] for row in times] == [1732000000] * 2


async def test_what_a_bot_filled_in_stays(db: Any) -> None:
    await db.execute(
        "insert into messages (whatsapp_message_id, phone_number_id, sender, message_type,"
        " text_body, sent_at, raw_payload)"
        " values ('wamid.1', '1', 'Ana', 'photo', 'mine', '2020-01-01Z', '{\"mine\": 1}')"
    )
    before = await db.fetchrow("select *, xmin::text from messages")

    assert (await receive(db, received(message(id="wamid.1"))))["media_queued"] == 1

    assert await db.fetchrow("select *, xmin::text from messages") == before
    assert await db.fetchval("select source from media_processing_queue") == "whatsapp:1"


DROP_SILENTLY = """
    create function drop_silently() returns trigger language plpgsql as $$
    begin
        return null;
    end $$;
    create trigger drop_silently before insert on messages
        for each row when (new.sender = 'banned') execute function drop_silently();
    create trigger drop_silently before insert on media
        for each row when (new.caption = 'rude') execute function drop_silently();
    create function change_id() returns trigger language plpgsql as $$
    begin
        new.whatsapp_message_id := lower(new.whatsapp_message_id);
        return new;
    end $$;
    create trigger change_id before insert on messages for each row execute function change_id();
"""


async def test_what_triggers_drop_without_an_error_is_counted(db: Any) -> None:
    await db.execute(REFUSE_ONE.replace("banned", "refused") + DROP_SILENTLY)
    dropped, refused = message(**{"from": "banned"}), message(**{"from": "refused"})
    changed, rude = message(id="WAMID.X"), message(image=media(caption="rude"))

    summary = await receive(db, received(message(), dropped, refused, changed, rude))

    assert (summary["new"], summary["duplicates"], summary["media_queued"]) == (2, 0, 1)
    assert summary["errors"] == {
        "message_refused: the sender is refused (BOT01)": 1,
        "message_not_stored": 2,
        "media_not_stored": 1,
    }


REFUSE_CHANGES = """
    create function refuse_change() returns trigger language plpgsql as $$
    begin
        raise exception 'messages stay as they are' using errcode = 'BOT05';
    end $$;
    create trigger refuse_change before update on messages
        for each row execute function refuse_change();
"""


async def test_media_of_a_message_that_is_not_to_be_filled_in_are_fetched_by_their_number(
    db: Any,
) -> None:
    """The message is there, so its file is not lost: asked for by the number of the call."""
    await db.execute(REFUSE_CHANGES)
    await db.execute("insert into messages (whatsapp_message_id) values ('wamid.1')")

    summary = await receive(db, received(message(id="wamid.1"), message()))

    assert (summary["new"], summary["duplicates"], summary["media_queued"]) == (1, 0, 2)
    assert summary["errors"] == {"message_refused: messages stay as they are (BOT05)": 1}
    sources = await db.fetch("select distinct source from media_processing_queue")
    assert [row["source"] for row in sources] == [f"whatsapp:{PHONE_NUMBER_ID}"]


async def test_what_is_refused_hides_nothing_of_what_is_dropped(db: Any) -> None:
    """One message is there and refused, another is dropped: each is counted as what it is."""
    await db.execute(REFUSE_CHANGES + DROP_SILENTLY)
    await db.execute("insert into messages (whatsapp_message_id) values ('wamid.1')")
    twice, dropped = message("text", id="wamid.2"), message(**{"from": "banned"})

    summary = await receive(db, received(message("text", id="wamid.1"), dropped, twice, twice))

    assert (summary["messages"], summary["new"], summary["duplicates"]) == (4, 1, 1)
    assert summary["errors"] == {
        "message_refused: messages stay as they are (BOT05)": 1,
        "message_not_stored": 1,
    }


async def test_media_refused_beside_media_dropped(db: Any) -> None:
    await db.execute(DROP_SILENTLY)
    await db.execute("alter table media add constraint no_name check (file_name is null)")
    rude = message(image=[media(caption="rude"), media(caption="rude"), media()])

    summary = await receive(db, received(message("document"), rude))

    assert summary["media_queued"] == 1
    assert sorted(summary["errors"].values()) == [1, 2]
    assert summary["errors"]["media_not_stored"] == 2
