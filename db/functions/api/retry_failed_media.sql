-- Give many dead letters a fresh set of attempts: those of one reason, since a time, up to a number.

create or replace function public.retry_failed_media(
    code text default null,
    since timestamptz default null,
    at_most integer default 1000
)
returns integer
language sql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
    select public.retry_media_rows(array(
        select q.id
        from public.media_processing_queue q
        join public.media m on m.id = q.id
        where q.status = 'failed'
            and (retry_failed_media.code is null or q.last_error_code = retry_failed_media.code)
            and (retry_failed_media.since is null or m.failed_at >= retry_failed_media.since)
        order by m.failed_at, q.id
        limit greatest(retry_failed_media.at_most, 0)
        for key share of m skip locked
        for update of q skip locked
    ));
$$;

comment on function public.retry_failed_media is
    'Queue dead letters again, oldest first: with this failure code (null: any), failed since then (null: ever), this many at most. Returns how many.';
grant execute on function public.retry_failed_media to media_admin;
