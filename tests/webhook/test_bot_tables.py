"""Webhook calls into a table that resists: a bot's own columns and triggers, others' locks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from poller.migrate import migrate
from tests.conftest import Connect
from tests.helpers import eventually
from tests.webhook.payloads import PHONE_NUMBER_ID, SENDER, lost, media, message, received
from tests.webhook.test_receive_whatsapp_webhook import receive

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

REFUSE_ONE = """
    create function refuse() returns trigger language plpgsql as $$
    begin
        if new.sender = 'banned' then
            raise exception 'the sender is banned' using errcode = 'BOT01';
        end if;
        return new;
    end $$;
    create trigger refuse before insert on messages for each row execute function refuse();
"""

REFUSE_SOME_MEDIA = """
    create function refuse() returns trigger language plpgsql as $$
    begin
        raise exception 'the caption is rude' using errcode = 'BOT02';
    end $$;
    create trigger refuse before insert on media
        for each row when (new.caption = 'rude') execute function refuse();
    alter table media add constraint no_empty_name check (file_name <> '');
    alter table media add constraint not_everything_is_lost check (failure_text !~ 'sender');
"""

REFUSE_AT_COMMIT = """
    create table customers (name text primary key);
    insert into customers values ('4915112345678');
    alter table messages add foreign key (sender) references customers
        deferrable initially deferred;
    create function refuse() returns trigger language plpgsql as $$
    begin
        raise exception 'the caption is rude' using errcode = 'BOT03';
    end $$;
    create constraint trigger refuse after insert on media deferrable initially deferred
        for each row when (new.caption = 'rude') execute function refuse();
"""

ASSERT_ALL = """
    create function assert_all() returns trigger language plpgsql as $$
    begin
        assert new.sender <> 'banned', 'the sender is banned';
        return new;
    end $$;
    create trigger assert_all before insert on messages
        for each row execute function assert_all();
    create function assert_polite() returns trigger language plpgsql as $$
    begin
        assert new.caption <> 'rude', 'the caption is rude';
        return new;
    end $$;
    create trigger assert_polite before insert on media
        for each row execute function assert_polite();
"""

WAIT_AT_THE_SECOND_ROW = """
    create function wait_at_second() returns trigger language plpgsql as $$
    begin
        if current_setting('test.rows', true) = 'one' then
            perform pg_advisory_xact_lock_shared(1);
        end if;
        perform set_config('test.rows', 'one', true);
        return new;
    end $$;
    create trigger wait_at_second before insert on messages
        for each row execute function wait_at_second();
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


async def test_what_deferred_constraints_refuse_does_not_keep_the_others_out(db: Any) -> None:
    await db.execute(REFUSE_AT_COMMIT)
    good, stranger = [message() for _ in range(5)], message(**{"from": "a stranger"})
    rude = message(image=media(caption="rude"))

    summary = await receive(db, received(*good[:2], stranger, rude, *good[2:]))

    assert (summary["new"], summary["media_queued"]) == (6, 5)
    reasons = sorted(summary["errors"])
    assert reasons[0] == "media_refused: the caption is rude (BOT03)"
    assert reasons[1].startswith("message_refused: insert or update on table")
    assert await db.fetchval("select count(*) from messages") == 6
    assert await db.fetchval("select count(*) from media_processing_queue") == 5


async def test_an_assertion_that_fails_refuses_its_row_alone(db: Any) -> None:
    await db.execute(ASSERT_ALL)
    rude = message(image=media(caption="rude"))

    summary = await receive(db, received(message(), message(**{"from": "banned"}), rude))

    assert (summary["new"], summary["media_queued"]) == (2, 1)
    assert summary["errors"] == {
        "message_refused: the sender is banned (P0004)": 1,
        "media_refused: the caption is rude (P0004)": 1,
    }


async def test_what_a_bots_transaction_has_deferred_stays_deferred(db: Any) -> None:
    """The call comes between a child and its parent, and neither is what keeps messages out."""
    await db.execute(REFUSE_AT_COMMIT)
    await db.execute("""
        create table orders (
            customer text references customers deferrable initially immediate,
            referrer text references customers deferrable initially deferred
        )
    """)
    async with db.transaction():
        await db.execute("insert into orders values ('4915112345678', 'later')")
        summary = await receive(db, received(message()))
        await db.execute("insert into customers values ('later')")
        between = await receive(db, received(message(**{"from": "later"}), message()))
        await db.execute("insert into orders (referrer) values ('much later')")
        await db.execute("insert into customers values ('much later')")
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with db.transaction():
                await db.execute("insert into orders (customer) values ('nobody')")

    assert (summary["new"], summary["media_queued"], summary["errors"]) == (1, 1, {})
    assert (between["new"], between["errors"]) == (2, {})
    assert await db.fetchval("select count(*) from orders") == 2


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


async def test_the_servers_own_faults_are_raised(db: Any, connect: Connect) -> None:
    one, other = message(), await connect()
    async with db.transaction():
        await receive(db, received(one, message()))
        with pytest.raises(asyncpg.LockNotAvailableError):
            await receive(other, received(message(), one))

    assert await db.fetchval("select count(*) from whatsapp_webhook_events") == 1


async def test_two_calls_with_the_same_messages_never_deadlock(db: Any, connect: Connect) -> None:
    """Both calls stand at their second row when the gate opens; unsorted, each held the other's."""
    await db.execute(WAIT_AT_THE_SECOND_ROW)
    one, two = message(id="wamid.1"), message(id="wamid.2")
    first, second = await connect(), await connect()
    async with db.transaction():
        await db.execute("select pg_advisory_xact_lock(1)")
        calls = [
            asyncio.create_task(receive(first, received(one, two))),
            asyncio.create_task(receive(second, received(two, one))),
        ]
        await eventually(lambda: waiting(db, first, second))

    summaries = await asyncio.gather(*calls)

    assert sorted(summary["new"] for summary in summaries) == [0, 2]
    assert sorted(summary["media_queued"] for summary in summaries) == [0, 2]


async def waiting(db: Any, *connections: Any) -> bool:
    """Do all of these wait for a lock?"""
    pids = [connection.get_server_pid() for connection in connections]
    return await db.fetchval(
        "select count(*) = $2 from pg_stat_activity"
        " where pid = any ($1) and wait_event_type = 'Lock'",
        pids, len(pids),
    )  # fmt: skip


async def test_two_calls_that_bring_the_media_of_placeholders(db: Any, connect: Connect) -> None:
    placeholders = [message("media_placeholder", id=f"wamid.{n}") for n in (1, 2)]
    await receive(db, received(*placeholders))
    real = [message(id=one["id"]) for one in placeholders]
    first, second = await connect(), await connect()

    async with first.transaction():
        assert (await receive(first, received(*real)))["media_queued"] == 2
        late = asyncio.create_task(receive(second, received(*reversed(real))))
        await eventually(lambda: waiting(db, second))
    summary = await late

    assert (summary["duplicates"], summary["media_queued"]) == (2, 0)
    assert await db.fetchval("select count(*) from media") == 2
