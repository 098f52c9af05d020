-- The queue by status. Work is counted to the last row, by the indexes of each status; dead letters, which
-- stay for long, up to p_most of each failure code.

create or replace function public.count_queued_media(p_most integer default 10000)
returns table (status text, code text, jobs bigint)
language sql
stable
set search_path = ''
set enable_seqscan = off -- each status has its index, also where statistics are of yesterday
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
as $$
    with recursive codes as (
        (select q.last_error_code as code
        from public.media_processing_queue q
        where q.status = 'failed'
        order by q.last_error_code
        limit 1)
        union all
        select (
            select q.last_error_code
            from public.media_processing_queue q
            where q.status = 'failed' and q.last_error_code > c.code
            order by q.last_error_code
            limit 1)
        from codes c
        where c.code is not null
    )
    select n.status, n.code, n.jobs
    from (
        select 'pending' as status, null as code, count(*) as jobs
        from public.media_processing_queue q
        where q.status = 'pending'
        union all
        select 'processing', null, count(*) from public.media_processing_queue q where q.status = 'processing'
        union all
        select 'waiting', null, count(*) from public.media_processing_queue q where q.status = 'waiting'
        union all
        select 'cancelled', null, count(*)
        from (select from public.media_processing_queue q where q.status = 'cancelled' limit p_most) q
        union all
        select 'failed', c.code, (
            select count(*)
            from (
                select
                from public.media_processing_queue q
                where q.status = 'failed' and q.last_error_code = c.code
                limit p_most
            ) q)
        from codes c
        where c.code is not null
    ) n
    where n.jobs > 0;
$$;

comment on function public.count_queued_media is
    'How many rows the queue has by status, and of failed ones by code (last_error_code): of each code, and of cancelled ones, up to p_most.';
