-- The sources that have pending jobs, locked until the end of the transaction, so that what a claim
-- counts for them stays true until it has committed.
--
-- Sources that another claim has locked are left to it; only when it has them all is it waited for.
-- The recursion is a loose index scan: one probe for each source. When it reads many more blocks than
-- there are sources, it reads dead rows; then marks keep the claims of the next half minute from them. A
-- number that is new while there are marks waits for their end.

create or replace function public.lock_media_sources()
returns text[]
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_marked boolean := exists (select from public.media_sources m where m.due_from_until > now());
    v_blocks bigint := pg_stat_get_xact_blocks_fetched('public.media_processing_queue'::regclass);
    v_sources text[];
    v_locked text[];
begin
    if v_marked then
        v_sources := array(
            select m.source
            from public.media_sources m
            where m.due_from_until > now()
                or (select true
                    from public.media_processing_queue q
                    where q.source = m.source and q.status = 'pending'
                    limit 1)); -- a probe, never a hash of them all
    else
        with recursive found (source) as (
            (
                select q.source
                from public.media_processing_queue q
                where q.status = 'pending'
                order by q.source
                limit 1
            )
            union all
            select (
                select q.source
                from public.media_processing_queue q
                where q.status = 'pending' and q.source > f.source
                order by q.source
                limit 1
            )
            from found f
            where f.source is not null
        )
        select array_agg(f.source) into v_sources
        from found f
        where f.source is not null;
    end if;
    v_blocks := pg_stat_get_xact_blocks_fetched('public.media_processing_queue'::regclass) - v_blocks;

    insert into public.media_sources (source)
    select s.source
    from unnest(v_sources) s (source)
    where not exists (select from public.media_sources m where m.source = s.source)
    on conflict do nothing;

    v_locked := array(
        select m.source
        from public.media_sources m
        where m.source = any (v_sources)
        order by m.source
        for update skip locked
    );
    if v_locked = '{}' then
        v_locked := array(
            select m.source
            from public.media_sources m
            where m.source = any (v_sources)
            order by m.source
            for update
        );
    end if;
    if v_blocks > 100 + 2 * cardinality(v_sources) then
        perform public.mark_media_sources(v_locked);
    end if;
    return v_locked;
end;
$$;

comment on function public.lock_media_sources is
    'The sources (whatsapp:<phone number id>) with pending jobs, as far as they could be locked.';
