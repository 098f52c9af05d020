-- Files by the minute are kept for two days, those by the second for two minutes.

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
    delete from public.media_recent_throughput t where t.second < now() - interval '2 minutes';
    return v_count;
end;
$$;

comment on function public.prune_media_throughput is 'Forget files by the minute after two days; and by the second after two minutes; returns how many of the former.';
