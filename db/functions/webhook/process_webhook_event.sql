-- Do what a stored webhook call asks for, and answer the summary.
--
-- Everything it does is idempotent, so it may run any number of times. The summary is kept with the
-- event unless this run found nothing left to do.

create or replace function public.process_webhook_event(p_event_id bigint)
returns json
language plpgsql
volatile
set search_path = ''
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
as $$
declare
    v_event public.whatsapp_webhook_events;
    v_payload jsonb;
    v_messages jsonb;
    v_seen bigint;
    v_stored record;
    v_counts record;
    v_media record;
    v_problems text[];
    v_summary json;
    v_check boolean := public.deferred_constraints_matter();
begin
    select e.* into v_event from public.whatsapp_webhook_events e where e.id = p_event_id;
    v_payload := public.parse_webhook_payload(v_event.payload);
    select
        coalesce(jsonb_agg(to_jsonb(m) - 'problem' order by m.id, m.place) filter (where m.problem is null), '[]'),
        count(*),
        coalesce(array_agg(m.problem) filter (where m.problem is not null), '{}') || array_fill(
            'timestamp_unusable'::text, array[(count(*) filter (
                where m.problem is null and m.raw ->> 'timestamp' is not null and m.sent_at is null))::integer])
    into v_messages, v_seen, v_problems
    from public.list_webhook_messages(v_payload) m;

    v_stored := public.store_webhook_rows('message', v_messages, v_check);
    v_counts := public.count_webhook_messages(v_messages, v_stored.stored, v_stored.refused);
    v_media := public.store_webhook_media(v_messages, v_event.received_at, v_check);
    v_problems := v_problems
        || array(select r ->> 'problem' from jsonb_array_elements(v_stored.refused) r)
        || array_fill('message_not_stored'::text, array[v_counts.missing::integer])
        || v_media.problems
        || array(select public.find_webhook_problems(v_payload));
    v_summary := json_build_object(
        'event_id', p_event_id,
        'messages', v_seen,
        'new', v_counts.added,
        'duplicates', v_counts.duplicates,
        'media_queued', v_media.queued,
        'media_failed', v_media.failed,
        'media_deleted', v_media.deleted,
        'ignored', public.count_ignored_fields(v_payload),
        'errors', public.count_webhook_problems(v_problems)
    );
    if v_event.summary is null or v_counts.added + v_media.queued + v_media.failed > 0 then
        update public.whatsapp_webhook_events e
        set summary = v_summary, processed_at = clock_timestamp()
        where e.id = p_event_id;
    end if;
    return v_summary;
end;
$$;

comment on function public.process_webhook_event is
    'Upsert the messages of a stored webhook call, queue their media, and answer the summary that receive_whatsapp_webhook describes.';
