-- The queue in figures, at the price of counting it: for a poller's metrics, asked for every few seconds.

create or replace function public.get_media_queue_figures()
returns json
language sql
stable
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    select json_build_object(
        'queue', (
            select coalesce(json_object_agg(q.status, q.n), '{}')
            from (select c.status, sum(c.jobs) as n from public.count_queued_media() c group by c.status) q),
        'oldest_due_seconds', (
            select coalesce(extract(epoch from now() - min(q.due_at))::double precision, 0)
            from public.media_processing_queue q
            where q.status = 'pending' and q.due_at <= now()),
        'deletions', (
            select count(*)
            from public.media_deletion_queue d
            where d.due_at <= now() or d.attempts > 0),
        'paused_sources', (
            select json_build_object(
                'fault', count(*) filter (where p.detail is distinct from 'by an operator'),
                'operator', count(*) filter (where p.detail = 'by an operator'))
            from public.media_pauses p
            where p.until > now())
    );
$$;

comment on function public.get_media_queue_figures is
    'queue: depth by status (of failed ones up to 10000 of each code); oldest_due_seconds: for how long the oldest has been due; deletions: files to be removed by now; paused_sources: {fault, operator}, by who had them paused.';
grant execute on function public.get_media_queue_figures to media_poller;
