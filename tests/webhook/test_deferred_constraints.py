"""What would only be refused at the commit is refused alone, and found in linear time."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.webhook.calls import receive
from tests.webhook.payloads import (
    media,
    message,
    received,
)
from tests.webhook.triggers import REFUSE_AT_COMMIT


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


COUNT_CHECKS = """
    create sequence checks;
    create function check_later() returns trigger language plpgsql as $$
    begin
        perform nextval('public.checks'); -- also counts what is taken back
        if new.sender = 'banned' then
            raise exception 'the sender is banned' using errcode = 'BOT04';
        end if;
        return null;
    end $$;
    create constraint trigger check_later after insert on messages deferrable initially deferred
        for each row execute function check_later();
"""


async def test_the_checks_grow_with_the_messages_not_with_their_square(db: Any) -> None:
    """Every tenth is refused: by halves, a message is checked once for each halving at most."""
    await db.execute(COUNT_CHECKS)
    size, halvings = 640, 10
    messages = [message(**({"from": "banned"} if n % 10 == 0 else {})) for n in range(size)]

    summary = await receive(db, received(*messages))

    assert (summary["new"], summary["media_queued"], summary["duplicates"]) == (576, 576, 0)
    assert summary["errors"] == {"message_refused: the sender is banned (BOT04)": 64}
    checks = await db.fetchval("select last_value from checks")
    most_for_all_together = 4 * size  # the first try, what is kept, its media, the commit
    assert checks <= halvings * size + most_for_all_together


async def test_messages_that_only_fail_together_are_found(db: Any) -> None:
    """Each of a pair goes in alone: what is refused is the second one."""
    await db.execute(COUNT_CHECKS)
    await db.execute("create unique index on messages (text_body)")
    texts = ["a", "b", "b", "c", "a", "d"]
    messages = [message("text", text={"body": text}) for text in texts]

    summary = await receive(db, received(*messages, message(**{"from": "banned"})))

    assert (summary["new"], summary["duplicates"], summary["media_queued"]) == (4, 0, 0)
    assert sorted(summary["errors"].values()) == [1, 2]


async def test_without_anything_deferrable_no_check_is_made(db: Any) -> None:
    assert await db.fetchval("select deferred_constraints_matter()") is False

    await db.execute("create table one (id integer primary key deferrable)")

    assert await db.fetchval("select deferred_constraints_matter()") is True


FULL_AT_COMMIT = """
    create function refuse_later() returns trigger language plpgsql as $$
    begin
        if new.sender = 'banned' then
            raise exception 'the sender is banned' using errcode = 'BOT01';
        elsif new.sender = 'unlucky' then
            raise exception 'no space left' using errcode = '53100';
        end if;
        return null;
    end $$;
    create constraint trigger refuse_later after insert on messages deferrable initially deferred
        for each row execute function refuse_later();
"""


async def test_a_fault_of_the_server_is_no_refusal_when_rows_are_tried_again(db: Any) -> None:
    await db.execute(FULL_AT_COMMIT)
    banned, unlucky = (message(**{"from": sender}) for sender in ("banned", "unlucky"))

    with pytest.raises(asyncpg.DiskFullError):
        await receive(db, received(banned, message(), unlucky))

    assert await db.fetchval("select count(*) from messages") == 0


async def test_a_deferrable_key_of_the_bots_on_media_is_no_hindrance(db: Any) -> None:
    await db.execute(
        "alter table media add unique (message_id, whatsapp_media_id) deferrable initially deferred"
    )

    summary = await receive(db, received(message(), message()))

    assert (summary["new"], summary["media_queued"], summary["errors"]) == (2, 2, {})


async def test_a_deferrable_key_on_messages_is_named_with_every_message(db: Any) -> None:
    """One that was added later: the migration refuses such a table."""
    await db.execute("alter table messages add unique (whatsapp_message_id) deferrable")

    summary = await receive(db, received(message()))

    (error,) = summary["errors"]
    assert error.startswith("message_refused: ON CONFLICT does not support deferrable")
