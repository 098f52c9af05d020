-- Forget webhook calls that are too old, once a minute as many as 160 calls a second leave. Bounded, and rows another transaction holds are skipped, so
-- any number of callers may run it at once, and with nothing to do it costs one look at an index.

create or replace function public.prune_whatsapp_webhooks(p_limit integer default 10000)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    delete from public.whatsapp_webhook_events e
    where e.id = any (array(
        select x.id
        from public.whatsapp_webhook_events x
        where x.received_at < now() - (select s.webhook_events_kept from public.media_settings s)
        order by x.received_at
        limit p_limit
        for update skip locked
    ));
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function public.prune_whatsapp_webhooks is
    'Delete up to p_limit webhook calls older than media_settings.webhook_events_kept; returns how many.';
