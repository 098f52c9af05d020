-- Cleanups that nobody has gone on with are begun anew after ten minutes, so where they were is of no use.

create or replace function public.forget_media_cleanups()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    delete from public.media_cleanups c
    where c.arguments in (
        select x.arguments
        from public.media_cleanups x
        where x.saved_at < now() - interval '10 minutes'
        for update skip locked);
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function public.forget_media_cleanups is
    'Forget where cleanups were that nobody has gone on with for ten minutes; returns how many.';
