-- Queue attachments and record lost ones, however the table media may resist.
--
-- As store_webhook_messages does: all at once, and if that fails by halves, in the same order, until
-- those that are refused stand alone and are named. What is refused leaves nothing behind.

create or replace function public.record_webhook_media(
    p_media jsonb,
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
    v_half integer := jsonb_array_length(p_media) / 2;
    v_found jsonb;
    v_lost jsonb;
    v_some record;
    v_others record;
begin
    queued := 0;
    failed := 0;
    problems := '{}';
    select jsonb_agg(e) filter (where not e ? 'failure_code'), jsonb_agg(e) filter (where e ? 'failure_code')
    into v_found, v_lost
    from jsonb_array_elements(p_media) e;
    if v_found is not null then
        queued := (select count(*)::integer from public.queue_media_batch(v_found));
    end if;
    if v_lost is not null then
        failed := public.fail_webhook_media(v_lost);
    end if;
    if p_check_deferred then
        perform public.check_deferred_constraints();
    end if;
exception when others or assert_failure then
    if public.is_server_fault(sqlstate) then
        raise;
    end if;
    queued := 0;
    failed := 0;
    if v_half = 0 then
        problems := array[left(format('media_refused: %s (%s)', sqlerrm, sqlstate), 300)];
        return;
    end if;
    v_some := public.record_webhook_media(
        jsonb_path_query_array(p_media, '$[0 to $last]', jsonb_build_object('last', v_half - 1)), p_check_deferred);
    v_others := public.record_webhook_media(
        jsonb_path_query_array(p_media, '$[$first to last]', jsonb_build_object('first', v_half)), p_check_deferred);
    queued := v_some.queued + v_others.queued;
    failed := v_some.failed + v_others.failed;
    problems := v_some.problems || v_others.problems;
end;
$$;

comment on function public.record_webhook_media is
    'Queue attachments (an array as queue_media_batch takes it, ordered by message and media id) and record those with a failure_code as lost: how many of each were new, and the reasons of those the table refused.';
