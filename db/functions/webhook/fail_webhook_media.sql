-- Media that WhatsApp announced and lost: failed media rows, so that a person sees it. Never queued.

create or replace function public.fail_webhook_media(p_lost jsonb)
returns integer
language sql
volatile
set search_path = ''
as $$
    with added as (
        insert into public.media (
            id, message_id, whatsapp_media_id, media_type, failure_code, failure_text, failed_at, message_sent_at
        )
        select gen_random_uuid(), l.message_id, l.whatsapp_media_id, l.media_type, l.failure_code, l.failure_text,
            clock_timestamp(), coalesce((select g.sent_at from public.messages g where g.id = l.message_id), now())
        from jsonb_to_recordset(p_lost) l (
            message_id uuid, whatsapp_media_id text, media_type text, failure_code text, failure_text text
        )
        order by l.message_id, l.whatsapp_media_id
        on conflict on constraint pgmedia_media_message_id_whatsapp_media_id_key do nothing
        returning id, media_type, failure_code, failure_text
    ),
    logged as (
        insert into public.media_audit_log (media_id, event, detail)
        select a.id, 'failed', jsonb_build_object('code', a.failure_code, 'text', a.failure_text)
        from added a
    ),
    counted as (
        insert into public.media_analytics_deltas (date, media_type, failed_files)
        select (now() at time zone 'utc')::date, coalesce(a.media_type, 'unknown'), count(*)
        from added a
        group by a.media_type
    )
    select count(*)::integer from added;
$$;

comment on function public.fail_webhook_media is
    'Record media that came as an error instead of a media object, an array as list_webhook_media gives it; returns how many were not known before.';
