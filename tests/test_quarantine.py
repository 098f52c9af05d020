"""Refused files in quarantine, with a real poller, `pgmedia buckets` and `pgmedia doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import Reason
from poller.sandbox.whatsapp import WhatsAppApi
from tests.checks.makers import SCRIPT
from tests.command import Run, run
from tests.conftest import StartPoller
from tests.helpers import eventually, queue_media, status

__all__ = ["run"]

HARM = b"<html>" + SCRIPT
BUCKET = "media-quarantine"


@pytest.fixture(autouse=True)
async def quarantine(db: Any, buckets: None) -> None:
    del buckets
    await db.execute("select set_media_setting('quarantine_refused', 'true')")


async def test_buckets_and_doctor_know_it(run: Run) -> None:
    code, said, _ = await run("buckets", "--yes")
    assert (code, f"{BUCKET}: created; it does not exist" in said) == (0, True)

    _, said, _ = await run("doctor")

    assert f"ok       bucket {BUCKET}: as the policy has it, private" in said
    assert any(
        line.startswith(f"ok       round trip in {BUCKET}: a file was stored") for line in said
    )


async def test_a_refused_file_is_kept_and_leaves(
    db: Any, run: Run, whatsapp: WhatsAppApi, storage: StorageApi, files: Path,
    start_poller: StartPoller,
) -> None:  # fmt: skip
    await run("buckets", "--yes")
    for _ in range(2):
        await queue_media(db, whatsapp.add_media(HARM, "text/plain"), media_type="document")
    await start_poller()
    await eventually(
        lambda: db.fetchval(
            "select count(*) = 2 from media_processing_queue where status = 'failed'"
        )
    )

    row = await db.fetchrow("select * from media_quarantine")
    file = files / BUCKET / row["storage_path"]
    assert file.read_bytes() == HARM
    assert storage.uploads.total() == 1  # the same bytes once
    async with httpx.AsyncClient() as client:
        for place in (f"public/{BUCKET}", BUCKET, f"authenticated/{BUCKET}"):
            answer = await client.get(
                f"{storage.url}/storage/v1/object/{place}/{row['storage_path']}",
                headers={"apikey": storage.anon_key, "Authorization": f"Bearer {storage.anon_key}"},
            )
            assert answer.status_code >= 400
    await db.execute("update media_quarantine set keep_until = now() - interval '1 s'")
    await db.execute("select run_media_maintenance()")
    await eventually(lambda: not file.exists())


@pytest.mark.parametrize(
    "fault", [None, Reason.TOO_LARGE.fault(), Fault(503, "<html>"), Fault(429, "<html>")]
)
async def test_a_quarantine_that_cannot_be_reached_holds_nothing_up(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller,
    fault: Fault | None,
) -> None:  # fmt: skip
    """Without a fault there is no bucket, as nobody ran pgmedia buckets."""
    if fault:
        storage.faults.once("upload", fault)
    media = await queue_media(db, whatsapp.add_media(HARM, "text/plain"), media_type="document")
    poller = await start_poller("--drain")

    assert await poller.ended() == 0

    assert (await status(db, media))["error_code"] == "active_content"
    assert await db.fetchval("select count(*) from media_pauses") == 0
    unsure = fault is not None and fault.status == 503
    assert await db.fetchval("select count(*) from media_quarantine") == unsure
