-- squawk-ignore-file require-concurrent-index-creation, ban-drop-column, adding-field-with-default
-- Cleanup that goes on where it stopped, figures of what is stored now, when dead letters died, and a
-- role for dashboards.
-- depends: 0013.create-media-figures 0014.bear-longer-outages

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
declare
    v_taken text;
begin
    select string_agg(c.relname, ', ' order by c.relname) into v_taken
    from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relname in ('media_cleanups', 'media_recent_throughput');
    if v_taken is not null then
        raise exception 'cannot install pgmedia: schema public already has %', v_taken
            using errcode = 'MD030', hint = 'Rename these relations, then migrate again.';
    end if;
end $$;

-- Roles belong to the whole server: another database may have made it already, even just now.
do $$
begin
    create role media_reader nologin;
exception when duplicate_object or unique_violation then
    null;
end $$;
grant usage on schema public to media_reader;

-- The views are read with their owner's rights: a reader has none on the tables below.
alter view public.media_daily_report set (security_invoker = false);
alter view public.media_queue_health set (security_invoker = false);
alter view public.media_failures set (security_invoker = false);
grant select on public.media_daily_report, public.media_queue_health, public.media_failures to media_reader;

create table public.media_cleanups (
    arguments jsonb primary key,
    media_type text not null,
    is_dated boolean not null,
    reached_at timestamptz not null,
    reached_id uuid not null,
    saved_at timestamptz not null default now()
);
comment on table public.media_cleanups is
    'How far the calls of run_media_cleanup with these arguments have come, for the next one to go on; good for ten minutes.';
comment on column public.media_cleanups.media_type is 'The media type it is at; empty for media of none.';
comment on column public.media_cleanups.is_dated is 'Whether it is at media with message_sent_at, or at those without.';

create table public.media_recent_throughput (
    second timestamptz primary key,
    files bigint not null,
    bytes bigint not null,
    failed_files bigint not null
);
comment on table public.media_recent_throughput is 'Files and received bytes by the second, for two minutes.';

alter table public.media_maintenance
    add column audit_pruned_to bigint not null default 0,
    add column stored_counted boolean not null default false;
comment on column public.media_maintenance.audit_pruned_to is
    'Events up to this id are pruned, but for those of held media; 0: to begin again with the oldest.';
comment on column public.media_maintenance.stored_counted is
    'Whether stored_files of media_analytics hold what was stored before there was the column.';

-- Media of a bot's own column message_sent_at, where it is null: their age is that of the row.
create index pgmedia_media_undated_idx on public.media (media_type, created_at, id) where message_sent_at is null;

alter table public.media_processing_queue add column died_at timestamptz;
comment on column public.media_processing_queue.died_at is 'When it last failed for good or was cancelled.';
update public.media_processing_queue q
set died_at = m.failed_at
from public.media m
where m.id = q.id and q.status in ('failed', 'cancelled');
create index media_queue_dead_idx on public.media_processing_queue (coalesce(died_at, queued_at), id)
    where status in ('failed', 'cancelled');
create index media_queue_cancelled_idx on public.media_processing_queue (id) where status = 'cancelled';

alter table public.media_analytics
    add column stored_files bigint not null default 0,
    add column stored_bytes bigint not null default 0;
comment on column public.media_analytics.stored_files is
    'By how many the attachments with a file in storage became more on this day, or fewer; the sum over all days is how many there are.';
comment on column public.media_analytics.stored_bytes is 'The same of their received bytes.';
alter table public.media_analytics_deltas
    add column stored_files bigint not null default 0,
    add column stored_bytes bigint not null default 0,
    add column at timestamptz not null default now();
update public.media_analytics_deltas set at = minute;
alter table public.media_analytics_deltas drop column minute;

do $$
declare
    v_table text;
    v_role text;
begin
    foreach v_table in array array['media_cleanups', 'media_recent_throughput'] loop
        foreach v_role in array array['public', 'anon', 'authenticated', 'service_role'] loop
            if v_role = 'public' or to_regrole(v_role) is not null then
                execute format('revoke all on public.%I from %s', v_table, v_role);
            end if;
        end loop;
        execute format('alter table public.%I enable row level security', v_table);
        execute format('grant select on public.%I to media_admin', v_table);
        execute format('create policy pgmedia_admin_reads on public.%I for select to media_admin using (true)', v_table);
    end loop;
end $$;
