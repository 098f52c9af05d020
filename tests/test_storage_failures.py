"""What becomes of an attachment, and of a removal, for every way in which Storage fails.

The rows are those of the error table that an upload or a removal can meet; each goes over real HTTP
to the real rules. Afterwards the fault is over: the same attachment must be stored, once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from poller.buckets import sync_buckets
from poller.config import Settings
from poller.content import Spool
from poller.db import Database
from poller.deletions import remove_files
from poller.http import open_client
from poller.inspector import Inspector
from poller.pipeline import Pipeline
from poller.sandbox.faults import Fault
from poller.sandbox.postgres import free_port
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import (
    Reason,
    StorageError,
    bad_gateway,
    database_timeout,
    dropped,
    gateway_denial,
    internal_error,
    read_only,
    too_many_connections,
)
from poller.sandbox.whatsapp import WhatsAppApi
from poller.storage import Storage
from poller.whatsapp import WhatsApp
from tests.helpers import make_due, queue_media, status

JPEG = SAMPLES[0].read()
PAGE = "<html><body>Not what you are looking for</body></html>"
NO_AUTHORIZATION = StorageError(
    Reason.SCHEMA, "headers must have required property 'authorization'"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A failure and what it means: verdict, code, and words of the line for the operator."""

    name: str
    verdict: str
    code: str
    words: str
    fault: Fault | None = None
    key: str | None = None
    url: str | None = None


def of_body(error: StorageError) -> Fault:
    return Fault(400, error.reason.body(error.about))


ROWS = [
    Row("exists", "retry", "storage_failed", "already exists", Reason.OBJECT_EXISTS.fault()),
    Row("too large", "failed", "storage_size_refused", "exceeded", Reason.TOO_LARGE.fault()),
    Row(
        "type", "failed", "storage_type_refused", "mime type image/jpeg is not supported",
        of_body(StorageError(Reason.MIME_TYPE, "image/jpeg")),
    ),
    Row("bucket", "paused", "bucket_missing", "Bucket not found", Reason.NO_BUCKET.fault()),
    Row("anon key", "paused", "storage_key_refused", "row-level security", key="anon"),
    Row("foreign key", "paused", "storage_key_refused", "signature verification", key="foreign"),
    Row("expired key", "paused", "storage_key_refused", '"exp" claim', key="expired"),
    Row("malformed key", "paused", "storage_key_refused", "Invalid Compact JWS", key="malformed"),
    Row(
        "no key", "paused", "storage_answer_unexpected", "must have required property",
        of_body(NO_AUTHORIZATION),
    ),
    Row("bad path", "failed", "storage_path_refused", "Invalid key", Reason.KEY.fault()),
    Row("bad bucket name", "retry", "storage_failed", "name invalid", Reason.BUCKET_NAME.fault()),
    Row("read-only", "paused", "storage_unavailable", "read-only mode", read_only()),
    Row("internal", "retry", "storage_failed", "Internal Server Error", internal_error()),
    Row("database timeout", "retry", "storage_failed", "timed out", database_timeout()),
    Row("connections", "paused", "storage_rate_limited", "Too many", too_many_connections()),
    Row(
        "retry after", "paused", "storage_rate_limited", "HTTP 429",
        Fault(429, PAGE, {"Retry-After": "600"}),
    ),
    Row("gateway's 502", "retry", "storage_failed", "HTTP 502", bad_gateway()),
    Row("gateway's 401", "paused", "storage_key_refused", "HTTP 401", gateway_denial()),
    Row("broken before", "retry", "storage_unreachable", "", dropped()),
    Row("broken answer", "retry", "storage_unreachable", "", Fault.disconnect()),
    Row("half an answer", "retry", "storage_unreachable", "", Fault.disconnect(after=5)),
    Row("silence", "retry", "storage_unreachable", "Timeout", Fault.stall()),
    Row("page with 200", "paused", "storage_answer_unexpected", "none of", Fault(200, PAGE)),
    Row("page with 404", "paused", "storage_answer_unexpected", "HTTP 404", Fault(404, PAGE)),
    Row("method", "paused", "storage_answer_unexpected", "HTTP 405", Fault(405, PAGE)),
    Row(
        "redirect", "paused", "storage_answer_unexpected", "HTTP 302",
        Fault(302, headers={"Location": "http://127.0.0.1:1/"}),
    ),
    Row("JSON of another", "paused", "storage_answer_unexpected", "none of", Fault(200, {"ok": 1})),
    Row("no server", "paused", "storage_absent", "Cannot connect", url="http://127.0.0.1:{port}"),
    Row("no host", "paused", "storage_absent", "Cannot connect", url="http://no-such-host.invalid"),
]  # fmt: skip

MakePipeline = Callable[..., Awaitable[Pipeline]]


