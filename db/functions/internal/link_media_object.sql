-- Record that attachments are processed, with the object that holds their content.
--
-- The first of p_ids is the one that was fetched when p_event is 'stored'; all others were saved a
-- download or an upload. Media rows, queue rows, audit trail and analytics change together.

create or replace function public.link_media_object(
    p_ids uuid[],
    p_object public.media_objects,
    p_event text,
    p_detail jsonb default null,
    p_poller text default null
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    with linked as (
        update public.media m
        set
            media_type = coalesce(m.media_type, (
                select f.media_type from public.media_formats f where f.mime_type = (p_object).mime_type)),
            mime_type = coalesce((p_object).stored_type, (p_object).mime_type),
            file_size = (p_object).stored_size,
            content_hash = (p_object).content_hash,
            bucket_name = (p_object).bucket_name,
            storage_path = (p_object).storage_path,
            public_url = public.media_public_url(p_object, m.id, m.file_name),
            object_id = (p_object).id,
            processed = true,
            processed_at = clock_timestamp(),
            failure_code = null,
            failure_text = null,
            failed_at = null
        where m.id = any (p_ids)
        returning m.id, coalesce(m.media_type, 'unknown') as media_type
    ),
    done as (
        delete from public.media_processing_queue q
        where q.id = any (p_ids)
        returning q.id, q.attempts, q.queued_at
    ),
    logged as (
        insert into public.media_audit_log (media_id, event, poller, attempt, detail)
        select l.id, p_event, p_poller, d.attempts, jsonb_strip_nulls(
            coalesce(p_detail, '{}') || jsonb_build_object('object_id', (p_object).id))
        from linked l
        left join done d on d.id = l.id
    )
    insert into public.media_analytics_deltas (
        date, media_type, total_files, total_size_bytes,
        unique_files, deduplicated_files, saved_bytes, processing_ms, time_bucket, stored_files, stored_bytes
    )
    select
        (now() at time zone 'utc')::date,
        l.media_type,
        count(*),
        count(*) * (p_object).file_size,
        count(*) filter (where p_event = 'stored'),
        count(*) filter (where p_event <> 'stored'),
        count(*) filter (where p_event <> 'stored') * (p_object).file_size,
        coalesce(sum(extract(epoch from t.taken) * 1000), 0)::bigint,
        t.time_bucket,
        count(*),
        count(*) * (p_object).stored_size
    from linked l
    left join done d on d.id = l.id
    cross join lateral (
        select clock_timestamp() - d.queued_at, public.get_time_bucket(clock_timestamp() - d.queued_at)
    ) t (taken, time_bucket)
    group by l.media_type, t.time_bucket;
end;
$$;

comment on function public.link_media_object is
    'Record that attachments are processed with this object: media, queue, audit trail and analytics in one statement.';
