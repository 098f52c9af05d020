-- Queue the media of stored messages, and record what WhatsApp lost.

create or replace function public.store_webhook_media(
    p_messages jsonb,
    p_received_at timestamptz,
    p_check_deferred boolean,
    out queued bigint,
    out failed bigint,
    out deleted bigint,
    out problems text[]
)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_media jsonb;
    v_stored record;
begin
    select
        coalesce(jsonb_agg(case
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
        end order by m.message_id, m.whatsapp_media_id) filter (where m.problem is null), '[]'),
        coalesce(array_agg(m.problem) filter (where m.problem is not null), '{}')
            || array_fill('hash_unusable'::text, array[(count(*) filter (
                where m.media ->> 'sha256' is not null and public.normalize_media_hash(m.media ->> 'sha256') is null
            ))::integer])
    into v_media, problems
    from public.list_webhook_media(p_messages) m;

    select s.media, s.deleted into v_media, deleted from public.set_aside_deleted_media(v_media) s;
    v_stored := public.store_webhook_rows('media', v_media, p_check_deferred);
    select coalesce(sum(s.queued), 0), coalesce(sum(s.failed), 0)
    into queued, failed
    from jsonb_to_recordset(v_stored.stored) s (queued integer, failed integer);
    problems := problems || array(select r ->> 'problem' from jsonb_array_elements(v_stored.refused) r) || array(
        select 'media_not_stored'
        from (
            select w.message_id, w.whatsapp_media_id
            from jsonb_to_recordset(v_media) w (message_id uuid, whatsapp_media_id text)
            except all
            select r.message_id, r.whatsapp_media_id
            from jsonb_to_recordset(v_stored.refused) r (message_id uuid, whatsapp_media_id text)
        ) w
        where (
            select m.id from public.media m where m.message_id = w.message_id and m.whatsapp_media_id = w.whatsapp_media_id
        ) is null);
end;
$$;

comment on function public.store_webhook_media is
    'Queue the media of messages that are in the table: how many were queued, how many recorded as lost, how many left as somebody deleted them, and why others could not be used.';
