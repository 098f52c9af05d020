-- Queue attachments, and record those that WhatsApp lost.

create or replace function public.insert_webhook_media(p_media jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_found jsonb;
    v_lost jsonb;
    v_queued integer := 0;
    v_failed integer := 0;
begin
    select jsonb_agg(e) filter (where not e ? 'failure_code'), jsonb_agg(e) filter (where e ? 'failure_code')
    into v_found, v_lost
    from jsonb_array_elements(p_media) e;
    if v_found is not null then
        v_queued := (select count(*)::integer from public.queue_media_batch(v_found));
    end if;
    if v_lost is not null then
        v_failed := public.fail_webhook_media(v_lost);
    end if;
    return jsonb_build_array(jsonb_build_object('queued', v_queued, 'failed', v_failed));
end;
$$;

comment on function public.insert_webhook_media is
    'Queue attachments (an array as queue_media_batch takes it) and record those with a failure_code as lost; returns [{queued, failed}], how many of each were new.';
