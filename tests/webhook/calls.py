"""What the webhook's tests ask the database, in short words."""

from __future__ import annotations

import json
from typing import Any

from tests.webhook.payloads import Json


async def receive(db: Any, payload: object) -> Json:
    """The summary of a call, given as an object or as the body's text."""
    body = payload if isinstance(payload, str) else json.dumps(payload)
    return json.loads(await db.fetchval("select receive_whatsapp_webhook($1)", body))


async def replay(db: Any, event_id: int) -> Json:
    return json.loads(await db.fetchval("select replay_whatsapp_webhook($1)", event_id))


async def media_of(db: Any, one: Json) -> list[Any]:
    """The media rows of a message, with their queue rows."""
    return await db.fetch(
        "select m.*, q.status, q.source, q.source_url, q.waiting_for"
        " from media m join messages s on s.id = m.message_id"
        " left join media_processing_queue q on q.id = m.id"
        " where s.whatsapp_message_id = $1 order by m.whatsapp_media_id",
        one["id"],
    )


async def count(db: Any, table: str) -> int:
    return await db.fetchval(f"select count(*) from {table}")
