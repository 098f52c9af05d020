-- What the webhook refused or could not use since yesterday (UTC), by kind alone: behind the colon of an
-- error may be a sender's number and words. Of calls with errors the last 1,000 are looked at.

create or replace function public.get_webhook_figures()
returns json
language sql
stable
set search_path = ''
as $$
    with since (day) as (
        select date_trunc('day', now() at time zone 'utc') - interval '1 day'
    ),
    troubled as (
        select e.id, e.summary -> 'errors' as errors
        from public.whatsapp_webhook_events e
        where e.summary ->> 'errors' <> '{}' -- as the index has it
            and e.received_at >= (select s.day at time zone 'utc' from since s)
        order by e.received_at desc
        limit 1000
    )
    select json_build_object(
        'since', (select s.day at time zone 'utc' from since s),
        'refusals', (
            select coalesce(json_object_agg(r.reason, r.n order by r.n desc, r.reason), '{}')
            from (
                select f.reason, sum(f.refusals)::bigint as n
                from public.whatsapp_webhook_refusals f
                where f.date >= (select s.day from since s)
                group by f.reason
            ) r),
        'calls_with_errors', (select count(*) from troubled),
        'errors', (
            select coalesce(json_object_agg(k.kind, k.n order by k.n desc, k.kind), '{}')
            from (
                select split_part(x.key, ':', 1) as kind, sum(x.value::bigint)::bigint as n
                from troubled t
                cross join lateral json_each_text(t.errors) x
                group by 1
            ) k)
    );
$$;

comment on function public.get_webhook_figures is
    'The webhook since the beginning of yesterday (UTC): {since, refusals {reason: calls}, calls_with_errors, errors {kind: count}}; the last two of the latest 1,000 calls with errors.';
