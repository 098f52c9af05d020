"""The commands that show how things are: status and show, each a process of its own."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from poller.cli.story_view import story_view
from tests.helpers import (
    claim,
    expire_lease,
    fail,
    queue_media,
    queue_row,
    sha256,
    status,
    store,
)
from tests.test_cli_operate import Run, dead, run, unknown

__all__ = ["run"]


@pytest.mark.parametrize("role", ["media_client", "media_admin"])
async def test_the_status_of_an_empty_store(run: Run, role: str) -> None:
    code, said, problems = await run("status", role=role)

    assert (code, problems) == (0, [])
    assert [line.split() for line in said if line.strip()] == [
        ["to", "do", "no", "poller", "is", "at", "work"],
        ["pgmedia", "poll", "starts", "one;", "its", "log", "says", "what", "is", "in", "its",
         "way"],
        ["queue", "empty"], ["lately", "last", "minute:", "0", "files,", "0", "bytes"],
        ["last", "hour:", "0", "files,", "0", "bytes"],
        ["last", "day:", "0", "files,", "0", "bytes"],
        ["webhook", "nothing", "refused", "since", "yesterday"],
        ["pauses", "none"], ["pollers", "none", "alive"], ["deletions", "none"],
        ["failures", "none"], ["storage", "empty"],
    ]  # fmt: skip


async def test_storage_is_what_there_is_now(db: Any, run: Run) -> None:
    for content in (b"x", b"y"):
        media = await store(db, sha256(content), media_type="image")
    for now in ("now 2 files, 2.0 kB;", "now 1 file, 1.0 kB;"):
        _, said, _ = await run("status", role="media_client")

        (line,) = (line for line in said if line.startswith("storage"))
        assert line.split(maxsplit=1)[1] == f"{now} since the start:"
        assert said[-1].split()[:4] == ["all", "2", "2", "0"]
        await db.execute("select delete_media($1)", media)


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


EVIL = "\x1b]0;owned\x07\x1b[31m\r\u202e\x9b2J\nqueue empty"


async def test_what_others_wrote_does_not_reach_the_terminal(db: Any, run: Run) -> None:
    lost = await dead(db)
    media = await queue_media(db, phone_number_id=EVIL)
    held = await claim(db, poller=EVIL)
    await fail(db, media, held[media], poller=EVIL, code=EVIL, http_status=500, text=EVIL)
    other = await queue_media(db, phone_number_id=EVIL)
    held = await claim(db, poller=EVIL)
    await fail(db, other, held[other], poller=EVIL, code="190", http_status=401, text=EVIL)
    await db.execute("select pause_media_source('storage', $1)", EVIL)
    await db.execute("select heartbeat_media_poller($1, '1', 'poll', 0)", EVIL)
    await db.execute("update media set failure_text = $1, public_url = $1", EVIL)

    for command in (["status"], ["show", str(media)], ["show", str(lost)]):
        code, said, problems = await run(*command)
        assert (code, problems) == (0, [])
        assert all(line.isprintable() for line in said), said
        assert any("owned" in line for line in said)
        assert not [line for line in said if line.startswith("queue empty")]


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
        ["means", "WhatsApp lost the file"], ["to", "do     the sender must send it again"],
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
        1, [], [unknown(nothing)],
    )  # fmt: skip


async def test_show_as_json(db: Any, run: Run) -> None:
    media = await dead(db)

    code, said, _ = await run("show", str(media), "--json")

    found = json.loads("\n".join(said))
    assert code == 0
    assert found["status"]["error_code"] == "media_expired_or_foreign"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", found["audit_trail"][0]["at"])
    assert [one["event"] for one in found["audit_trail"]] == ["queued", "claimed", "failed"]
    assert found["audit_trail"][2]["detail"]["code"] == "media_expired_or_foreign"
    assert await queue_row(db, media)


def test_the_steps_of_an_attempt_are_told_in_their_order() -> None:
    taken = {
        f"{step}_ms": 1 for step in ("new", "upload", "check", "encode", "download", "describe")
    }
    event = {"at": datetime.now(UTC), "event": "stored", "poller": "p", "detail": taken}

    *_, line = story_view(uuid4(), None, [event])

    steps = "describe 1 ms, download 1 ms, check 1 ms, encode 1 ms, upload 1 ms, new 1 ms"
    assert line.endswith(f"  stored by p: {steps}")
