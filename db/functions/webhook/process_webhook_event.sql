-- Do what a stored webhook call asks for, and answer the summary.
--
-- Everything it does is idempotent, so it may run any number of times. The summary is kept with the
-- event unless this run found nothing left to do, with the 20 commonest errors. What a bot's triggers
-- dropped without an error, or gave another id, is counted as not stored.

create or replace function public.process_webhook_event(p_event_id bigint)
returns json
language plpgsql
volatile
set search_path = ''
set jit = off -- it costs more than it can save on plans whose sizes are guesses
as $$
declare
    v_event public.whatsapp_webhook_events;
    v_payload jsonb;
    v_messages jsonb;
    v_seen bigint;
    v_stored record;
    v_media record;
    v_problems text[];
    v_missing integer;
    v_summary json;
    v_check boolean := public.deferred_constraints_hold();
begin
    select e.* into v_event from public.whatsapp_webhook_events e where e.id = p_event_id;
    v_payload := public.parse_webhook_payload(v_event.payload);
    select
        jsonb_agg(to_jsonb(m) - 'problem' order by m.id, m.place) filter (where m.problem is null),
        count(*),
        coalesce(array_agg(m.problem) filter (where m.problem is not null), '{}') || array_fill(
            'timestamp_unusable'::text, array[(count(*) filter (
                where m.problem is null and m.raw ->> 'timestamp' is not null and m.sent_at is null))::integer])
    into v_messages, v_seen, v_problems
    from public.list_webhook_messages(v_payload) m;

    v_stored := public.store_webhook_messages(v_messages, v_check);
    select greatest(0, count(*)::integer - cardinality(v_stored.problems)) into v_missing
    from jsonb_to_recordset(v_messages) w (id text)
    where not exists (select from public.messages m where m.whatsapp_message_id = w.id);
    v_media := public.store_webhook_media(v_messages, v_event.received_at, v_check);
    v_problems := v_problems || v_stored.problems || v_media.problems
        || array_fill('message_not_stored'::text, array[v_missing])
        || array(select public.find_webhook_problems(v_payload));
    v_summary := json_build_object(
        'event_id', p_event_id,
        'messages', v_seen,
        'new', v_stored.added,
        'duplicates', greatest(0, coalesce(jsonb_array_length(v_messages), 0)
            - v_stored.added - cardinality(v_stored.problems) - v_missing),
        'media_queued', v_media.queued,
        'media_failed', v_media.failed,
        'ignored', public.count_ignored_fields(v_payload),
        'errors', (
            select coalesce(json_object_agg(p.problem, p.n order by p.problem), '{}')
            from (
                select case when r.place <= 20 then r.problem else 'other' end as problem, sum(r.n)::bigint as n
                from (
                    select left(u.problem, 200) as problem, count(*) as n,
                        row_number() over (order by count(*) desc, left(u.problem, 200)) as place
                    from unnest(v_problems) u (problem)
                    group by left(u.problem, 200)
                ) r
                group by 1
            ) p)
    );
    if v_event.summary is null or v_stored.added + v_media.queued + v_media.failed > 0 then
        update public.whatsapp_webhook_events e
        set summary = v_summary, processed_at = clock_timestamp()
        where e.id = p_event_id;
    end if;
    return v_summary;
end;
$$;

comment on function public.process_webhook_event is
    'Upsert the messages of a stored webhook call, queue their media, and answer the summary that receive_whatsapp_webhook describes.';
