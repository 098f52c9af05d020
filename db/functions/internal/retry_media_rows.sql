-- Make failed and cancelled rows pending, with as many attempts as the settings allow now.

create or replace function public.retry_media_rows(p_ids uuid[])
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    perform
    from public.media m
    where m.id = any (p_ids)
    order by m.id
    for key share; -- before the queue rows, as a deletion does, which so waits instead of deadlocking
    with retried as (
        update public.media_processing_queue q
        set
            status = 'pending', attempts = 0, max_attempts = s.max_attempts, pauses = 0, due_at = now(),
            last_error_code = null, last_error_text = null
        from public.media_settings s
        where q.id = any (p_ids) and q.status in ('failed', 'cancelled')
        returning q.id
    ),
    cleared as (
        update public.media m
        set failure_code = null, failure_text = null, failed_at = null
        from retried r
        where m.id = r.id
        returning m.media_type
    ),
    counted as (
        insert into public.media_analytics_deltas (date, media_type, retried_files)
        select (now() at time zone 'utc')::date, coalesce(c.media_type, 'unknown'), count(*)
        from cleared c
        group by c.media_type
    ),
    logged as (
        insert into public.media_audit_log (media_id, event)
        select r.id, 'retried'
        from retried r
    )
    select count(*)::integer into v_count from retried;
    if v_count > 0 then
        perform public.wake_media_pollers();
    end if;
    return v_count;
end;
$$;

comment on function public.retry_media_rows is
    'Make these rows pending again if they are failed or cancelled; returns how many were.';
