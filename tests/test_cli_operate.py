"""The commands of operators, each a process of its own, on a real Postgres."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.helpers import (
    as_user,
    claim,
    describe,
    everything,
    expire_lease,
    fail,
    pgmedia,
    queue_media,
    queue_row,
    sha256,
    status,
    store,
)

Run = Callable[..., Awaitable[tuple[int, list[str], list[str]]]]

PASSWORD = "pgmedia-test-password"
ID = str(UUID(int=1))


async def login_in(db: Any, role: str) -> str:
    """A user in one role of pgmedia and nothing else; users outlive the test's database."""
    name = f"pgmedia_test_{role}"
    await db.execute(f"""
        do $$ begin
            create role {name} login password '{PASSWORD}' in role {role};
        exception when duplicate_object or unique_violation then null;
        end $$
    """)
    return name


@pytest.fixture
async def run(db: Any, database: str, tmp_path: Path) -> Run:
    """Run a command as an operator, or in another role, with DATABASE_URL alone."""

    async def run_command(*arguments: str, role: str = "media_admin") -> Any:
        dsn = as_user(database, await login_in(db, role), PASSWORD)
        done = await asyncio.to_thread(pgmedia, *arguments, cwd=tmp_path, DATABASE_URL=dsn)
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        assert "\x1b" not in done.stdout  # no colours when piped
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run_command


async def dead(db: Any, code: str = "100") -> UUID:
    media = await queue_media(db)
    await fail(db, media, (await claim(db))[media], code=code, text="no such media")
    return media


async def test_retry_of_one(db: Any, run: Run) -> None:
    media = await dead(db)

    assert await run("retry", str(media)) == (0, [f"media {media}: queued again"], [])

    assert (await status(db, media))["status"] == "pending"
    again = await run("retry", str(media))
    assert again == (1, [], [f"pgmedia: media {media} is neither failed nor cancelled"])
    nothing = uuid4()
    code, _, (line,) = await run("retry", str(nothing))
    assert (code, line) == (1, f"pgmedia: media {nothing} is neither failed nor cancelled")


async def test_retry_of_many(db: Any, run: Run) -> None:
    old, new, other = await dead(db), await dead(db), await dead(db, "131052")
    await db.execute("update media set failed_at = now() - interval '1 day' where id = $1", old)
    before = await everything(db)
    which = ["--failed", "--code", "media_expired_or_foreign", "--since", "2h"]

    assert await run("retry", *which, "--dry-run") == (
        0, ["1 attachment would be queued again"], [],
    )  # fmt: skip
    assert await everything(db) == before
    assert await run("retry", *which, "--yes") == (0, ["1 attachment queued again"], [])

    assert [(await status(db, one))["status"] for one in (old, new, other)] == [
        "failed", "pending", "failed",
    ]  # fmt: skip
    limited = await run("retry", "--failed", "--limit", "1", "--yes")
    assert limited == (0, ["1 attachment queued again; there may be more"], [])
    assert await run("retry", "--failed", "--yes") == (0, ["1 attachment queued again"], [])
    assert await run("retry", "--failed", "--yes") == (0, ["0 attachments queued again"], [])


async def test_many_are_not_retried_unasked(db: Any, run: Run) -> None:
    await dead(db)
    before = await everything(db)

    code, said, problems = await run("retry", "--failed")

    assert (code, said) == (2, [])
    assert "pass --yes" in problems[-1]
    assert await everything(db) == before


@pytest.mark.parametrize(("answer", "code", "after"), [("n\n", 1, "failed"), ("y\n", 0, "pending")])
async def test_on_a_terminal_it_asks(
    db: Any, database: str, tmp_path: Path, answer: str, code: int, after: str
) -> None:
    media = await dead(db)
    ours, theirs = pty.openpty()
    dsn = as_user(database, await login_in(db, "media_admin"), PASSWORD)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", "retry", "--failed", stdin=theirs,
        stdout=asyncio.subprocess.PIPE, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": dsn},
    )  # fmt: skip
    os.write(ours, answer.encode())

    output, _ = await asyncio.wait_for(process.communicate(), 30)

    os.close(ours)
    os.close(theirs)
    assert "Queue 1 attachment again? [y/N]" in output.decode()
    assert process.returncode == code
    assert (await status(db, media))["status"] == after


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry"], ["retry", ID, "--failed"], ["retry", ID, "--dry-run"],
        ["retry", "--failed", "--since", "2 hours"], ["retry", "--failed", "--limit", "0"],
        ["retry", "not-an-id"], ["cancel", "not-an-id"], ["cancel"], ["show", "12"],
        ["pause", "storage", "--for", "soon"], ["resume"],
    ],
)  # fmt: skip
async def test_a_wrong_argument(db: Any, run: Run, arguments: list[str]) -> None:
    await dead(db)
    before = await everything(db)

    code, said, problems = await run(*arguments)

    assert (code, said) == (2, [])
    assert [line for line in problems if line.startswith("Error: ")]
    assert await everything(db) == before


