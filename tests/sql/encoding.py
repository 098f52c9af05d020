"""An attachment whose received bytes are to be encoded, as a poller takes it on."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from tests.helpers import POLLER, claim, queue_media, sha256

RECEIVED, RESULT = sha256(b"received"), sha256(b"result")
LARGE = 6_000_000
BMP = {"mime_type": "image/bmp", "width": 10, "height": 10, "frames": 1}
PNG = BMP | {"mime_type": "image/png"}
JPEG = BMP | {"mime_type": "image/jpeg"}
WAV = {"mime_type": "audio/wav"}


async def begin(
    db: Any, media: UUID, token: int, facts: dict[str, Any], size: int = LARGE,
    content_hash: str = RECEIVED,
) -> Any:  # fmt: skip
    return await db.fetchrow(
        "select * from begin_media_upload($1, $2, $3, $4, $5, $6, $7)",
        media, POLLER, token, content_hash, size, facts["mime_type"], json.dumps(facts),
    )  # fmt: skip


async def settle(
    db: Any, media: UUID, token: int, asked: Any, facts: dict[str, Any] | None = None,
    size: int | None = None, problem: str | None = None, problem_code: str | None = None,
) -> Any:  # fmt: skip
    return await db.fetchrow(
        "select * from settle_media_encoding($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        media, POLLER, token, asked["object_id"], asked["encoding"], problem,
        facts and RESULT, size, facts and json.dumps(facts), problem_code,
    )  # fmt: skip


async def begun(
    db: Any,
    facts: dict[str, Any],
    size: int = LARGE,
    media_type: str = "image",
    content_hash: str = RECEIVED,
) -> tuple[UUID, int, Any]:
    """An attachment whose bytes are here, with its fencing token and the verdict on them."""
    media = await queue_media(db, media_type=media_type)
    token = (await claim(db))[media]
    return media, token, await begin(db, media, token, facts, size, content_hash)
