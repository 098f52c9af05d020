-- Forget pollers that have not been seen for five leases.

create or replace function public.forget_media_pollers()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    delete from public.media_pollers p
    using public.media_settings s
    where p.seen_at < now() - 5 * s.lease;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function public.forget_media_pollers is
    'Delete the rows of pollers not seen for five leases; returns how many.';