async def test_cancel(db: Any, run: Run) -> None:
    media = await queue_media(db)
    held = await claim(db)

    assert await run("cancel", str(media)) == (0, [f"media {media}: cancelled"], [])

    assert (await status(db, media))["status"] == "cancelled"
    assert await describe_is_refused(db, media, held[media])
    again = await run("cancel", str(media))
    assert again == (1, [], [f"pgmedia: media {media} has no work to stop"])


async def describe_is_refused(db: Any, media: UUID, token: int) -> bool:
    try:
        await describe(db, media, token)
    except Exception as error:  # noqa: BLE001 - asked for by its code
        return getattr(error, "sqlstate", None) == "MD001"
    return False


async def test_pause_and_resume(db: Any, run: Run) -> None:
    await queue_media(db, phone_number_id="1")

    code, (line,), problems = await run(
        "pause", "whatsapp:1", "--reason", "moving house", "--for", "10m"
    )

    row = await db.fetchrow("select *, until - now() as left from media_pauses")
    assert (code, problems) == (0, [])
    assert line == f"whatsapp:1 is paused until {row['until']:%Y-%m-%d %H:%M:%S} UTC"
    assert row["reason"] == "moving house"
    assert 590 < row["left"].total_seconds() <= 600
    assert await claim(db) == {}
    assert await run("resume", "whatsapp:1") == (0, ["whatsapp:1 is resumed"], [])
    assert len(await claim(db)) == 1
    assert await run("resume", "whatsapp:1") == (1, [], ["pgmedia: whatsapp:1 was not paused"])


async def test_what_the_function_refuses(run: Run) -> None:
    code, said, (line,) = await run("pause", "somewhere")
    assert (code, said) == (2, [])
    assert line == (
        "pgmedia: unknown source 'somewhere'."
        " Use storage, whatsapp:<phone number id> or poller:<name>."
    )
    code, said, (line,) = await run("pause", "storage", "--for", "0s")
    assert (code, said) == (2, [])
    assert line.startswith("pgmedia: a pause of 00:00:00 is none. Use an interval above zero")


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry", ID], ["retry", "--failed", "--yes"], ["cancel", ID],
        ["pause", "storage"], ["resume", "storage"],
    ],
)  # fmt: skip
async def test_clients_are_no_operators(run: Run, arguments: list[str]) -> None:
    code, said, (line,) = await run(*arguments, role="media_client")

    assert (code, said) == (1, [])
    assert "the database refused: permission denied for function" in line


@pytest.mark.parametrize("role", ["media_client", "media_admin"])
async def test_the_status_of_an_empty_store(run: Run, role: str) -> None:
    code, said, problems = await run("status", role=role)

    assert (code, problems) == (0, [])
    assert [line.split() for line in said if line.strip()] == [
        ["queue", "empty"], ["lately", "last", "minute:", "0", "files,", "0", "bytes"],
        ["last", "hour:", "0", "files,", "0", "bytes"],
        ["last", "day:", "0", "files,", "0", "bytes"],
        ["webhook", "nothing", "refused", "since", "yesterday"],
        ["pauses", "none"], ["pollers", "none", "alive"], ["deletions", "none"],
        ["failures", "none"], ["storage", "empty"],
    ]  # fmt: skip


async def busy_store(db: Any) -> UUID:
    """Something of everything; returns an attachment that failed."""
    await store(db, sha256(b"x"), media_type="image")
    await queue_media(db, sha256=sha256(b"x"), media_type="image")
    await db.execute("select delete_media($1)", await store(db, sha256(b"y")))
    failed = await dead(db)
    for _ in range(3):
        await queue_media(db, phone_number_id="106540352242922")
    for _ in range(2):
        await db.execute("update media_pauses set until = now() - interval '1 s'")
        await db.execute(
            "update media_processing_queue set due_at = now() where status = 'pending'"
        )
        media, token = (await claim(db, 1)).popitem()
        await fail(db, media, token, code="190", http_status=401, text=f"token {'x' * 200}")
    await db.execute(
        "update media_processing_queue set due_at = now() - interval '90 s'"
        " where last_error_code is null"
    )
    await db.execute("update media_deletion_queue set due_at = now() - interval '2 hours'")
    await db.execute("select count_webhook_refusal('not_json')")
    await db.execute("select count_webhook_refusal('too_deep') from generate_series(1, 2)")
    payload = '{"entry": [{"changes": [5, 6, {"value": {"messages": [7]}}]}]}'
    await db.execute("select receive_whatsapp_webhook($1)", payload)
    await db.execute("select heartbeat_media_poller('host-1:4711:abcd', '0.1.0', 'listen', 16)")
    await db.execute(f"select heartbeat_media_poller('{'long-name-' * 6}', '0.1.0', 'poll', 0)")
    return failed


