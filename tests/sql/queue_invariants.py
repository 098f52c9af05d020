"""What holds after every call, whatever was called: queries that must find nothing."""

from __future__ import annotations

import os

THOROUGH = os.environ.get("PGMEDIA_TEST_PROFILE") == "thorough"
"""Look much longer for what breaks them."""

TABLES = [
    "messages", "media", "media_processing_queue", "media_objects", "media_deletion_queue",
    "media_audit_log", "media_analytics", "media_analytics_deltas", "media_pauses", "media_sources",
    "media_unheard_requests",
    "media_holds", "media_accesses", "media_bucket_totals", "media_bucket_deltas",
    "media_processing_times", "media_throughput", "media_tombstones",
]  # fmt: skip
"""What the queue writes to."""

EMPTY = f"""
begin;
set local session_replication_role = replica;
alter table media_audit_log disable trigger user;
{";".join(f"delete from {table}" for table in TABLES)};
alter table media_audit_log enable trigger user;
commit
"""
"""Deleted, not truncated: new files for tables and indexes cost more than all else in a scene."""

INVARIANTS = {
    "the totals of the buckets are those of the objects": """
        select t.bucket_name, sum(t.objects), sum(t.bytes)
        from (
            select * from media_bucket_totals
            union all
            select * from media_bucket_deltas
            union all
            select bucket_name, -1, -stored_size from media_objects where state = 'stored'
        ) t
        group by t.bucket_name
        having sum(t.objects) <> 0 or sum(t.bytes) <> 0
    """,
    "processed <=> it refers to a stored object, and is not queued": """
        select m.id, m.processed, o.state, q.status
        from media m
        left join media_objects o on o.id = m.object_id
        left join media_processing_queue q on q.id = m.id
        where m.processed <> (o.state is not distinct from 'stored')
            or m.processed <> (q.id is null)
            or m.processed <> (m.processed_at is not null)
    """,
    "a processed attachment says about its file what the object says": """
        select m.id, o.id as object_id
        from media m
        join media_objects o on o.id = m.object_id
        where (m.content_hash, m.bucket_name, m.storage_path) is distinct from
                (o.content_hash, o.bucket_name, o.storage_path)
            or (m.mime_type, m.file_size) is distinct from (o.mime_type, o.file_size)
    """,
    "the content is the one that was announced": """
        select m.id, m.whatsapp_sha256, m.content_hash
        from media m
        where m.processed and m.whatsapp_sha256 <> m.content_hash
    """,
    "private <=> stored as private, and then without a public URL": """
        select m.id, m.media_type, o.bucket_name
        from media m
        join media_objects o on o.id = m.object_id
        cross join media_settings s
        join media_buckets stored on stored.bucket_name = o.bucket_name
        join media_buckets wanted on m.media_type = any (wanted.media_types)
        where o.is_public <> wanted.is_public or stored.is_public <> wanted.is_public
            or (m.public_url is not null) <> (wanted.is_public and s.project_url is not null)
    """,
    "nobody has a format that its media type may not have": """
        select m.id, m.media_type, m.mime_type
        from media m
        where m.processed and not exists (
            select
            from media_formats f
            where f.mime_type = m.mime_type and m.media_type = any (f.arrives_as))
    """,
    "failed or cancelled <=> the reason is on the media row": """
        select m.id, q.status, m.failure_code
        from media m
        left join media_processing_queue q on q.id = m.id
        where coalesce(q.status in ('failed', 'cancelled'), false) <> (m.failure_code is not null)
            or (m.failure_code is null) <> (m.failed_at is null)
            or (q.status in ('failed', 'cancelled') and q.last_error_code <> m.failure_code)
    """,
    "a stored object is referred to": """
        select o.id
        from media_objects o
        where o.state = 'stored' and not exists (select from media m where m.object_id = o.id)
    """,
    "a reservation is led by an attachment at work": """
        select o.id, o.leader_id, q.status
        from media_objects o
        left join media_processing_queue q on q.id = o.leader_id
        where o.state = 'uploading' and coalesce(q.status not in ('pending', 'processing'), true)
    """,
    "an object that is deleting has its file queued for removal": """
        select o.id
        from media_objects o
        where o.state = 'deleting' and not exists (
            select
            from media_deletion_queue d
            where d.object_id = o.id
                and (d.bucket_name, d.storage_path) = (o.bucket_name, o.storage_path))
    """,
    "a file in use is not queued for removal": """
        select d.id, o.id as object_id, o.state
        from media_deletion_queue d
        join media_objects o
            on o.id = d.object_id
            or (o.bucket_name, o.storage_path) = (d.bucket_name, d.storage_path)
        where o.state <> 'deleting' or d.object_id is distinct from o.id
    """,
    "attempts are within bounds": """
        select q.id, q.status, q.attempts
        from media_processing_queue q
        where (q.status = 'processing' and q.attempts < 1)
            or (q.status in ('pending', 'waiting') and q.attempts >= q.max_attempts)
    """,
    "who waits waits for somebody at work, and looks again in time": """
        select q.id, q.waiting_for, l.status, q.due_at
        from media_processing_queue q
        cross join media_settings s
        left join media_processing_queue l on l.id = q.waiting_for
        where q.status = 'waiting'
            and (coalesce(l.status not in ('pending', 'processing'), true)
                or q.content_hash is null
                or q.due_at > now() + s.waiting_recheck)
    """,
    "what is or may be refused within an hour is within the limit of its number": """
        select s.source, r.refusals, u.requests, w.jobs
        from media_sources s
        cross join media_settings t
        cross join lateral (
            select count(*) as refusals
            from unnest(s.refused_at) x (at)
            where x.at > now() - interval '1 hour') r
        cross join lateral (
            select count(*) as jobs
            from media_processing_queue q
            where q.source = s.source and q.status = 'processing' and not q.bytes_received) w
        cross join lateral (
            select count(*) as requests
            from media_unheard_requests x
            where x.source = s.source and x.ended_at > now() - interval '1 hour') u
        where r.refusals + u.requests + w.jobs > t.refusals_per_hour
    """,
}

VIOLATIONS = "\nunion all\n".join(
    f"select '{name}' as broken, x::text as by from ({query}) x"
    for name, query in INVARIANTS.items()
)
"""One row for every row that breaks an invariant."""
