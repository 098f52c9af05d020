"""A file that crashes, hangs or bloats the content check takes down its own job alone."""

from __future__ import annotations

import os
import signal
from typing import Any

from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import (
    children,
    is_stored,
    queue_media,
)

JPEG = SAMPLES[0].read()


async def test_a_check_that_hangs_harms_only_its_own_file(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set backoff_first = '10 ms'")
    poller = await start_poller(PGMEDIA_CHECK_SECONDS="0.5", PGMEDIA_CONCURRENCY="1")
    first = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await is_stored(db, first)
    (child,) = children(poller.process.pid)

    os.kill(child, signal.SIGSTOP)
    media = await queue_media(db, whatsapp.add_media(variant(SAMPLES[0], 1), "image/jpeg"))

    await is_stored(db, media)
    trail = await db.fetch("select detail ->> 'code' from get_media_audit_trail($1)", media)
    assert [row[0] for row in trail if row[0]] == ["content_check_failed"]
    assert children(poller.process.pid) != [child]


async def test_a_check_that_crashes_harms_only_its_own_file(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set backoff_first = '10 ms'")
    poller = await start_poller(PGMEDIA_CONCURRENCY="1")
    await is_stored(db, await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg")))
    (child,) = children(poller.process.pid)
    os.kill(child, signal.SIGSTOP)  # it holds the file
    content = variant(SAMPLES[0], 1)
    media_id = whatsapp.add_media(content, "image/jpeg")
    media = await queue_media(db, media_id)
    await whatsapp.wait_for_download(media_id)

    os.kill(child, signal.SIGKILL)

    await is_stored(db, media)
    trail = await db.fetch("select detail ->> 'code' from get_media_audit_trail($1)", media)
    assert [row[0] for row in trail if row[0]] in ([], ["content_check_failed"])
    assert poller.process.returncode is None
