"""cleanup, schedule and settings, as processes of their own on a real Postgres."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import everything, queue_media, sha256, store
from tests.test_cli_operate import Run, run

__all__ = ["run"]


async def old_media(db: Any, count: int) -> None:
    for number in range(count):
        await store(db, sha256(str(number).encode()))
    await db.execute("update media set message_sent_at = now() - interval '40 days'")


async def test_a_cleanup_goes_on_until_nothing_is_left(db: Any, run: Run) -> None:
    await old_media(db, 3)
    young = await queue_media(db)

    assert await run("cleanup", "30", "--dry-run") == (0, ["3 attachments would be deleted"], [])
    assert await db.fetchval("select count(*) from media") == 4
    assert await run("cleanup", "30", "--yes") == (0, ["3 attachments deleted"], [])

    assert await db.fetchval("select id from media") == young
    assert await run("cleanup", "30", "--yes") == (0, ["0 attachments deleted"], [])


async def test_a_cleanup_says_what_could_not_be_deleted(
    db: Any, run: Run, connect: Connect
) -> None:
    await old_media(db, 3)
    await db.execute("create table tickets (media_id uuid references media)")
    await db.execute("insert into tickets select id from media limit 1")
    other = await connect()
    async with other.transaction():
        await other.execute("select from media where id not in"
                            " (select media_id from tickets) limit 1 for update")  # fmt: skip
        code, said, (line,) = await run("cleanup", "30", "--yes")

    assert (code, said) == (1, ["1 attachment deleted"])
    assert line.startswith(
        "pgmedia: 2 attachments could not be deleted: 1 locked by another transaction,"
        " 1 refused by the database (update or delete on"
    )
    await db.execute("drop table tickets")
    assert await run("cleanup", "30", "--yes") == (0, ["2 attachments deleted"], [])


async def test_a_cleanup_for_programs(db: Any, run: Run) -> None:
    """The figures are those of all its calls; what could not be deleted ends it with 1, as ever."""
    await old_media(db, 3)
    await db.execute("create table tickets (media_id uuid references media)")
    await db.execute("insert into tickets select id from media limit 1")
    counted = {"is_finished": True, "locked": 0, "refused": 0, "problem": None}

    code, (line,), _ = await run("cleanup", "30", "--dry-run", "--json")
    assert (code, json.loads(line)) == (0, {"attachments": 3, "dry_run": True, **counted})
    assert (await run("cleanup", "30", "--json"))[0] == 2  # asks first, also programs

    code, (line,), (error,) = await run("cleanup", "30", "--yes", "--json")
    done = json.loads(line)
    assert (code, done["attachments"], done["refused"], done["dry_run"]) == (1, 2, 1, False)
    assert done["problem"] in error
    await db.execute("drop table tickets")
    code, (line,), _ = await run("cleanup", "30", "--yes", "--json")
    assert (code, json.loads(line)) == (0, {"attachments": 1, "dry_run": False, **counted})


async def test_a_cleanup_of_some(db: Any, run: Run) -> None:
    await old_media(db, 2)
    touched = await db.fetchval("select id from media limit 1")
    await db.execute("select touch_media($1)", touched)

    for arguments, count in (
        (["--type", "video"], 0), (["--type", "video", "--type", "image"], 2),
        (["--keep-accessed", "7"], 1),
    ):  # fmt: skip
        _, said, _ = await run("cleanup", "30", *arguments, "--dry-run")
        assert said == [f"{count} attachment{'' if count == 1 else 's'} would be deleted"]


async def test_a_cleanup_too_large_to_count_says_so(db: Any, run: Run) -> None:
    """A dry run counts for a second, and here a look takes longer."""
    await old_media(db, 1)
    await db.execute(
        "create or replace function list_old_media(p_media_type text, p_is_dated boolean,"
        " p_days_old integer, p_keep_accessed_days integer, p_after_at timestamptz,"
        " p_after_id uuid, p_limit integer)"
        " returns table (id uuid, at timestamptz, is_kept boolean) language sql volatile as"
        " 'select m.id, m.message_sent_at, false from public.media m, pg_sleep(1.1)'"
    )

    said = ["at least 1 attachment would be deleted"]
    assert await run("cleanup", "30", "--dry-run") == (0, said, [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cleanup", "30"], "--yes"),
        (["cleanup", "0", "--yes"], "greater than or equal to 1"),
        (["cleanup", "99999999999", "--yes"], "less than or equal to 36500"),
        (["cleanup", "9", "--yes", "--keep-accessed", "36501"], "less than or equal to 36500"),
        (["schedule", "--cleanup-days", "36501"], "less than or equal to 36500"),
        (["cleanup", "30", "--yes", "--type", "gif"], "unknown media type 'gif'"),
        (["schedule", "--off", "--cleanup-days", "3"], "--off goes alone"),
        (["schedule", "--cleanup-at", "03:00"], "--cleanup-days"),
        (["schedule", "--cleanup-days", "3", "--cleanup-at", "noon"], "noon"),
        (["settings", "leas"], "no setting 'leas'"),
        (["settings", "leas", "1", "--yes"], "no setting 'leas'"),
        (["settings", "lease", "soon", "--yes"], "setting lease cannot be 'soon'"),
        (
            ["settings", "refusals_per_hour", "0", "--yes"],
            "setting refusals_per_hour cannot be '0': it is of type smallint with"
            " refusals_per_hour >= 1 and refusals_per_hour <= 10000. Pass such a value",
        ),
        (["settings", "--reset"], "--reset"),
    ],
)
async def test_arguments_that_are_wrong_change_nothing(
    db: Any, run: Run, arguments: list[str], words: str
) -> None:
    await old_media(db, 1)
    before = await everything(db)

    code, said, problems = await run(*arguments)

    assert (code, said) == (2, [])
    assert words in " ".join(problems)
    assert await everything(db) == before


async def test_clients_may_not(run: Run) -> None:
    for arguments in (["cleanup", "30", "--yes"], ["schedule", "--yes"], ["settings"]):
        code, _, (line,) = await run(*arguments, role="media_client")
        assert code == 1
        assert "permission denied for function" in line
        assert line.endswith(
            "; the login pgmedia_test_media_client needs the role media_admin: run, as the owner of"
            " the database, grant media_admin to pgmedia_test_media_client"
        )


async def test_a_schedule_without_pg_cron(db: Any, run: Run) -> None:
    code, (maintenance, daily), _ = await run(
        "schedule", "--yes", "--cleanup-days", "90", "--cleanup-at", "04:15", "--keep-accessed", "7"
    )

    assert code == 0
    assert "the pollers run maintenance" in maintenance
    assert daily == (
        "daily cleanup: from 04:15 UTC, of media older than 90 days,"
        " but for what was touched within 7 days"
    )
    assert await db.fetchval("select cleanup_days from media_settings") == 90
    _, (_, daily), _ = await run("schedule", "--yes", "--cleanup-days", "80")
    assert daily == ("daily cleanup: from 03:30 UTC, of media older than 80 days, touched or not")
    assert await run("schedule", "--off", "--yes") == (
        0,
        ["no daily cleanup; pg_cron had no job"],
        [],
    )
    assert await db.fetchval("select cleanup_days from media_settings") is None
    assert (await run("schedule", "--yes"))[1][1] == "daily cleanup: none"


async def test_settings_are_shown_changed_and_reset(db: Any, run: Run) -> None:
    _, said, _ = await run("settings")
    assert "lease = 00:01:00" in said
    assert max(map(len, said)) <= 80

    assert await run("settings", "lease", "2 min", "--yes") == (0, ["lease is 00:02:00"], [])
    assert (await run("settings", "lease"))[1][0] == "lease = 00:02:00  [default: 00:01:00]"
    assert await db.fetchval("select lease = '2 min' from media_settings")
    (line,) = (await run("settings", "lease", "--json"))[1]
    assert json.loads(line)[0]["default_value"] == "00:01:00"
    assert await run("settings", "lease", "--reset", "--yes") == (0, ["lease is 00:01:00"], [])
    assert await run("settings", "cleanup_days", "90", "--yes") == (0, ["cleanup_days is 90"], [])
    shown = (await run("settings", "cleanup_days"))[1][0]
    assert shown == "cleanup_days = 90  [default: not set]"
    said = ["cleanup_days is not set"]
    assert await run("settings", "cleanup_days", "--reset", "--yes") == (0, said, [])
    assert (await run("settings", "cleanup_days"))[1][0] == "cleanup_days = not set"
