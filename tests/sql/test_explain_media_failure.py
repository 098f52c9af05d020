"""Every failure code, and every reason of a pause, has words for people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.helpers import queue_media

FUNCTIONS = Path(__file__).resolve().parents[2] / "db" / "functions"
LITERAL = re.compile(
    r"(?:\bcode := |bury_media_job\([\w.]+, |extend_media_pause\([\w.]+, |"
    r"failure_code = |'failure_code', coalesce\(\w+\.failure_code, )'([a-z_]+)'"
)


async def test_every_code_has_words(db: Any) -> None:
    ruled = await db.fetch(
        "select failure_code from media_failure_rules union"
        " select failure_code from media_content_rules where action = 'refuse'"
    )
    written = {
        code for file in FUNCTIONS.rglob("*.sql") for code in LITERAL.findall(file.read_text())
    }
    assert {"lease_expired", "too_large", "cancelled", "whatsapp_refusals_spent"} <= written

    codes = written | {row["failure_code"] for row in ruled}
    explained = {row[0] for row in await db.fetch("select failure_code from media_failure_codes")}

    assert codes <= explained
    for code in codes:
        (row,) = await db.fetch("select * from explain_media_failure($1)", code)
        assert row["meaning"]
        assert row["advice"]


async def test_a_code_that_nobody_knows_has_none(db: Any) -> None:
    assert await db.fetch("select * from explain_media_failure('no such code')") == []
    assert await db.fetch("select * from explain_media_failure(null)") == []


async def test_the_figures_have_the_words_of_what_is_wrong_now(db: Any) -> None:
    await db.execute("select cancel_media($1)", await queue_media(db))
    await db.execute(
        "select pause_media_source('storage', 'storage_key_refused'),"
        " pause_media_source('whatsapp:1', 'moving house')"
    )
    stats = json.loads(await db.fetchval("select get_media_storage_stats()"))

    assert set(stats["codes"]) == {"storage_key_refused"}
    assert "SUPABASE_SERVICE_KEY" in stats["codes"]["storage_key_refused"]["advice"]


async def test_the_view_of_failures_has_them_too(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("select cancel_media($1)", media)
    await db.execute("update media set failure_code = 'my_own' where id = $1", media)
    await db.execute("update media_processing_queue set status = 'failed' where id = $1", media)
    (row,) = await db.fetch("select * from media_failures")
    assert (row["failure_code"], row["meaning"]) == ("my_own", None)

    await db.execute("insert into media_failure_codes values ('my_own', 'Something', 'Ask us')")
    (row,) = await db.fetch("select * from media_failures")
    assert (row["meaning"], row["advice"]) == ("Something", "Ask us")
