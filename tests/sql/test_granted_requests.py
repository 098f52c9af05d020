"""What clears an unheard request: the same request, granted for the same file, or who heard it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.helpers import begin_upload, claim, describe, end_pauses, fail, queue_many, sha256
from tests.sql.deaths import die_cancelled, die_deleted, die_killed, die_stopped, unheard


@pytest.mark.parametrize("described", [False, True])
async def test_the_same_request_for_the_same_file_clears_it(db: Any, described: bool) -> None:
    """What the file is does not tell whether its bytes were refused before."""
    (media,) = await queue_many(db, 1)
    token = (await claim(db))[media]
    if described:
        await describe(db, media, token)
    await die_stopped(db, media, token)
    token = (await claim(db))[media]

    await describe(db, media, token)
    assert await unheard(db) == described
    await begin_upload(db, media, token, content_hash=sha256(b"x"))
    assert await unheard(db) == 0


async def test_another_file_clears_nothing(db: Any) -> None:
    first, second = await queue_many(db, 2)
    token = (await claim(db, 1))[first]
    await die_stopped(db, first, token)
    held = await claim(db)

    await describe(db, second, held[second])
    await begin_upload(db, second, held[second], content_hash=sha256(b"x"))

    assert await unheard(db) == 1


async def with_url(db: Any) -> tuple[UUID, int]:
    """A job whose webhook brought a URL, in work."""
    (media,) = await queue_many(db, 1)
    await db.execute(
        "update media_processing_queue"
        " set source_url = 'https://lookaside.fbsbx.com/1', source_url_until = now() + '1 minute'"
    )
    return media, (await claim(db))[media]


@pytest.mark.parametrize("lives", [False, True])
async def test_a_url_of_a_webhook_is_cleared_by_itself_alone(db: Any, lives: bool) -> None:
    media, token = await with_url(db)
    await describe(db, media, token, mime_type=None, file_size=None)
    await die_killed(db, media, token)
    if not lives:
        await db.execute("update media_processing_queue set source_url_until = now()")
    token = (await claim(db))[media]

    told: dict[str, Any] = {"mime_type": None, "file_size": None} if lives else {}
    await describe(db, media, token, **told)
    await begin_upload(db, media, token, content_hash=sha256(b"x"))

    assert await unheard(db) == (not lives)


@pytest.mark.parametrize("die", [die_killed, die_cancelled, die_deleted])
@pytest.mark.parametrize(
    "told", [(None, None, None), ("whatsapp", None, 500), ("storage", None, 400)]
)
async def test_a_poller_that_lives_tells_what_it_heard(
    db: Any, die: Any, told: tuple[str | None, ...]
) -> None:
    (media,) = await queue_many(db, 1)
    token = (await claim(db))[media]
    await die(db, media, token)
    assert await unheard(db) == 1

    await db.execute("select note_late_answer($1, $2, '1', $3, $4, $5)", media, token, *told)

    assert await unheard(db) == 0


async def test_a_poller_that_does_not_know_what_it_heard_clears_nothing(db: Any) -> None:
    (media,) = await queue_many(db, 1)
    token = (await claim(db))[media]
    await die_cancelled(db, media, token)

    await db.execute("select note_late_answer($1, $2, '1', 'poller')", media, token)

    assert await unheard(db) == 1


@pytest.mark.parametrize(
    ("code", "http_status", "left"),
    [("100", 400, 0), ("190", 401, 1), ("4", 400, 1), ("131005", 500, 1), ("2", 500, 0)],
)
async def test_a_number_that_was_denied_everything_meanwhile_proves_nothing(
    db: Any, code: str, http_status: int, left: int
) -> None:
    """What was unheard may have been refused for the same reason, and the number is well again."""
    first, second = await queue_many(db, 2)
    held = await claim(db)
    await die_stopped(db, first, held[first])
    await fail(db, second, held[second], code=code, http_status=http_status)
    await end_pauses(db)
    await db.execute("delete from media where id = $1", second)
    token = (await claim(db, 1))[first]

    await begin_upload(db, first, token, content_hash=sha256(b"x"))

    assert await unheard(db) == left
