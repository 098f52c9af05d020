-- Queue the media of stored messages, and record what WhatsApp lost.

create or replace function public.store_webhook_media(
    p_messages jsonb,
    p_received_at timestamptz,
    out queued integer,
    out failed integer,
    out problems text[]
)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_found jsonb;
    v_lost jsonb;
begin
    queued := 0;
    failed := 0;
    problems := '{}';
    if p_messages is null then
        return;
    end if;
    select
        jsonb_agg(jsonb_build_object(
            'message_id', m.message_id,
            'whatsapp_media_id', m.whatsapp_media_id,
            'source', m.source,
            'media_type', m.media_type,
            'mime_type', m.media ->> 'mime_type',
            'file_name', m.media ->> 'filename',
            'caption', m.media ->> 'caption',
            'sha256', m.media ->> 'sha256',
            'priority', 5,
            'source_url', case when m.media ->> 'url' ~ '^https?://' and length(m.media ->> 'url') <= 2000 then
                m.media ->> 'url' end,
            'source_url_until', p_received_at + interval '5 minutes' -- as long as Meta's URLs live
        )) filter (where m.problem is null and m.failure_code is null),
        jsonb_agg(to_jsonb(m)) filter (where m.failure_code is not null),
        coalesce(array_agg(m.problem) filter (where m.problem is not null), '{}')
            || array_fill('hash_unusable'::text, array[(count(*) filter (
                where m.media ->> 'sha256' is not null and public.normalize_media_hash(m.media ->> 'sha256') is null
            ))::integer])
    into v_found, v_lost, problems
    from public.list_webhook_media(p_messages) m;

    if v_found is not null then
        queued := (select count(*)::integer from public.queue_media_batch(v_found));
    end if;
    if v_lost is not null then
        failed := public.fail_webhook_media(v_lost);
    end if;
end;
$$;

comment on function public.store_webhook_media is
    'Queue the media of messages that are in the table: how many were queued, how many recorded as lost, and why others could not be used.';
