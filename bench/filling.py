"""Rows by the million: media that are stored, and media that wait in the queue."""

from __future__ import annotations

from typing import Any

NUMBERS = 20
"""Phone numbers that what waits is spread over."""

FILL_MEDIA = """
with message as (
    insert into messages (whatsapp_message_id, sent_at) values (gen_random_uuid(), now())
    returning id
),
objects as (
    insert into media_objects (
        content_hash, is_public, state, file_size, stored_hash, stored_size, mime_type, bucket_name,
        storage_path, stored_at)
    select encode(sha256(int8send(i)), 'hex'), true, 'stored', 100000,
        encode(sha256(int8send(i)), 'hex'), 100000, 'image/jpeg', 'images',
        to_char(now(), 'YYYY/MM/') || gen_random_uuid() || '.jpg', now()
    from generate_series($1::bigint, $2::bigint) i
    where i % 10 < 7
    returning id, bucket_name, storage_path, content_hash
)
insert into media (
    message_id, whatsapp_media_id, media_type, mime_type, file_size, content_hash, bucket_name,
    storage_path, object_id, processed, processed_at, message_sent_at)
select m.id, i::text, (array['image', 'video', 'audio', 'document', 'sticker'])[1 + i % 5],
    'image/jpeg', 100000, o.content_hash, o.bucket_name, o.storage_path, o.id, true, now(),
    now() - random() * interval '1000 days'
from message m
cross join generate_series($1::bigint, $2::bigint) i
join objects o on o.content_hash = encode(sha256(int8send(
    case when i % 10 < 7 then i else i - i % 10 end)), 'hex')
"""

FILL_QUEUE = f"""
with message as (
    insert into messages (whatsapp_message_id, phone_number_id, sent_at)
    select 'backlog-' || i, (i % {NUMBERS})::text, now()
    from generate_series($1::bigint, $2::bigint) i
    returning id, phone_number_id, whatsapp_message_id
),
added as (
    insert into media (message_id, whatsapp_media_id, media_type, mime_type, message_sent_at)
    select id, whatsapp_message_id, 'image', 'image/jpeg', now() from message
    returning id, message_id, whatsapp_media_id
)
insert into media_processing_queue (
    id, message_id, whatsapp_media_id, source, status, due_at, max_attempts)
select a.id, a.message_id, a.whatsapp_media_id, 'whatsapp:' || m.phone_number_id, 'pending',
    now() + $3::interval, 12
from added a
join message m on m.id = a.message_id
"""


async def fill_media(db: Any, first: int, last: int) -> None:
    for start in range(first, last + 1, 100_000):  # of whole tens
        await db.execute(FILL_MEDIA, start, min(start + 99_999, last), timeout=600)
    await db.execute("vacuum analyze", timeout=600)


async def fill_queue(db: Any, count: int, due_in: str = "0") -> None:
    first = await db.fetchval("select count(*) from messages") + 1
    for start in range(first, first + count, 100_000):
        last = min(start + 99_999, first + count - 1)
        await db.execute(FILL_QUEUE.replace("$3", f"'{due_in}'"), start, last, timeout=600)
