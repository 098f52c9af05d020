"""A cleanup among media that cannot be deleted now, or only slowly."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Connect
from tests.helpers import add_message, media_row, queue_media
from tests.sql.lifecycle import age, all_media, clean_up
from tests.sql.maintenance import maintain, set_clean_up

IS_DONE = "select cleaned_on = (now() at time zone 'utc')::date from media_maintenance"


async def many(db: Any, count: int) -> None:
    """Old media, the first the oldest."""
    await db.execute(
        "insert into media (message_id, whatsapp_media_id, media_type, message_sent_at)"
        " select $1, i, 'image', now() - interval '40 days' + i * interval '1 s'"
        " from generate_series(1, $2::integer) i",
        await add_message(db), count,
    )  # fmt: skip


async def refuse(db: Any, which: str, how: str, before: str = "null") -> None:
    """A trigger of the bot's that refuses to delete some media."""
    await db.execute(
        "create function keep_it() returns trigger language plpgsql as $$ begin"
        f" perform {before}; if old.whatsapp_media_id in ({which}) then {how}; end if;"
        " return old; end $$;"
        " create trigger keep_it before delete on media for each row execute function keep_it()"
    )


async def run(db: Any, **arguments: Any) -> Any:
    named = {"days_old": 30, **arguments}
    call = ", ".join(f"{name} => ${number}" for number, name in enumerate(named, 1))
    return await db.fetchrow(f"select * from run_media_cleanup({call})", *named.values())


async def pieces(db: Any, count: int, until: str = "'infinity'", first: int = 1) -> Any:
    return await db.fetchrow(
        "select d.* from (select array_agg(id order by message_sent_at) as ids from"
        " (select * from media order by message_sent_at limit $1) m) o,"
        f" delete_media_pieces(o.ids, null, $2, {until}) d",
        count, first,
    )  # fmt: skip


async def test_slow_deletions_with_one_in_the_way_all_come_to_an_end(db: Any) -> None:
    """Half a second each: a call is one or two of them, and passes over what alone refuses."""
    await many(db, 5)
    await refuse(db, "'3'", "raise exception 'mine'", "pg_sleep(0.55)")
    left = [await db.fetchval("select count(*) from media")]
    done = {"is_finished": False}
    while not done["is_finished"]:
        await db.execute("set statement_timeout = '5s'")  # a thousand at once would be ten minutes
        done = await run(db)
        left.append(await db.fetchval("select count(*) from media"))
        assert len(left) < 9

    assert left[-1] == 1
    assert max(one - after for one, after in pairwise(left)) <= 2
    assert (done["locked"], done["refused"], done["problem"]) == (0, 1, "mine")


async def test_one_refused_in_a_thousand_keeps_no_other(db: Any) -> None:
    await many(db, 3000)
    await refuse(db, "'990', '1990', '2990'", "raise exception 'mine'")

    done = await run(db)

    assert tuple(done) == (2997, True, 0, 3, "mine")


async def test_time_that_is_up_passes_over_nothing_untried(db: Any) -> None:
    await many(db, 9)
    await refuse(db, "'1', '5'", "raise exception 'mine'")

    assert (await pieces(db, 9, "'-infinity'", 8))["tried"] == 0  # refused, and no time to look
    done = await pieces(db, 9, "'-infinity'")
    assert (done["tried"], done["refused"]) == (1, 1)
    done = await pieces(db, 9)
    assert (done["tried"], done["deleted"], done["refused"]) == (9, 7, 2)


async def test_the_place_stays_before_what_was_not_tried(db: Any) -> None:
    await many(db, 4)
    await db.execute("select hold_media(id, 'x') from media where whatsapp_media_id = '3'")
    gone_on = (
        "select p.refused, (select array_agg(m.whatsapp_media_id) from media m"
        " where (m.message_sent_at, m.id) <= (p.reached_at, p.reached_id)) as behind"
        " from continue_media_cleanup(row('[30, null, null]', '', true, '-infinity', $1, now(),"
        " 0, 0, 0, null), 30, null, false, 100, '-infinity') p"
    )
    await refuse(db, "'1'", "raise exception 'mine'")

    assert tuple(await db.fetchrow(gone_on, UUID(int=0))) == (1, ["1"])


@pytest.mark.parametrize(
    "how",
    [
        "raise exception 'mine' using errcode = 'insufficient_privilege'",
        "raise exception 'mine' using errcode = 'BOT01'",
        "perform 1 / 0",
        "return null",
    ],
)
async def test_whatever_refuses_is_passed_over(db: Any, how: str) -> None:
    await many(db, 20)
    await refuse(db, "'7'", how)

    done = await run(db)

    assert (done["attachments"], done["is_finished"], done["refused"]) == (19, True, 1)


async def test_zero_means_nothing_more(db: Any) -> None:
    """What was released behind the place is looked for in the same call."""
    await many(db, 3)
    oldest = await db.fetchval("select id from media order by message_sent_at limit 1")
    await db.execute("select hold_media($1, 'x')", oldest)
    assert await clean_up(db, at_most=2) == 2
    await db.execute("select release_media_hold($1)", oldest)

    assert await clean_up(db, at_most=2) == 1
    assert await clean_up(db, at_most=2) == 0


async def test_a_passing_lock_does_not_end_the_day(db: Any, connect: Connect) -> None:
    """It is met by one call, and the pass is ended by another one."""
    await many(db, 10_050)  # more than one call deletes
    await set_clean_up(db, "'00:00'")
    await db.execute("update media_maintenance set cleaned_on = cleaned_on - 1")
    other = await connect()
    async with other.transaction():
        await other.execute("select from media order by message_sent_at limit 5 for update")
        counts = [(await maintain(db))["cleaned_media"] for _ in range(4)]
        assert sum(counts) == 10_045
        assert not await db.fetchval(IS_DONE)

    assert (await maintain(db))["cleaned_media"] == 5
    assert not await db.fetchval(IS_DONE)  # it deleted: once more
    assert (await maintain(db))["cleaned_media"] == 0
    assert await db.fetchval(IS_DONE)


async def test_a_refusal_ends_the_day_with_a_warning(db: Any) -> None:
    await many(db, 2)
    await refuse(db, "'1'", "raise exception 'mine'")
    await set_clean_up(db, "'00:00'")
    await db.execute("update media_maintenance set cleaned_on = cleaned_on - 1")
    said: list[str] = []

    def noted(_: Any, message: Any) -> None:
        said.append(str(message.message))

    db.add_log_listener(noted)

    assert [(await maintain(db))["cleaned_media"] for _ in range(2)] == [1, 0]

    assert await db.fetchval(IS_DONE)
    assert said == ["the daily cleanup could not delete 1 attachment: mine"]


async def test_nothing_locked_is_waited_for(db: Any, connect: Connect) -> None:
    """A batch with a locked row in it goes at once, without a try that fails."""
    locked = await age(db, await queue_media(db), 40)
    free = await age(db, await queue_media(db), 35)
    other = await connect()
    async with other.transaction():
        await other.execute("select from media where id = $1 for update", locked)

        done = await db.fetchrow("select * from delete_old_media($1, null, null)", [locked, free])

    assert tuple(done) == (1, 1, 0, None)
    assert await media_row(db, free) is None


async def test_a_hold_that_came_since_the_listing_counts(db: Any) -> None:
    held, free = [await age(db, await queue_media(db), 40) for _ in range(2)]
    await db.execute("select hold_media($1, 'x')", held)

    done = await db.fetchrow("select * from delete_old_media($1, null, null)", [held, free])

    assert tuple(done) == (1, 0, 0, None)
    assert await all_media(db) == {held}
