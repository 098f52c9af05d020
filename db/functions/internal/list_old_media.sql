-- Media of one type that a cleanup would delete, oldest first.

create or replace function public.list_old_media(
    p_media_type text,
    p_days_old integer,
    p_keep_accessed_days integer,
    p_limit integer
)
returns setof uuid
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan' -- the index serves a known type and null, but not "either"
as $$
begin
    return query
    select m.id
    from public.media m
    where (m.media_type = p_media_type or (p_media_type is null and m.media_type is null))
        and m.message_sent_at < now() - make_interval(days => p_days_old)
        and not exists (select from public.media_holds h where h.media_id = m.id)
        and not exists (
            select from public.media_processing_queue q where q.id = m.id and q.status = 'processing')
        and (p_keep_accessed_days is null or not exists (
            select
            from public.media_accesses a
            where a.media_id = m.id and a.accessed_at >= now() - make_interval(days => p_keep_accessed_days)))
    order by m.message_sent_at
    limit p_limit;
end;
$$;

comment on function public.list_old_media is
    'Ids of media of one type (null: of none) older than so many days, at most p_limit (null: all), but for what is held, in work or was accessed within p_keep_accessed_days.';
