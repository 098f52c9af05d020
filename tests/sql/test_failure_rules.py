"""What each failure means: media_failure_rules, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import (
    claim,
    expire_lease,
    fail,
    make_due,
    media_row,
    queue_media,
    queue_row,
    status,
)

RULES: list[tuple[str, str | None, int | None, str, str]] = [
    ("whatsapp", "190", 401, "paused", "whatsapp_token_refused"),
    ("whatsapp", "0", None, "paused", "whatsapp_token_refused"),
    ("whatsapp", None, 401, "paused", "whatsapp_token_refused"),
    ("whatsapp", "3", 400, "paused", "whatsapp_permission_lost"),
    ("whatsapp", "10", 403, "paused", "whatsapp_permission_lost"),
    ("whatsapp", "200", 403, "paused", "whatsapp_permission_lost"),
    ("whatsapp", "299", 400, "paused", "whatsapp_permission_lost"),
    ("whatsapp", "131005", 403, "paused", "whatsapp_permission_lost"),
    ("whatsapp", None, 403, "paused", "whatsapp_permission_lost"),
    ("whatsapp", "4", 400, "paused", "whatsapp_rate_limited"),
    ("whatsapp", "80007", 400, "paused", "whatsapp_rate_limited"),
    ("whatsapp", "130429", 400, "paused", "whatsapp_rate_limited"),
    ("whatsapp", "131056", 400, "paused", "whatsapp_rate_limited"),
    ("whatsapp", None, 429, "paused", "whatsapp_rate_limited"),
    ("whatsapp", "2", 500, "retry", "whatsapp_unavailable"),
    ("whatsapp", "131000", 500, "retry", "whatsapp_unavailable"),
    ("whatsapp", "131016", 503, "retry", "whatsapp_unavailable"),
    ("whatsapp", None, 500, "retry", "whatsapp_unavailable"),
    ("whatsapp", None, 599, "retry", "whatsapp_unavailable"),
    ("whatsapp", None, 404, "retry", "media_url_expired"),
    ("whatsapp", "unreachable", None, "paused", "whatsapp_absent"),
    ("whatsapp", "network", None, "retry", "whatsapp_unreachable"),
    ("whatsapp", "truncated", 200, "retry", "download_truncated"),
    ("whatsapp", "100", 400, "failed", "media_expired_or_foreign"),
    ("whatsapp", "131051", 400, "failed", "message_type_unsupported"),
    ("whatsapp", "131052", 404, "failed", "media_lost_by_whatsapp"),
    ("whatsapp", "unsafe_url", None, "failed", "unsafe_url"),
    ("whatsapp", "999999", 418, "retry", "whatsapp_answer_unexpected"),
    ("whatsapp", None, None, "retry", "whatsapp_answer_unexpected"),
    ("whatsapp", "100", 401, "failed", "media_expired_or_foreign"),  # the code, not the status
    ("whatsapp", "2", 429, "retry", "whatsapp_unavailable"),
    ("whatsapp", "190", 500, "paused", "whatsapp_token_refused"),
    ("whatsapp", "999999", 401, "paused", "whatsapp_token_refused"),  # an unknown code: the status
    ("whatsapp", "NoSuchBucket", 400, "retry", "whatsapp_answer_unexpected"),  # the other's code
    ("storage", "NoSuchBucket", 404, "paused", "bucket_missing"),
    ("poller", "spool_full", None, "paused", "spool_full"),
    ("poller", "check_failed", None, "retry", "content_check_failed"),
    ("poller", "hash_mismatch", None, "retry", "hash_mismatch"),
    ("poller", "metadata_kept", None, "retry", "metadata_not_removed"),
    ("storage", "unreachable", None, "paused", "storage_absent"),
    ("storage", "InvalidRequest", 400, "paused", "storage_answer_unexpected"),
    ("storage", None, 200, "paused", "storage_answer_unexpected"),
    ("storage", None, 302, "paused", "storage_answer_unexpected"),
    ("storage", None, 404, "paused", "storage_answer_unexpected"),
    ("storage", None, 405, "paused", "storage_answer_unexpected"),
    ("storage", None, 502, "paused", "storage_unavailable"),
    ("storage", "DatabaseTimeout", 544, "retry", "storage_failed"),
    ("poller", "spool_lost", None, "paused", "spool_lost"),
    ("storage", "InvalidKey", 400, "failed", "storage_path_refused"),
    ("storage", "network", None, "retry", "storage_unreachable"),
    ("storage", None, 401, "paused", "storage_key_refused"),
    ("storage", None, 403, "paused", "storage_key_refused"),
    ("storage", None, 413, "failed", "storage_size_refused"),
    ("storage", None, 415, "failed", "storage_type_refused"),
    ("storage", None, 429, "paused", "storage_rate_limited"),
    ("storage", None, 503, "paused", "storage_unavailable"),
    ("storage", None, 500, "retry", "storage_failed"),
    ("storage", None, None, "retry", "storage_failed"),
    ("storage", "190", 400, "retry", "storage_failed"),
    ("poller", "190", 401, "retry", "poller_failed"),
    ("poller", None, None, "retry", "poller_failed"),
]


@pytest.mark.parametrize(("source", "code", "http_status", "verdict", "failure_code"), RULES)
async def test_each_rule(
    db: Any, source: str, code: str | None, http_status: int | None, verdict: str, failure_code: str
) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    found = await fail(db, media, token, source=source, code=code, http_status=http_status)

    assert (found["verdict"], found["failure_code"]) == (verdict, failure_code)
    row = await queue_row(db, media)
    assert (row["status"], row["attempts"]) == {
        "retry": ("pending", 1),
        "paused": ("pending", 0),
        "failed": ("failed", 1),
    }[verdict]
    assert row["last_error_code"] == failure_code
    assert (await db.fetchval("select count(*) from media_pauses") == 1) == (verdict == "paused")
    assert ((await media_row(db, media))["failure_code"] == failure_code) == (verdict == "failed")


async def test_every_rule_is_reached_by_the_test_above(db: Any) -> None:
    rules = {
        row[0] for row in await db.fetch("select distinct failure_code from media_failure_rules")
    }

    assert rules == {rule[4] for rule in RULES}


async def test_operators_change_what_a_failure_means(db: Any) -> None:
    await db.execute(
        "insert into media_failure_rules (source, provider_code, http_status, action, failure_code)"
        " values ('whatsapp', '2', '[500,501)', 'final', 'given_up')"
    )
    media, second = await queue_media(db), await queue_media(db)
    held = await claim(db)

    found = await fail(db, media, held[media], code="2", http_status=500)
    assert (found["verdict"], found["failure_code"]) == ("failed", "given_up")
    found = await fail(db, second, held[second], code="2", http_status=502)
    assert found["verdict"] == "retry"


async def test_a_file_that_cannot_be_checked_is_not_fetched_so_often(db: Any) -> None:
    media = await queue_media(db)
    for attempt in range(1, 6):
        token = (await claim(db))[media]
        found = await fail(db, media, token, source="poller", code="check_failed")
        assert found["verdict"] == ("retry" if attempt < 5 else "failed")
        await make_due(db)

    assert (await status(db, media))["error_code"] == "content_check_failed"


async def test_only_attempts_that_the_failure_ended_count_for_it(db: Any) -> None:
    """Four pollers were killed over it: one wrong file after that is not its end."""
    media = await queue_media(db)
    for _ in range(4):
        await claim(db)
        await expire_lease(db, media)
    for number in range(1, 6):
        await make_due(db)
        token = (await claim(db))[media]
        found = await fail(db, media, token, source="poller", code="check_failed")
        assert found["verdict"] == ("retry" if number < 5 else "failed")

    await db.execute("select retry_media($1)", media)
    found = await fail(db, media, (await claim(db))[media], source="poller", code="check_failed")
    assert found["verdict"] == "retry"
