"""A file that crashes, hangs or bloats the content check takes down its own job alone."""

from __future__ import annotations

import os
import signal
import struct
from typing import Any
from uuid import UUID

import pytest

from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import (
    children,
    eventually,
    is_stored,
    queue_media,
    status,
)

JPEG = SAMPLES[0].read()


def zip_of_many(entries: int) -> bytes:
    """A zip whose directory lists so many files that do not exist: reading it takes the checker
    some 8 µs and 0.3 kB for each, though it has only 55 bytes.
    """
    name = b"a" * 9
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, *[0] * 7, len(name), *[0] * 6) + name
    file = struct.pack("<4s5H3I2H", b"PK\3\4", 20, *[0] * 7, len(name), 0) + name
    size = entries * len(entry)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, size, len(file), 0)
    return file + entry * entries + end


LIMITS = {
    "hangs": {"PGMEDIA_CHECK_SECONDS": "1", "PGMEDIA_CHECK_MEMORY_BYTES": str(4 << 30)},
    "eats memory": {"PGMEDIA_CHECK_SECONDS": "60", "PGMEDIA_CHECK_MEMORY_BYTES": str(256 << 20)},
}


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("hangs", "it took more than 1.0 s"),
        ("eats memory", "it needs more than 268435456 bytes"),
    ],
)
async def test_a_file_that_is_too_much_for_the_check_dies_alone(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller, harm: str, words: str
) -> None:
    """A real file through a real poller, which goes on and checks what comes beside it."""
    await db.execute("update media_settings set backoff_first = '10 ms'")
    await db.execute("update media_failure_rules set attempts_most = 2 where attempts_most = 5")
    zip_type = "application/zip"
    await db.execute(
        "insert into media_formats (mime_type, media_type, extension, arrives_as)"
        " values ($1, 'document', 'zip', '{document}')",
        zip_type,
    )
    bad = whatsapp.add_media(zip_of_many(800_000), zip_type)
    poller = await start_poller(**LIMITS[harm])
    media = await queue_media(db, bad, message_type="document")
    good = [
        await queue_media(db, whatsapp.add_media(variant(SAMPLES[0], number), "image/jpeg"))
        for number in range(5)
    ]

    await eventually(lambda: failed(db, media), 60)

    for one in good:
        await is_stored(db, one)
    row = await status(db, media)
    assert (row["error_code"], row["attempts"]) == ("content_check_failed", 2)
    assert words in row["error_text"]
    assert poller.process.returncode is None


async def failed(db: Any, media: UUID) -> bool:
    return (await status(db, media))["status"] == "failed"


async def test_a_check_that_hangs_harms_only_its_own_file(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set backoff_first = '10 ms'")
    poller = await start_poller(PGMEDIA_CHECK_SECONDS="3", PGMEDIA_CONCURRENCY="1")
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
