-- Files by the minute are kept for two days.

create or replace function public.prune_media_throughput()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    delete from public.media_throughput t where t.minute < now() - interval '2 days';
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function public.prune_media_throughput is 'Forget files by the minute after two days; returns how many rows.';
