"""The url in a webhook: tried first, once, while it lives, and only where the token may go."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from poller.sandbox.samples import SAMPLES
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import begin_upload, claim, describe, events, eventually, fail, sha256
from tests.webhook.calls import receive
from tests.webhook.payloads import PHONE_NUMBER_ID, Json, hex_hash, media, message, received

URL = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&hash=2"
CONTENT = SAMPLES[0].read()


def announced(url: str, **changes: Any) -> Json:
    """A call that says where its file is."""
    return received(message(image=media(url=url, **changes)))


async def claimed_url(db: Any) -> str | None:
    row = await db.fetchrow("select * from claim_media_jobs('poller-1', 1)")
    return row["source_url"]


async def url_of(whatsapp: WhatsAppApi, media_id: str) -> str:
    """A url that works, as the webhook has it; asking for it leaves no count behind."""
    async with httpx.AsyncClient() as http:
        headers = {"Authorization": f"Bearer {whatsapp.token}"}
        answer = await http.get(f"{whatsapp.url}/{media_id}", headers=headers)
    whatsapp.metadata_requests.clear()
    return answer.json()["url"]


async def test_the_first_attempt_is_given_the_url(db: Any) -> None:
    await receive(db, announced(URL))

    assert await claimed_url(db) == URL


async def test_the_second_attempt_is_not(db: Any) -> None:
    await receive(db, announced(URL))
    ((job, token),) = (await claim(db)).items()
    await fail(db, job, token, code="2")
    await db.execute("update media_processing_queue set due_at = now()")

    assert await claimed_url(db) is None


async def test_a_url_lives_five_minutes(db: Any) -> None:
    await receive(db, announced(URL))
    lives = "select source_url_until - now() from media_processing_queue"
    assert 290 < (await db.fetchval(lives)).total_seconds() <= 300
    await db.execute("update media_processing_queue set source_url_until = now()")

    assert await claimed_url(db) is None


async def test_a_replay_does_not_revive_the_url(db: Any) -> None:
    summary = await receive(db, announced(URL))
    await db.execute("delete from messages")
    await db.execute("update whatsapp_webhook_events set received_at = now() - interval '1 day'")

    await db.fetchval("select replay_whatsapp_webhook($1)", summary["event_id"])

    assert await claimed_url(db) is None


@pytest.mark.parametrize("url", ["file:///etc/passwd", "", {"a": 1}, "https://" + "a" * 3000])
async def test_what_is_no_url_is_dropped(db: Any, url: Any) -> None:
    assert (await receive(db, announced(url)))["media_queued"] == 1

    assert await claimed_url(db) is None


async def test_a_pause_ends_with_bytes_and_not_with_the_webhooks_word(db: Any) -> None:
    await receive(db, announced(URL, sha256=hex_hash("a")))
    await db.execute(
        "insert into media_pauses (scope, reason, until) values ($1, 'token refused', now())",
        f"whatsapp:{PHONE_NUMBER_ID}",
    )
    ((job, token),) = (await claim(db)).items()

    await describe(db, job, token, mime_type=None, file_size=None)
    assert await db.fetchval("select count(*) from media_pauses") == 1
    await begin_upload(db, job, token, content_hash=hex_hash("a"))
    assert await db.fetchval("select count(*) from media_pauses") == 0


async def test_the_poller_downloads_from_the_url_without_asking(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    media_id = whatsapp.add_media(CONTENT, "image/jpeg")
    url = await url_of(whatsapp, media_id)
    await receive(db, announced(url, id=media_id, sha256=sha256(CONTENT)))

    await start_poller()

    stored = await eventually(lambda: db.fetchrow("select * from media where processed"))
    assert stored["content_hash"] == sha256(CONTENT)
    assert whatsapp.metadata_requests[media_id] == 0
    assert whatsapp.downloads[media_id] == 1


async def test_a_url_that_fails_is_asked_for_again(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    """The failure is reported as any other, so that it counts as the refusal it is."""
    await db.execute("update media_settings set backoff_first = '1 ms', backoff_most = '1 ms'")
    media_id = whatsapp.add_media(CONTENT, "image/jpeg")
    url = await url_of(whatsapp, media_id)
    whatsapp.expire_urls()
    await receive(db, announced(url, id=media_id, sha256=sha256(CONTENT)))

    await start_poller()

    stored = await eventually(lambda: db.fetchrow("select * from media where processed"))
    assert whatsapp.metadata_requests[media_id] == 1
    trail = await db.fetch("select event, attempt from get_media_audit_trail($1)", stored["id"])
    assert [tuple(row) for row in trail] == [
        ("queued", None), ("claimed", 1), ("attempt failed", 1), ("claimed", 2), ("stored", 2),
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["https://example.com/media", "http://lookaside.fbsbx.com/1"])
async def test_a_url_that_may_not_get_the_token_is_left_alone(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller, url: str
) -> None:
    media_id = whatsapp.add_media(CONTENT, "image/jpeg")
    await receive(db, announced(url, id=media_id, sha256=sha256(CONTENT)))

    await start_poller()

    stored = await eventually(lambda: db.fetchrow("select * from media where processed"))
    assert await events(db, stored["id"]) == ["queued", "claimed", "stored"]
    assert whatsapp.metadata_requests[media_id] == 1


async def test_bytes_that_are_not_those_of_the_webhook_are_asked_for_again(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set backoff_first = '1 ms', backoff_most = '1 ms'")
    media_id = whatsapp.add_media(CONTENT, "image/jpeg")
    url = await url_of(whatsapp, media_id)
    await receive(db, announced(url, id=media_id, sha256=hex_hash("other")))

    await start_poller()

    stored = await eventually(lambda: db.fetchrow("select * from media where processed"))
    assert stored["content_hash"] == sha256(CONTENT)
    assert whatsapp.metadata_requests[media_id] == 1


async def test_a_type_that_is_never_stored_is_refused_before_the_download(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    media_id = whatsapp.add_media(CONTENT, "application/zip")
    url = await url_of(whatsapp, media_id)
    await receive(db, announced(url, id=media_id, mime_type="application/zip"))

    await start_poller()

    failed = await eventually(
        lambda: db.fetchrow("select * from media where failed_at is not null")
    )
    assert failed["failure_code"] == "type_not_allowed"
    assert whatsapp.downloads[media_id] == 0
