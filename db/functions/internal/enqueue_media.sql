-- The queue rows of new attachments: pending, or waiting for one of the same type and content that is
-- being fetched or will be, be it in the same batch. A leader that ends meanwhile does not see who is
-- being queued, so the first recheck comes soon.

create or replace function public.enqueue_media(p_new jsonb, p_done uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_pending bigint;
    v_waiting uuid[];
begin
    with led as (
        select n.*, case when n.content_hash is not null and n.media_type is not null then
            coalesce(
                public.find_media_leader(n.content_hash, n.media_type),
                nullif(first_value(n.id) over same, n.id)) end as leader
        from jsonb_to_recordset(p_new) n (
            id uuid, message_id uuid, whatsapp_media_id text, source text, media_type text, content_hash text,
            priority smallint, source_url text, source_url_until timestamptz
        )
        where n.id <> all (p_done)
        window same as (partition by n.content_hash, n.media_type order by n.priority, n.id)
    ),
    queued as (
        insert into public.media_processing_queue (
            id, message_id, whatsapp_media_id, source, status, priority, due_at, max_attempts,
            content_hash, waiting_for, source_url, source_url_until
        )
        select l.id, l.message_id, l.whatsapp_media_id, l.source,
            case when l.leader is null then 'pending' else 'waiting' end, l.priority,
            case when l.leader is null then now() else now() + least(s.waiting_recheck, '2 seconds') end, s.max_attempts,
            l.content_hash, l.leader, l.source_url, l.source_url_until
        from led l
        cross join public.media_settings s
        returning id, waiting_for
    ),
    logged as (
        insert into public.media_audit_log (media_id, event, detail)
        select q.id, 'joined', jsonb_build_object('waiting_for', q.waiting_for)
        from queued q
        where q.waiting_for is not null
    )
    select count(*) filter (where q.waiting_for is null), array_agg(q.id) filter (where q.waiting_for is not null)
    into v_pending, v_waiting
    from queued q;
    if v_waiting is not null then
        perform public.raise_media_priority(q.waiting_for, min(q.priority))
        from public.media_processing_queue q
        where q.id = any (v_waiting)
        group by q.waiting_for;
    end if;
    if v_pending > 0 then
        perform public.wake_media_pollers();
    end if;
end;
$$;

comment on function public.enqueue_media is
    'Add the queue rows of attachments that queue_media_batch added (p_new), but for those already linked to a stored object (p_done).';
