-- The next media of one type that are old enough for a cleanup, after a position, oldest first: kept
-- ones as well, so that whoever asks can go on behind them.

create or replace function public.list_old_media(
    p_media_type text,
    p_days_old integer,
    p_keep_accessed_days integer,
    p_after_at timestamptz,
    p_after_id uuid,
    p_limit integer
)
returns table (id uuid, message_sent_at timestamptz, is_kept boolean)
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan' -- the index serves a known type and null, but not "either"
as $$
#variable_conflict use_column
begin
    return query
    select m.id, m.message_sent_at, public.is_media_kept(m.id, p_keep_accessed_days)
    from public.media m
    where (m.media_type = p_media_type or (p_media_type is null and m.media_type is null))
        and m.message_sent_at < now() - make_interval(days => p_days_old)
        and (m.message_sent_at, m.id) > (p_after_at, p_after_id)
    order by m.message_sent_at, m.id
    limit p_limit;
end;
$$;

comment on function public.list_old_media is
    'Up to p_limit (null: all) media of one type (null: of none) older than so many days, after a position, and whether is_media_kept says that they stay.';
