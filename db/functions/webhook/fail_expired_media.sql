-- Media that came too long ago for WhatsApp to have it still: failed rows, so that a person sees it and nobody
-- asks WhatsApp, which counts refusals. What somebody deleted stays away.

create or replace function public.fail_expired_media(
    p_messages jsonb,
    out expired bigint,
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
        coalesce(jsonb_agg(jsonb_build_object(
            'message_id', w.message_id,
            'whatsapp_media_id', w.whatsapp_media_id,
            'media_type', w.media_type,
            'failure_code', 'media_expired',
            'failure_text', format('queued only after WhatsApp had deleted it: it keeps media for %s', s.whatsapp_keeps)
        ) order by w.message_id, w.whatsapp_media_id) filter (where w.problem is null), '[]'),
        coalesce(array_agg(w.problem) filter (where w.problem is not null), '{}')
    into v_media, problems
    from public.list_webhook_media(p_messages) w
    cross join public.media_settings s;
    select s.media, s.deleted into v_media, deleted from public.set_aside_deleted_media(v_media) s;
    v_stored := public.store_webhook_rows('media', v_media, public.deferred_constraints_matter());
    expired := (
        select coalesce(sum(s.failed), 0)
        from jsonb_to_recordset(v_stored.stored) s (failed integer));
    problems := problems || array(select r ->> 'problem' from jsonb_array_elements(v_stored.refused) r);
end;
$$;

comment on function public.fail_expired_media is
    'Record the media of messages (an array as list_webhook_media takes it; none that WhatsApp lost) as failed with media_expired: how many were, how many not as somebody had deleted them, and why others could not be.';
