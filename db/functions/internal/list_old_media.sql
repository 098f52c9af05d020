-- The next media of one type that are old enough for a cleanup, after a position, oldest first: kept
-- ones as well, so that whoever asks can go on behind them.
--
-- Each of the two kinds, with and without message_sent_at, has an index of its own. created_at may be a
-- timestamp of the bot's: Postgres compares it with the index all the same.

create or replace function public.list_old_media(
    p_media_type text,
    p_is_dated boolean,
    p_days_old integer,
    p_keep_accessed_days integer,
    p_after_at timestamptz,
    p_after_id uuid,
    p_limit integer
)
returns table (id uuid, at timestamptz, is_kept boolean)
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan' -- the index serves a known type and null, but not "either"
as $$
declare
    v_before timestamptz := now() - make_interval(days => p_days_old);
    v_ids uuid[];
    v_ats timestamptz[];
begin
    if p_is_dated then
        select array_agg(o.id), array_agg(o.message_sent_at) into v_ids, v_ats
        from (
            select m.id, m.message_sent_at
            from public.media m
            where (m.media_type = p_media_type or (p_media_type is null and m.media_type is null))
                and m.message_sent_at < v_before
                and (m.message_sent_at, m.id) > (p_after_at, p_after_id)
            order by m.message_sent_at, m.id
            limit p_limit
        ) o;
    else
        select array_agg(o.id), array_agg(o.created_at) into v_ids, v_ats
        from (
            select m.id, m.created_at
            from public.media m
            where (m.media_type = p_media_type or (p_media_type is null and m.media_type is null))
                and m.message_sent_at is null
                and m.created_at < v_before
                and (m.created_at, m.id) > (p_after_at, p_after_id)
            order by m.created_at, m.id
            limit p_limit
        ) o;
    end if;
    return query
    select o.id, o.at, k.id is not null
    from unnest(v_ids, v_ats) o (id, at)
    left join public.list_kept_media(v_ids, p_keep_accessed_days) k (id) on k.id = o.id;
end;
$$;

comment on function public.list_old_media is
    'Up to p_limit media of one type (null: of none) older than so many days, by message_sent_at or, where that is null, by created_at; after a position, oldest first; and whether list_kept_media says that they stay.';
