"""No call that is made for one attachment reads more rows as the tables grow.

The calls are first made on small tables, so that the session has plans for those; then the tables
grow, and ANALYZE has seen it, as autovacuum does within a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.helpers import (
    POLLER,
    add_message,
    begin_upload,
    claim,
    describe,
    expire_lease,
    fail,
    finish_upload,
    queue_media,
    sha256,
    store,
)
from tests.webhook.calls import receive
from tests.webhook.payloads import lost, message, received

ROWS = 3000
MOST = 100
"""Rows of the grown tables that one call may read: those in work, and checks of foreign keys."""
GROWN = ["messages", "media", "media_processing_queue", "media_objects", "media_audit_log"]
KNOWN = sha256(b"known")

# Stored, pending, failed, in backoff, and a few in work with another poller.
GROW = """
with message as (
    insert into messages (whatsapp_message_id, phone_number_id, sent_at)
    select gen_random_uuid(), (i % 7)::text, now() from generate_series(1, $1::integer) i
    returning id, phone_number_id
),
one as (select id as message_id, row_number() over () as i, phone_number_id from message),
object as (
    insert into media_objects (
        content_hash, is_public, state, file_size, stored_hash, stored_size, mime_type, bucket_name,
        storage_path, stored_at)
    select h, true, 'stored', 1000, h, 1000, 'image/jpeg', 'images',
        to_char(now(), 'YYYY/MM/') || gen_random_uuid() || '.jpg', now()
    from one, encode(sha256(int8send(i)), 'hex') h
    where i % 5 = 0
    returning id, content_hash, bucket_name, storage_path
),
added as (
    insert into media (
        message_id, whatsapp_media_id, media_type, mime_type, file_size, content_hash, bucket_name,
        storage_path, object_id, processed, processed_at, message_sent_at)
    select m.message_id, 'grown-' || m.i, 'image', 'image/jpeg', 1000, o.content_hash,
        o.bucket_name, o.storage_path, o.id, o.id is not null,
        case when o.id is not null then now() end, now()
    from one m
    left join object o on o.content_hash = encode(sha256(int8send(m.i)), 'hex')
    returning id, message_id, whatsapp_media_id, processed
),
audit as (
    insert into media_audit_log (media_id, event) select id, 'queued' from added
)
insert into media_processing_queue (
    id, message_id, whatsapp_media_id, source, status, due_at, max_attempts, attempts, claimed_by,
    lease_until, last_error_code)
select a.id, a.message_id, a.whatsapp_media_id, 'whatsapp:' || m.phone_number_id, s.status,
    now() + case when m.i % 5 = 2 then interval '1 hour' else interval '0' end, 12, 1,
    case when s.status = 'processing' then 'another' end,
    case when s.status = 'processing' then now() + interval '1 hour' end,
    case when s.status = 'failed' then 'not_found' end
from added a
join one m using (message_id)
cross join lateral (select case when m.i % 5 = 3 then 'failed' when m.i % 500 = 4 then 'processing'
    else 'pending' end as status) s
