-- Counts of refused webhook calls are kept as long as the audit trail: a few rows a day.

create or replace function public.prune_webhook_refusals(p_kept interval)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    delete from public.whatsapp_webhook_refusals r
    where r.date < (now() at time zone 'utc' - p_kept)::date;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function public.prune_webhook_refusals is
    'Forget the counts of webhook calls refused on days older than p_kept; returns how many rows.';
