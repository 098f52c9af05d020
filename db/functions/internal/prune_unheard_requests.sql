-- After an hour nobody counts them any more.

create or replace function public.prune_unheard_requests()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    delete from public.media_unheard_requests u
    where (u.media_id, u.fencing_token) in (
        select x.media_id, x.fencing_token
        from public.media_unheard_requests x
        where x.ended_at < now() - interval '1 hour'
        for update skip locked);
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function public.prune_unheard_requests is 'Forget requests that ended unheard more than an hour ago; returns how many.';
