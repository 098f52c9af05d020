"""Real pollers that encode, and are killed at it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import PollerProcess, StartPoller
from tests.encoding.images import noisy, saved
from tests.helpers import children, eventually, expire_lease, is_stored, queue_media

NICE = 10
"""Of a child that encodes."""


def encoders(poller: PollerProcess) -> list[int]:
    return [
        pid for pid in children(poller.process.pid) if os.getpriority(os.PRIO_PROCESS, pid) == NICE
    ]


def is_running(pid: int) -> bool:
    """Neither gone, nor dead and not yet noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("end", ["kill", "lease"])
async def test_a_poller_that_ends_while_it_encodes_leaves_nothing(
    db: Any, whatsapp: WhatsAppApi, files: Path, start_poller: StartPoller, tmp_path: Path, end: str
) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    await db.execute("update media_settings set lease = '3 seconds'")
    content = saved(noisy(3000, 3000), "BMP")
    media = await queue_media(db, whatsapp.add_media(content, "image/bmp"), media_type="image")
    poller = await start_poller(PGMEDIA_SPOOL_FOLDER=str(spools), TMPDIR=str(spools))
    (encoder,) = await eventually(lambda: encoders(poller))
    assert not list(spools.iterdir())  # what is on disk has no name

    if end == "kill":
        poller.kill()
        await poller.ended()
    else:
        await db.execute("delete from media where id = $1", media)
        await poller.logged("lease lost, work dropped")

    await eventually(lambda: not is_running(encoder))
    assert not list(spools.iterdir())
    assert not list((files / "images").rglob("*.*"))
    if end == "kill":
        await expire_lease(db, media)
        await start_poller()
        row = await is_stored(db, media)
        assert (files / "images" / row["storage_path"]).read_bytes() == content  # noise: no smaller
