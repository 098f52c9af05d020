"""What the bot's database would refuse only at the commit is passed over like any other refusal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import add_message, queue_media, refused
from tests.sql.lifecycle import age, all_media
from tests.sql.maintenance import NOTHING, maintain, set_clean_up

DEFERRED = "references media deferrable initially deferred"
RUN = "select * from run_media_cleanup(30)"


async def tickets(db: Any, of: list[Any], key: str = DEFERRED) -> None:
    await db.execute(f"create table tickets (media_id uuid {key})")
    await db.execute("insert into tickets select unnest($1::uuid[])", of)


async def test_a_deferred_foreign_key_is_heard_before_the_commit(db: Any) -> None:
    rows = [await age(db, await queue_media(db), days) for days in (60, 50, 40)]
    await tickets(db, rows[1:2])

    done = await db.fetchrow(RUN)

    assert tuple(done)[:4] == (2, True, 0, 1)
    assert '"tickets_media_id_fkey"' in done["problem"]
    assert await all_media(db) == {rows[1]}


async def test_refused_rows_among_thousands(db: Any) -> None:
    """Each piece is tried with what the ones before it left pending."""
    await db.execute(
        "insert into media (message_id, whatsapp_media_id, media_type, message_sent_at)"
        " select $1, i, 'image', now() - interval '40 days' + i * interval '1 s'"
        " from generate_series(1, 3000) i",
        await add_message(db),
    )
    kept = {
        row[0]
        for row in await db.fetch("select id from media where whatsapp_media_id in ('9', '2700')")
    }
    await tickets(db, list(kept))
    await db.execute("create index on tickets (media_id)")

    assert tuple(await db.fetchrow(RUN))[:4] == (2998, True, 0, 2)
    assert await all_media(db) == kept


async def test_what_the_caller_has_deferred_stays_so(db: Any) -> None:
    """Of both kinds, one with the name of another one that cannot be deferred."""
    row = await age(db, await queue_media(db), 40)
    await db.execute(
        "create table calls (at int constraint twins unique deferrable initially deferred);"
        "create table other (at int, constraint twins check (at > 0))"
    )
    await tickets(db, [], "unique deferrable")
    await db.execute("alter table tickets add at int unique deferrable initially deferred")
    again = "insert into tickets values ($1, 1)"
    async with db.transaction():
        await db.execute("set constraints all deferred")
        assert tuple(await db.fetchrow(RUN))[:4] == (1, True, 0, 0)
        await db.execute(again, row)
        await db.execute(again, row)
        await db.execute("insert into calls values (1), (1)")
        await db.execute("delete from tickets; delete from calls")


async def test_a_schema_that_is_closed_is_left_to_the_commit(db: Any) -> None:
    row = await age(db, await queue_media(db), 40)
    await db.execute(
        "create schema shut; create table shut.t (at int unique deferrable initially deferred);"
        "create role plain_owner"
    )
    try:
        await tickets(db, [row])
        assert await db.fetchval("select list_deferred_constraints()") == (
            "public.tickets_media_id_fkey, shut.t_at_key"
        )
        await db.execute("grant execute on function list_deferred_constraints to plain_owner;"
                         " set role plain_owner")  # fmt: skip
        assert await db.fetchval("select list_deferred_constraints()") == (
            "public.tickets_media_id_fkey"
        )
    finally:
        await db.execute("reset role; drop owned by plain_owner; drop role plain_owner")


async def test_what_the_caller_owes_already_is_the_callers(db: Any) -> None:
    """Nothing can be told of the media then: its own commit says whether all is well in the end."""
    row = await age(db, await queue_media(db), 40)
    await tickets(db, [])
    async with db.transaction():
        await db.execute("insert into tickets values (gen_random_uuid())")
        assert tuple(await db.fetchrow(RUN))[:4] == (1, True, 0, 0)
        await db.execute("delete from tickets")

    assert row not in await all_media(db)


async def test_maintenance_goes_on_beside_a_deferred_foreign_key(db: Any) -> None:
    rows = [await age(db, await queue_media(db), days) for days in (50, 40)]
    await tickets(db, rows[:1])
    await set_clean_up(db, "'00:00'")
    await db.execute("update media_maintenance set cleaned_on = cleaned_on - 1")

    assert (await maintain(db))["cleaned_media"] == 1
    assert await maintain(db) == NOTHING | {"folded_deltas": 1}  # of the deletion

    assert await all_media(db) == {rows[0]}


@pytest.mark.parametrize("when", ["before", "deferred"])
async def test_a_step_that_the_database_refuses_takes_no_other_with_it(db: Any, when: str) -> None:
    """A trigger of the bot's on a table that maintenance prunes, at once or at the commit."""
    await db.execute("create function no() returns trigger language plpgsql as"
                     " $$ begin assert false, 'mine'; end $$")  # fmt: skip
    await db.execute(
        f"create {'constraint' if when == 'deferred' else ''} trigger no"
        f" {'after' if when == 'deferred' else 'before'} delete on media_pollers"
        f" {'deferrable initially deferred' if when == 'deferred' else ''}"
        " for each row execute function no()"
    )
    await db.execute("select heartbeat_media_poller('gone', '1', 'poll', 0)")
    await db.execute("update media_pollers set seen_at = now() - interval '6 minutes'")

    done = await maintain(db)

    assert done.pop("errors") == {"forgotten_pollers": "P0004: mine"}
    assert "forgotten_pollers" not in done
    assert await db.fetchval("select count(*) from media_pollers") == 1
    assert await db.fetchval("select ran_at > '-infinity' from media_maintenance")


async def test_an_assertion_of_the_bots_is_a_refusal(db: Any) -> None:
    rows = [await age(db, await queue_media(db), days) for days in (50, 40)]
    await db.execute(
        "create function keep() returns trigger language plpgsql as"
        f" $$ begin assert old.id <> '{rows[0]}', 'mine'; return old; end $$;"
        " create trigger keep before delete on media for each row execute function keep()"
    )

    assert tuple(await db.fetchrow(RUN)) == (1, True, 0, 1, "mine")


async def test_delete_media_is_refused_by_the_commit(db: Any) -> None:
    """One attachment: there is nothing to pass over, and the caller gets the database's words."""
    row = await queue_media(db)
    await tickets(db, [row])

    with refused("23503", "tickets_media_id_fkey"):
        await db.execute("select delete_media($1)", row)
