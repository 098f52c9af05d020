-- Forget deleted media once nothing can bring them back: the last repeat comes from Meta a week after the
-- first call, and is kept for as long as any call.

create or replace function public.prune_media_tombstones(p_events_kept interval, p_limit integer default 10000)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    delete from public.media_tombstones t
    where t.ctid = any (array(
        select x.ctid
        from public.media_tombstones x
        where x.deleted_at < now() - p_events_kept - interval '7 days'
        order by x.deleted_at
        limit p_limit
        for update skip locked
    ));
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function public.prune_media_tombstones is
    'Forget up to p_limit media deleted longer ago than p_events_kept (media_settings.webhook_events_kept) and 7 days; returns how many.';
