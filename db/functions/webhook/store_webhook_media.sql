-- Queue the media of stored messages, and record what WhatsApp lost.

create or replace function public.store_webhook_media(
    p_messages jsonb,
    p_received_at timestamptz,
    p_check_deferred boolean,
    out queued integer,
    out failed integer,
    out problems text[]
)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_media jsonb;
    v_unusable text[];
begin
    select
        jsonb_agg(case
            when m.failure_code is not null then to_jsonb(m)
            else jsonb_build_object(
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
                'source_url_until', p_received_at + interval '5 minutes') -- as long as Meta's URLs live
        end order by m.message_id, m.whatsapp_media_id) filter (where m.problem is null),
        coalesce(array_agg(m.problem) filter (where m.problem is not null), '{}')
            || array_fill('hash_unusable'::text, array[(count(*) filter (
                where m.media ->> 'sha256' is not null and public.normalize_media_hash(m.media ->> 'sha256') is null
            ))::integer])
    into v_media, v_unusable
    from public.list_webhook_media(p_messages) m;

    select r.queued, r.failed, r.problems
    into queued, failed, problems
    from public.record_webhook_media(coalesce(v_media, '[]'), p_check_deferred) r;
    problems := v_unusable || problems || (
        select array_fill('media_not_stored'::text, array[greatest(0, count(*)::integer - cardinality(problems))])
        from jsonb_to_recordset(v_media) w (message_id uuid, whatsapp_media_id text)
        where not exists (
            select from public.media m where m.message_id = w.message_id and m.whatsapp_media_id = w.whatsapp_media_id
        ));
end;
$$;

comment on function public.store_webhook_media is
    'Queue the media of messages that are in the table: how many were queued, how many recorded as lost, and why others could not be used.';
