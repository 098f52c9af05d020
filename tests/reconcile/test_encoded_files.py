"""Storage and rows agree about files that were stored otherwise than they were received."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.encoding.images import exif, photo, saved, shown
from tests.helpers import media_row, queue_media
from tests.reconcile.conftest import Hand, Reconcile, age_rows, drain


async def test_storage_and_rows_agree_about_what_was_encoded(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller, reconcile: Reconcile, hand: Hand,
    files: Path,
) -> None:  # fmt: skip
    """Size and type, to pgmedia reconcile; and a lost file comes back as it was."""
    await db.execute("update media_buckets set compress_above = 10000")
    contents = {
        "image/bmp": saved(photo(300, 200), "BMP"),
        "image/jpeg": saved(photo(60, 40), "JPEG", exif=exif()),
        "image/png": saved(photo(300, 200), "PNG"),
    }
    medias = [
        await queue_media(db, whatsapp.add_media(content, kind), media_type="image")
        for kind, content in contents.items()
    ]
    await drain(start_poller)
    hand.age()
    await age_rows(db)
    assert (await reconcile("--json")).found == {}
    before = await media_row(db, medias[0])
    await hand.remove(f"images/{before['storage_path']}")

    fixed = await reconcile("--json", "--fix", "--yes")
    await drain(start_poller)

    assert list(fixed.outcomes.values()) == ["queued again"]
    after = await media_row(db, medias[0])
    assert after["storage_path"] != before["storage_path"]
    file = files / "images" / after["storage_path"]
    assert file.suffix == ".png"
    assert shown(file.read_bytes()) == shown(contents["image/bmp"])
    kinds = await db.fetch("select coalesce(stored_type, mime_type) from media_objects order by 1")
    assert [kind for (kind,) in kinds] == ["image/jpeg", "image/png", "image/webp"]