where not a.processed
"""

Call = Callable[[Any], Awaitable[Callable[[], Awaitable[Any]]]]
"""Prepares an attachment, and returns the call to be watched."""


async def claimed(db: Any, **arguments: Any) -> tuple[UUID, int]:
    await db.execute("delete from media_pauses")
    media = await queue_media(db, priority=1, phone_number_id=uuid4().hex, **arguments)
    return media, (await claim(db, 20))[media]


async def begun(db: Any) -> tuple[UUID, int, UUID]:
    media, token = await claimed(db)
    place = await begin_upload(db, media, token, content_hash=sha256(uuid4().bytes))
    return media, token, place["object_id"]


async def failed(db: Any) -> UUID:
    media, token = await claimed(db)
    await fail(db, media, token, code="100")
    return media


async def queueing(db: Any) -> Any:
    message = await add_message(db)
    return lambda: queue_media(db, message_id=message)


async def queueing_what_is_known(db: Any) -> Any:
    message = await add_message(db)
    return lambda: queue_media(db, message_id=message, media_type="image", sha256=KNOWN)


async def queueing_again(db: Any) -> Any:
    message = await add_message(db)
    await queue_media(db, "again", message_id=message)
    return lambda: queue_media(db, "again", message_id=message)


async def claiming(db: Any) -> Any:
    await queue_media(db, priority=1)
    return lambda: claim(db, 1)


async def describing(db: Any) -> Any:
    media, token = await claimed(db)
    return lambda: describe(db, media, token, sha256=sha256(uuid4().bytes))


async def describing_what_is_known(db: Any) -> Any:
    media, token = await claimed(db)
    return lambda: describe(db, media, token, sha256=KNOWN)


async def beginning(db: Any) -> Any:
    media, token = await claimed(db)
    return lambda: begin_upload(db, media, token, content_hash=sha256(uuid4().bytes))


async def finishing(db: Any) -> Any:
    media, token, object_id = await begun(db)
    return lambda: finish_upload(db, media, token, object_id)


async def failing(db: Any) -> Any:
    media, token = await claimed(db)
    return lambda: fail(db, media, token, http_status=500)


async def rescuing(db: Any) -> Any:
    media, _ = await claimed(db)
    await expire_lease(db, media)
    return lambda: db.execute("select rescue_media_jobs()")


async def receiving(db: Any) -> Any:
    payload = received(message(), lost())
    return lambda: receive(db, payload)


async def receiving_again(db: Any) -> Any:
    kept, payload = received(message(), lost()), received(message(), lost())
    for one in (kept, payload):
        await receive(db, one)
    await db.execute(
        "delete from media where id in (select id from media_processing_queue limit 1)"
    )
    payload["entry"] += kept["entry"]
    return lambda: receive(db, payload)


def of_one(statement: str, *, prepare: Callable[[Any], Awaitable[UUID]] = queue_media) -> Call:
    async def ready(db: Any) -> Any:
        media = await prepare(db)
        return lambda: db.fetch(statement, media)

    return ready


def of_poller(function: str) -> Call:
    async def ready(db: Any) -> Any:
        media, token = await claimed(db)
        call = f"select {function}($1, array[$2::uuid], array[$3::integer])"
        return lambda: db.fetch(call, POLLER, media, token)

    return ready


async def stored(db: Any) -> UUID:
    await db.execute("delete from media_pauses")
    return await store(db, sha256(uuid4().bytes), priority=1, phone_number_id=uuid4().hex)


CALLS: dict[str, Call] = {
    "queue": queueing,
    "queue what is known": queueing_what_is_known,
    "queue again": queueing_again,
    "claim": claiming,
    "describe": describing,
    "describe what is known": describing_what_is_known,
    "begin": beginning,
    "finish": finishing,
    "fail": failing,
    "rescue": rescuing,
    "receive": receiving,
    "receive again": receiving_again,
    "renew": of_poller("renew_media_leases"),
    "release": of_poller("release_media_jobs"),
    "retry": of_one("select retry_media($1)", prepare=failed),
    "cancel": of_one("select cancel_media($1)"),
    "delete": of_one("select delete_media($1)", prepare=stored),
    "touch": of_one("select touch_media($1)", prepare=stored),
    "hold": of_one("select hold_media($1, 'a case')", prepare=stored),
    "status": of_one("select * from get_media_status($1)"),
    "audit trail": of_one("select * from get_media_audit_trail($1)"),
    "media of a message": of_one(
        "select get_media_by_message(message_id) from media where id = $1"
    ),
    "exists": of_one(f"select check_media_exists('{KNOWN}') from media where id = $1"),
}


async def rows_read(db: Any, call: Callable[[], Awaitable[Any]]) -> dict[str, int]:
    """Rows that the call reads of each grown table, by scans and through indexes."""
    query = """
        select relname, seq_tup_read + coalesce(idx_tup_fetch, 0) as rows
        from pg_stat_xact_user_tables where relname = any ($1)
    """
    async with db.transaction():
        before = {row["relname"]: row["rows"] for row in await db.fetch(query, GROWN)}
        await call()
        after = {row["relname"]: row["rows"] for row in await db.fetch(query, GROWN)}
    return {name: after[name] - before[name] for name in GROWN if after[name] > before[name]}


@pytest.mark.parametrize("name", CALLS)
async def test_reads_a_bounded_number_of_rows(db: Any, name: str) -> None:
    await store(db, KNOWN)
    for _ in range(8):  # plans are kept from the sixth time on
        await (await CALLS[name](db))()
    await db.execute(GROW, ROWS)
    await db.execute("analyze")

    read = await rows_read(db, await CALLS[name](db))

    assert sum(read.values()) <= MOST, read
    assert read