async def test_the_status_of_a_busy_store(db: Any, run: Run) -> None:
    failed = await busy_store(db)

    code, said, problems = await run("status", role="media_client")

    assert (code, problems) == (0, [])
    assert max(map(len, said)) <= 80
    text = "\n".join(said)
    for words in (
        "3 pending, 1 failed", "oldest due for 2 min", "last minute: 3 files, 3.0 kB, 1 failed",
        "whatsapp:106540352242922: for another 10 min, 2 times in a row",
        "whatsapp_token_refused: token xxx", "host-1:4711:abcd", "listen",
        "1 file to remove, 1 overdue", "1 media_expired_or_foreign",
        "3 calls refused since yesterday: 2 too_deep, 1 not_json",
        "1 call with errors since yesterday: 2 change_not_an_object,",
        "media_expired_or_foreign: no such media (code 100)",
    ):  # fmt: skip
        assert words in text, (words, text)
    assert re.search(rf"{failed}, \d+ s ago", text)
    rows = {line.split()[0]: line.split() for line in said[-2:]}
    assert rows["all"][1:] == ["3", "2", "1", "3.0", "kB", "1.0", "kB", "1", "1"]


async def test_the_status_as_json(db: Any, run: Run) -> None:
    await busy_store(db)

    code, said, problems = await run("status", "--json", role="media_client")

    assert (code, problems) == (0, [])
    expected = json.loads(await db.fetchval("select get_media_storage_stats()"))
    found = json.loads("\n".join(said))
    time_passes = {"at": 0, "oldest_due_seconds": 0}
    assert found | time_passes == expected | time_passes


async def test_show_tells_the_story(db: Any, run: Run) -> None:
    media = await queue_media(db, sha256=sha256(b"x"))
    other = await queue_media(db, sha256=sha256(b"x"))
    held = await claim(db)
    await fail(db, media, held[media], http_status=500, text="HTTP 500")
    await db.execute("update media_processing_queue set due_at = now() where id = $1", media)
    held = await claim(db, poller="poller-2")
    await expire_lease(db, media)
    held = await claim(db)
    await fail(db, media, held[media], code="131052", text="lost [bold]")

    code, said, problems = await run("show", str(media), role="media_client")

    assert (code, problems) == (0, [])
    head, story = said[: said.index("")], said[said.index("") + 1 :]
    assert [line.split(None, 1) for line in head] == [
        ["media", str(media)], ["status", "failed"], ["attempts", "3 of 12"],
        ["error", "media_lost_by_whatsapp: lost [bold] (code 131052)"],
    ]  # fmt: skip
    assert [line[25:] for line in story] == [
        "queued", "attempt 1 begun by poller-1",
        "attempt 1 failed: whatsapp_unavailable: HTTP 500 (http 500)",
        "attempt 2 begun by poller-2", "attempt 2 ended without a word from poller-2",
        "attempt 3 begun by poller-1",
        "failed for good: media_lost_by_whatsapp: lost [bold] (code 131052)",
    ]  # fmt: skip
    code, said, _ = await run("show", str(other))
    assert f"waits for {media}, which has" in " ".join(said)
    assert f"goes on by itself: {media}" in " ".join(said)


async def test_show_of_what_is_stored_and_then_deleted(db: Any, run: Run) -> None:
    await db.execute("update media_settings set project_url = 'https://x.supabase.co'")
    media = await store(db, sha256(b"x"))
    row = await status(db, media)

    code, said, _ = await run("show", str(media))
    assert code == 0
    assert ["file", f"images/{row['storage_path']}"] in [line.split() for line in said]
    assert ["url", row["public_url"]] in [line.split() for line in said]
    await db.execute("select delete_media($1)", media)
    code, said, _ = await run("show", str(media))

    assert code == 0
    assert ["status", "deleted"] in [line.split() for line in said]
    assert said[-1].endswith("deleted")
    nothing = uuid4()
    assert await run("show", str(nothing)) == (
        1, [], [f"pgmedia: media {nothing} does not exist"],
    )  # fmt: skip


async def test_show_as_json(db: Any, run: Run) -> None:
    media = await dead(db)

    code, said, _ = await run("show", str(media), "--json")

    found = json.loads("\n".join(said))
    assert code == 0
    assert found["status"]["error_code"] == "media_expired_or_foreign"
    assert [one["event"] for one in found["audit_trail"]] == ["queued", "claimed", "failed"]
    assert found["audit_trail"][2]["detail"]["code"] == "media_expired_or_foreign"
    assert await queue_row(db, media)
