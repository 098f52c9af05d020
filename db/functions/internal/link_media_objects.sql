-- Record that attachments are processed, each with the object that holds its content.
--
-- Those of event 'stored' were fetched; all others were saved a download or an upload. Media rows, queue
-- rows, audit trail and analytics change together.

create or replace function public.link_media_objects(
    p_ids uuid[],
    p_object_ids uuid[],
    p_event text,
    p_details jsonb[] default null,
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
                select f.media_type from public.media_formats f where f.mime_type = o.mime_type)),
            mime_type = coalesce(o.stored_type, o.mime_type),
            file_size = o.stored_size,
            content_hash = o.content_hash,
            bucket_name = o.bucket_name,
            storage_path = o.storage_path,
            public_url = public.media_public_url(o, m.id, m.file_name),
            object_id = o.id,
            processed = true,
            processed_at = clock_timestamp(),
            failure_code = null,
            failure_text = null,
            failed_at = null
        from public.media_objects o
        where m.id = any (p_ids)
            and o.id = any (p_object_ids)
            and o.id = p_object_ids[array_position(p_ids, m.id)]
        returning m.id, coalesce(m.media_type, 'unknown') as media_type, o.id as object_id, o.file_size, o.stored_size
    ),
    done as (
        delete from public.media_processing_queue q
        where q.id = any (p_ids)
        returning q.id, q.attempts, q.queued_at
    ),
    logged as (
        insert into public.media_audit_log (media_id, event, poller, attempt, detail)
        select l.id, p_event, p_poller, d.attempts, jsonb_strip_nulls(
            coalesce(p_details[array_position(p_ids, l.id)], '{}') || jsonb_build_object('object_id', l.object_id))
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
        sum(l.file_size),
        count(*) filter (where p_event = 'stored'),
        count(*) filter (where p_event <> 'stored'),
        coalesce(sum(l.file_size) filter (where p_event <> 'stored'), 0),
        coalesce(sum(extract(epoch from t.taken) * 1000), 0)::bigint,
        t.time_bucket,
        count(*),
        sum(l.stored_size)
    from linked l
    left join done d on d.id = l.id
    cross join lateral (
        select clock_timestamp() - d.queued_at, public.get_time_bucket(clock_timestamp() - d.queued_at)
    ) t (taken, time_bucket)
    group by l.media_type, t.time_bucket;
end;
$$;

comment on function public.link_media_objects is
    'Record that attachments are processed, each with the object of the same place: media, queue, audit trail (with p_details) and analytics in one statement.';
