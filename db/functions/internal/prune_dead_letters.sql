-- Failed and cancelled work leaves the queue after its time; the media row stays and says why.

create or replace function public.prune_dead_letters(p_kept interval, p_limit integer default 1000)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    with pruned as (
        delete from public.media_processing_queue q
        where q.id = any (array(
            select d.id
            from public.media_processing_queue d
            join public.media m on m.id = d.id
            where d.status in ('failed', 'cancelled') and coalesce(d.died_at, d.queued_at) < now() - p_kept
            order by coalesce(d.died_at, d.queued_at), d.id
            limit p_limit
            for key share of m skip locked
            for update of d skip locked))
        returning q.id
    ),
    logged as (
        insert into public.media_audit_log (media_id, event)
        select p.id, 'dead letter pruned'
        from pruned p
    )
    select count(*)::integer into v_count from pruned;
    return v_count;
end;
$$;

comment on function public.prune_dead_letters is
    'Take failed and cancelled work older than p_kept out of the queue, at most p_limit; returns how many.';
