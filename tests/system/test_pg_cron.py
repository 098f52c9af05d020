"""pg_cron runs maintenance, for real: Debian's, which fires once a minute at the most.

Needs Debian's postgresql-15-cron; run by .ci/run, not by `make test`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from poller.migrate import migrate
from poller.sandbox.postgres import FAST_AND_FORGETFUL, PostgresServer
from tests.helpers import eventually, queue_media, sha256, sql, store

DEBIANS = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(params=["off", "on"], ids=["by connections", "by background workers"])
def bot(request: pytest.FixtureRequest) -> Iterator[str]:
    """DSN of a database with pgmedia and pg_cron, as its owner, who is no superuser."""
    settings = FAST_AND_FORGETFUL | {
        "shared_preload_libraries": "pg_cron",
        "cron.database_name": "bot",
        "cron.host": "127.0.0.1",
        "cron.use_background_workers": request.param,
    }
    with PostgresServer(DEBIANS, settings=settings) as server:
        sql(server.dsn(), "create role bot login createrole")
        sql(server.dsn(), "create database bot owner bot")
        sql(server.dsn("bot"), "create extension pg_cron")
        sql(server.dsn("bot"), "grant usage on schema cron to bot")
        sql(server.dsn("bot"), "grant create on schema public to bot")
        owner = server.dsn("bot", "bot")
        migrate(SecretStr(owner))
        sql(server.dsn(), "create role operator login in role media_admin")
        yield owner


async def test_it_fires(bot: str) -> None:
    db, operator = await asyncpg.connect(bot), await asyncpg.connect(bot, user="operator")
    try:
        await store(db, sha256(b"x"))
        old = await queue_media(db)
        await db.execute(
            "update media set message_sent_at = now() - interval '99 days' where id = $1", old
        )
        schedule = "select schedule_media_maintenance(90, '00:00')"
        await operator.execute(schedule)
        asked = json.loads(await operator.fetchval(schedule))  # changes nothing
        await db.execute("update media_maintenance set cleaned_on = '-infinity'")

        assert asked["pg_cron"] is True
        jobs = await db.fetch("select jobname, schedule, username, database from cron.job")
        assert [tuple(job) for job in jobs] == [("pgmedia maintenance", "* * * * *", "bot", "bot")]
        await eventually(lambda: db.fetchval("select count(*) = 1 from media_analytics"), 90)
        assert await db.fetchval("select count(*) from media where id = $1", old) == 0

        await eventually(  # noted after it is done
            lambda: db.fetchval("select status = 'succeeded' from cron.job_run_details")
        )
        old_runs = "update cron.job_run_details set end_time = now() - interval '8 days'"
        sql(bot.replace("bot@", "postgres@"), old_runs)
        done = json.loads(await db.fetchval("select run_media_maintenance()"))
        assert done["pruned_cron_runs"] == 1
        sql(bot.replace("bot@", "postgres@"),
            "insert into cron.job_run_details (jobid, runid, username, command)"
            " select jobid, -1, 'bot', command from cron.job"
            " union all select -1, -2, 'bot', 'select 1'")  # fmt: skip
        assert await operator.fetchval("select unschedule_media_maintenance()") is True
        left = await db.fetch("select command from cron.job_run_details")
        assert [row[0] for row in left] == ["select 1"]
        assert await operator.fetchval("select unschedule_media_maintenance()") is False
        assert await db.fetchval("select count(*) from cron.job") == 0
    finally:
        await operator.close()
        await db.close()


async def test_a_schedule_that_is_none_changes_nothing(bot: str) -> None:
    db = await asyncpg.connect(bot)
    try:
        with pytest.raises(asyncpg.PostgresError, match="now and then"):
            await db.execute("select schedule_media_maintenance(30, schedule => 'now and then')")
        assert await db.fetchval("select cleanup_days from media_settings") is None
    finally:
        await db.close()


async def test_a_pg_cron_that_may_not_be_used_says_what_to_grant(bot: str) -> None:
    superuser = bot.replace("bot@", "postgres@")
    sql(superuser, "revoke usage on schema cron from bot")
    db, operator = await asyncpg.connect(bot), await asyncpg.connect(bot, user="operator")
    try:
        for call in ("schedule_media_maintenance(30)", "unschedule_media_maintenance()"):
            with pytest.raises(asyncpg.PostgresError, match="the role bot, which owns") as raised:
                await operator.execute(f"select {call}")
            assert raised.value.sqlstate == "MD025"
            assert "grant usage on schema cron to bot" in str(raised.value.hint)
        assert await db.fetchval("select cleanup_days from media_settings") is None
        done = json.loads(await db.fetchval("select run_media_maintenance()"))
        assert (done["pruned_cron_runs"], "errors" in done) == (0, False)

        sql(superuser, "grant usage on schema cron to bot")
        asked = json.loads(await operator.fetchval("select schedule_media_maintenance(30)"))
        assert asked["pg_cron"] is True
    finally:
        await operator.close()
        await db.close()


async def test_many_at_once_with_pg_cron_do_the_work_once(bot: str) -> None:
    """Pollers and pg_cron come together: one keeps house, the others are told so."""
    connections = [await asyncpg.connect(bot) for _ in range(8)]
    try:
        for number in range(20):
            await store(connections[0], sha256(str(number).encode()))
        calls = [db.fetchval("select run_media_maintenance('10 s')") for db in connections]
        done = [json.loads(answer) for answer in await asyncio.gather(*calls)]
        assert sum(one.get("folded_deltas", 0) for one in done) == 20
        assert len([one for one in done if "skipped" not in one]) == 1
        assert not [one for one in done if "errors" in one]
    finally:
        for db in connections:
            await db.close()


NAME = "pgmedia maintenance"
JOBS = "select jobname, active from cron.job order by jobid"


async def test_a_job_that_was_switched_off_or_renamed_is_made_anew(bot: str) -> None:
    superuser = bot.replace("bot@", "postgres@")
    db, operator = await asyncpg.connect(bot), await asyncpg.connect(bot, user="operator")
    schedule = "select schedule_media_maintenance(30)"
    try:
        for change in ("active = false", "jobname = 'mine'", "jobname = null"):
            await operator.execute(schedule)
            sql(superuser, f"update cron.job set {change}")
            await operator.execute(schedule)
            assert [tuple(job) for job in await db.fetch(JOBS)] == [(NAME, True)]
        job = await db.fetchval("select jobid from cron.job")
        await operator.execute(schedule)
        assert await db.fetchval("select jobid from cron.job") == job  # a good one stays

        sql(superuser, "update cron.job set jobname = 'mine'")
        assert await operator.fetchval("select unschedule_media_maintenance()") is True
        assert await db.fetch(JOBS) == []
    finally:
        await operator.close()
        await db.close()


async def test_a_job_for_another_database_is_not_taken_over(bot: str) -> None:
    db, operator = await asyncpg.connect(bot), await asyncpg.connect(bot, user="operator")
    try:
        await operator.execute("select schedule_media_maintenance()")
        sql(bot.replace("bot@", "postgres@"), "update cron.job set database = 'postgres'")

        with pytest.raises(asyncpg.PostgresError, match="for the database postgres") as raised:
            await operator.execute("select schedule_media_maintenance(30)")
        assert raised.value.sqlstate == "MD025"
        assert await db.fetchval("select cleanup_days from media_settings") is None
        assert await operator.fetchval("select unschedule_media_maintenance()") is False
        assert await db.fetchval("select database from cron.job") == "postgres"
    finally:
        await operator.close()
        await db.close()


async def test_runs_are_pruned_however_many_others_there_are(bot: str) -> None:
    """A call looks at so many runs, and the next one goes on behind those that are old."""
    superuser = bot.replace("bot@", "postgres@")
    insert = (
        "insert into cron.job_run_details (jobid, runid, username, command, start_time, end_time)"
        " select 1, r, 'bot', case when r % 3 = 0 then 'select public.run_media_maintenance()'"
        " else 'select 1' end, case when r <> 12 then {0} end, case when r <> 12 then {0} end"
        " from generate_series({1}, {2}) r"
    )
    sql(superuser, insert.format("now() - interval '8 days'", 1, 30))
    sql(superuser, insert.format("now()", 31, 20000))
    db = await asyncpg.connect(bot)
    try:
        prune = "select prune_cron_runs(8)"
        assert [await db.fetchval(prune) for _ in range(6)] == [2, 3, 3, 2, 0, 0]
        assert await db.fetchval("select cron_pruned_to from media_maintenance") == 30
        ours = "select count(*) from cron.job_run_details where command like '%maintenance()'"
        assert await db.fetchval(ours) == 6666 - 10

        sql(superuser, "truncate cron.job_run_details")  # as in a pg_cron that was made anew
        assert await db.fetchval(prune) == 0
        sql(superuser, insert.format("now() - interval '8 days'", 1, 3))
        assert await db.fetchval(prune) == 1
    finally:
        await db.close()