@pytest.fixture
async def pipeline(
    settings: Settings, whatsapp: WhatsAppApi, storage: StorageApi, buckets: None
) -> AsyncIterator[MakePipeline]:
    """Build what a poller works with: the key and the URL of Storage can be others."""
    del buckets
    database = await Database.connect(settings.database_url.get_secret_value(), "in-process", 4)

    async def build(row: Row | None = None, inspector: Inspector | None = None) -> Pipeline:
        key = storage.service_key
        if row and row.key:
            key = {
                "anon": storage.anon_key,
                "foreign": storage.make_key(
                    "service_role", secret="another of 32 characters, or more"
                ),
                "expired": storage.make_key("service_role", expires_in=-60),
                "malformed": "malformed",
            }[row.key]
        url = (row.url if row and row.url else storage.url).format(port=free_port())
        token = SecretStr(whatsapp.token)
        return Pipeline(
            database=database,
            whatsapp=WhatsApp(client, whatsapp.url, token, None, 5),
            storage=Storage(client, url, SecretStr(key), 1),
            inspector=inspector or children,
            spool_memory_bytes=100_000,
            spool_folder=None,
        )

    async with (
        open_client({"127.0.0.1", "no-such-host.invalid"}, 1, 8) as client,
        Inspector(children=1, seconds=20, memory_bytes=1 << 30) as children,
    ):
        yield build
    await database.close()


def fresh(fault: Fault) -> Fault:
    """The same fault, of this test's event loop."""
    return replace(fault, reached=asyncio.Event(), released=asyncio.Event())


async def attempt(pipeline: Pipeline) -> str:
    (job,) = await pipeline.database.claim(1)
    return await pipeline.process(job)


async def fault_is_over(db: Any, storage: StorageApi) -> None:
    storage.faults.clear()
    await db.execute("select resume_media_source('storage')")
    await make_due(db)


async def stored_once(db: Any, media: Any, files: Path, content: bytes) -> None:
    assert await db.fetchval("select processed from media where id = $1", media)
    (file,) = (files / "images").rglob("*.jpg")
    assert file.read_bytes() == content


