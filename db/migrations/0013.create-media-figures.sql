-- squawk-ignore-file adding-field-with-default
-- Figures: processing times as a histogram that can be added up, files by the minute, what is in
-- storage; and views of them for a person or a dashboard.
-- depends: 0012.create-media-lifecycle

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
declare
    v_taken text;
begin
    select string_agg(c.relname, ', ' order by c.relname) into v_taken
    from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace
        and c.relname in (
            'media_processing_times', 'media_throughput', 'media_bucket_totals', 'media_bucket_deltas',
            'media_daily_report', 'media_queue_health', 'media_failures');
    if v_taken is not null then
        raise exception 'cannot install pgmedia: schema public already has %', v_taken
            using errcode = 'MD030', hint = 'Rename these relations, then migrate again.';
    end if;
end $$;

alter table public.media_analytics add column retried_files bigint not null default 0;
comment on column public.media_analytics.failed_files is
    'Attachments that became dead letters on this day, or were lost by WhatsApp; one that is retried and fails again counts again.';
comment on column public.media_analytics.retried_files is 'Dead letters and cancelled attachments that were queued again.';
alter table public.media_analytics_deltas
    add column retried_files bigint not null default 0,
    add column minute timestamptz not null default date_trunc('minute', now()),
    add column time_bucket smallint;

create table public.media_processing_times (
    date date not null,
    media_type text not null,
    time_bucket smallint not null,
    files bigint not null,
    primary key (date, media_type, time_bucket)
);
comment on table public.media_processing_times is
    'Histogram of the time from queued to processed. Rows of any days and types can be added up.';
comment on column public.media_processing_times.time_bucket is
    'Bucket b holds times over 2^((b-1)/4) and up to 2^(b/4) milliseconds; bucket 0 what took a millisecond or less.';

create table public.media_throughput (
    minute timestamptz primary key,
    files bigint not null,
    bytes bigint not null,
    failed_files bigint not null
);
comment on table public.media_throughput is 'Files and received bytes by the minute, for two days.';

create table public.media_bucket_totals (
    bucket_name text primary key,
    objects bigint not null,
    bytes bigint not null
);
comment on table public.media_bucket_totals is
    'Objects and bytes in each bucket, as far as folded; the rest is in media_bucket_deltas.';
create table public.media_bucket_deltas (
    bucket_name text not null,
    objects bigint not null,
    bytes bigint not null
);
comment on table public.media_bucket_deltas is
    'Appended in the transaction that stores or gives up an object, folded into media_bucket_totals later.';
insert into public.media_bucket_totals (bucket_name, objects, bytes)
select o.bucket_name, count(*), sum(o.stored_size)
from public.media_objects o
where o.state = 'stored'
group by o.bucket_name;

create view public.media_daily_report with (security_invoker = true) as
with counted as (
    select a.date, a.media_type, a.total_files, a.total_size_bytes, a.unique_files, a.deduplicated_files,
        a.saved_bytes, a.failed_files, a.retried_files, a.deleted_files, a.deleted_bytes, a.processing_ms
    from public.media_analytics a
    union all
    select d.date, d.media_type, d.total_files, d.total_size_bytes, d.unique_files, d.deduplicated_files,
        d.saved_bytes, d.failed_files, d.retried_files, d.deleted_files, d.deleted_bytes, d.processing_ms
    from public.media_analytics_deltas d
),
times as (
    select t.date, t.media_type, t.time_bucket, t.files from public.media_processing_times t
    union all
    select d.date, d.media_type, d.time_bucket, d.total_files
    from public.media_analytics_deltas d
    where d.time_bucket is not null
),
ranked as (
    select t.date, t.media_type, t.time_bucket,
        sum(sum(t.files)) over (partition by t.date, t.media_type order by t.time_bucket)
            / sum(sum(t.files)) over (partition by t.date, t.media_type) as share
    from times t
    group by t.date, t.media_type, t.time_bucket
),
percentiles as (
    select r.date, r.media_type,
        power(2, (min(r.time_bucket) filter (where r.share >= 0.50) - 0.5) / 4) as p50,
        power(2, (min(r.time_bucket) filter (where r.share >= 0.95) - 0.5) / 4) as p95
    from ranked r
    group by r.date, r.media_type
)
select
    c.date,
    c.media_type,
    sum(c.total_files)::bigint as files,
    sum(c.total_size_bytes)::bigint as bytes,
    sum(c.unique_files)::bigint as unique_files,
    sum(c.deduplicated_files)::bigint as deduplicated_files,
    sum(c.saved_bytes)::bigint as saved_bytes,
    round(sum(c.saved_bytes) / nullif(sum(c.total_size_bytes), 0), 4) as saved_share,
    sum(c.failed_files)::bigint as failed_files,
    sum(c.retried_files)::bigint as retried_files,
    sum(c.deleted_files)::bigint as deleted_files,
    sum(c.deleted_bytes)::bigint as deleted_bytes,
    round(sum(c.processing_ms) / nullif(sum(c.total_files), 0))::bigint as mean_ms,
    round(min(p.p50))::bigint as p50_ms,
    round(min(p.p95))::bigint as p95_ms
from counted c
left join percentiles p on p.date = c.date and p.media_type = c.media_type
group by c.date, c.media_type;
comment on view public.media_daily_report is
    'What happened on each day (UTC), by media type. saved_share: part of the received bytes that was not stored again, 0 to 1. Percentiles of the time from queued to processed are within 10 %.';

create view public.media_queue_health with (security_invoker = true) as
select
    q.source,
    q.status,
    count(*) as jobs,
    count(*) filter (where q.status = 'pending' and q.due_at <= now()) as due,
    min(q.queued_at) as oldest_queued_at,
    min(q.due_at) filter (where q.status = 'pending') as next_due_at,
    max(q.attempts) as most_attempts,
    p.reason as paused_for,
    p.until as paused_until
from public.media_processing_queue q
left join public.media_pauses p on p.scope = q.source and p.until > now()
group by q.source, q.status, p.reason, p.until;
comment on view public.media_queue_health is
    'The queue by source (whatsapp:<phone number id>) and status, with the pause the source is in.';

create view public.media_failures with (security_invoker = true) as
select -- text also where a bot's own media table has other types
    m.failure_code::text as failure_code,
    m.media_type::text as media_type,
    count(*) as files,
    min(m.failed_at) as first_at,
    max(m.failed_at) as last_at,
    (array_agg(m.failure_text::text order by m.failed_at desc))[1] as last_text
from public.media_processing_queue q
join public.media m on m.id = q.id
where q.status = 'failed'
group by m.failure_code, m.media_type;
comment on view public.media_failures is
    'Dead letters by reason and media type. retry_failed_media(code) queues those of a reason again.';

do $$
declare
    v_relation text;
    v_role text;
begin
    foreach v_relation in array array[
        'media_processing_times', 'media_throughput', 'media_bucket_totals', 'media_bucket_deltas',
        'media_daily_report', 'media_queue_health', 'media_failures'
    ] loop
        foreach v_role in array array['public', 'anon', 'authenticated', 'service_role'] loop
            if v_role = 'public' or to_regrole(v_role) is not null then
                execute format('revoke all on public.%I from %s', v_relation, v_role);
            end if;
        end loop;
        execute format('grant select on public.%I to media_admin', v_relation);
        continue when v_relation in ('media_daily_report', 'media_queue_health', 'media_failures');
        execute format('alter table public.%I enable row level security', v_relation);
        execute format('create policy pgmedia_admin_reads on public.%I for select to media_admin using (true)', v_relation);
    end loop;
end $$;