@pytest.mark.parametrize("size", [0, 3_000_000], ids=["small", "streamed"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_an_upload(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path,
    caplog: pytest.LogCaptureFixture, row: Row, size: int,
) -> None:  # fmt: skip
    content = JPEG + bytes(size)
    media = await queue_media(db, whatsapp.add_media(content, "image/jpeg"))
    if row.fault:
        storage.faults.always("upload", fresh(row.fault))

    failing = await pipeline(row)
    assert await attempt(failing) == row.verdict

    found = await status(db, media)
    assert (found["error_code"], found["attempts"]) == (row.code, int(row.verdict != "paused"))
    assert row.words in found["error_text"]
    (line,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert f"{row.verdict}, {row.code}: " in line
    assert storage.service_key not in line
    pause = await db.fetchrow("select *, until - paused_at as lasts from media_pauses")
    if row.verdict == "paused":
        assert (pause["scope"], pause["reason"]) == ("storage", row.code)
        asked = row.fault.headers.get("Retry-After") if row.fault else None
        assert pause["lasts"].total_seconds() >= int(asked or 10)
        assert await failing.database.claim(1) == []
    else:
        assert pause is None

    await fault_is_over(db, storage)
    if row.verdict == "failed":
        assert await db.fetchval("select retry_failed_media(code => $1)", row.code) == 1
    assert await attempt(await pipeline()) == "stored"
    await stored_once(db, media, files, content)


REMOVALS = [
    row
    for row in ROWS
    if row.name not in {"exists", "too large", "type", "bad path", "bucket", "anon key"}
]
"""Names and buckets that are not there are no failure; the answer to anon is a case of its own."""


@pytest.mark.parametrize("row", REMOVALS, ids=lambda row: row.name)
async def test_a_removal(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path,
    row: Row,
) -> None:  # fmt: skip
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    good, failing = await pipeline(), await pipeline(row)
    assert await attempt(good) == "stored"
    await db.execute("select delete_media($1)", media)
    if row.fault:
        storage.faults.always("remove", fresh(row.fault))

    assert await remove_files(good.database, failing.storage) == 1

    kept = await db.fetchrow("select * from media_deletion_queue")
    assert (kept["status"], kept["last_error_code"]) == ("pending", row.code)
    assert row.words in kept["last_error_text"]
    paused = await db.fetch("select reason from media_pauses")
    assert [one["reason"] for one in paused] == [row.code] * (row.verdict == "paused")

    await fault_is_over(db, storage)
    await remove_files(good.database, good.storage)
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert not list((files / "images").rglob("*.jpg"))


async def test_a_removal_with_the_key_of_anon_forgets_no_file(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path
) -> None:
    """Storage answers HTTP 200 and removes nothing."""
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    good = await pipeline()
    assert await attempt(good) == "stored"
    await db.execute("select delete_media($1)", media)
    anon = await pipeline(Row("", "", "", "", key="anon"))

    await remove_files(good.database, anon.storage)

    kept = await db.fetchrow("select * from media_deletion_queue")
    assert (kept["status"], kept["last_error_code"]) == ("pending", "storage_key_refused")
    assert kept["last_error_text"].startswith("the key sees no bucket")
    assert list((files / "images").rglob("*.jpg"))
    await fault_is_over(db, storage)
    await remove_files(good.database, good.storage)
    assert not list((files / "images").rglob("*.jpg"))


async def test_a_removal_of_a_bucket_that_is_gone_is_done(db: Any, pipeline: MakePipeline) -> None:
    await db.execute(
        "insert into media_deletion_queue (bucket_name, storage_path, reason)"
        " values ('no-such-bucket', '2024/01/a.jpg', 'test')"
    )
    good = await pipeline()

    assert await remove_files(good.database, good.storage) == 1

    assert await db.fetchval("select count(*) from media_deletion_queue") == 0


async def test_odd_paths_of_old_rows_are_removed(
    db: Any, pipeline: MakePipeline, storage: StorageApi
) -> None:
    """Storage cannot hold such names: they count as removed, and do not keep back the others."""
    names = ["für~#%.jpg", "2024/01/a?b.jpg", "../x", "a\\b", "", " ", "x" * 2000]
    await db.executemany(
        "insert into media_deletion_queue (bucket_name, storage_path, reason)"
        " values ('images', $1, 'test')",
        [[name] for name in names],
    )
    good = await pipeline()

    assert await remove_files(good.database, good.storage) == len(names)

    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert storage.requests["remove"] == 1


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("2024/01/a b&c=d?e;f+g,h.jpg", True),
        ("2024/01/a%2Fb.jpg", False),
        ("2024/01/für.jpg", False),
        ("2024/01/a#b~.jpg", False),
        ("2024/01/a\nb.jpg", False),
    ],
)
async def test_an_odd_path_of_an_old_row(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path, path: str, stored: bool
) -> None:
    """It is uploaded to just that name, or fails with a clear line; nothing else is written."""
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await db.execute(
        "insert into media_objects (content_hash, is_public, bucket_name, storage_path, leader_id)"
        " values (encode(sha256($1), 'hex'), true, 'images', $2, $3)",
        JPEG, path, media,
    )  # fmt: skip

    verdict = await attempt(await pipeline())

    found = await status(db, media)
    if stored:
        assert verdict == "stored"
        assert (files / "images" / path).read_bytes() == JPEG
    else:
        assert (verdict, found["error_code"]) == ("failed", "storage_path_refused")
        assert "Invalid key: " in found["error_text"]
        assert not list((files / "images").rglob("*.jpg"))


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ({"file_size_limit": 10}, "storage_size_refused"),
        ({"allowed_mime_types": ["image/png"]}, "storage_type_refused"),
    ],
)
async def test_a_bucket_that_somebody_made_otherwise(
    db: Any, pipeline: MakePipeline, settings: Settings, whatsapp: WhatsAppApi,
    storage: StorageApi, files: Path, setting: dict[str, object], code: str,
) -> None:  # fmt: skip
    async with httpx.AsyncClient() as client:
        changed = await client.put(
            f"{storage.url}/storage/v1/bucket/images", json=setting,
            headers={"Authorization": f"Bearer {storage.service_key}"},
        )  # fmt: skip
        assert changed.is_success
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    good = await pipeline()

    assert await attempt(good) == "failed"
    assert (await status(db, media))["error_code"] == code

    changes = await sync_buckets(settings, await good.database.bucket_policy())
    assert [one.bucket_name for one in changes if one.action == "changed"] == ["images"]
    assert await db.fetchval("select retry_failed_media(code => $1)", code) == 1
    assert await attempt(good) == "stored"
    await stored_once(db, media, files, JPEG)


class Truncating(Inspector):
    """Looks into a download, and then most of that is lost."""

    async def detect(self, spool: Spool) -> str:
        mime_type = await super().detect(spool)
        os.ftruncate(spool.descriptor, 10)
        return mime_type


async def test_a_file_that_is_lost_between_spool_and_upload(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path
) -> None:
    content = JPEG + bytes(3_000_000)
    media = await queue_media(db, whatsapp.add_media(content, "image/jpeg"))
    async with Truncating(children=1, seconds=20, memory_bytes=1 << 30) as truncating:
        bad = await pipeline(inspector=truncating)

        assert await attempt(bad) == "paused"

    found = await status(db, media)
    assert (found["error_code"], found["attempts"]) == ("spool_lost", 0)
    assert found["error_text"].startswith(
        f"10 of the {len(content)} bytes of the download are left"
    )
    assert not storage.uploads
    pause = await db.fetchrow("select scope, reason from media_pauses")
    assert tuple(pause) == ("poller:in-process", "spool_lost")
    assert await bad.database.claim(1) == []  # another poller's disk may be better
    await db.execute("delete from media_pauses")
    assert await attempt(replace(bad, inspector=(await pipeline()).inspector)) == "stored"
    await stored_once(db, media, files, content)
