-- squawk-ignore-file require-concurrent-index-creation
-- What happened, kept: the audit trail, the analytics, and which functions are installed.
-- depends: 0003.create-media-queue

set local lock_timeout = '5s';
set local statement_timeout = '10min';

create table public.media_audit_log (
    id bigint generated always as identity primary key,
    media_id uuid not null,
    event text not null,
    at timestamptz not null default clock_timestamp(),
    poller text,
    attempt smallint,
    detail jsonb
);
create index media_audit_log_media_idx on public.media_audit_log (media_id, id);
comment on table public.media_audit_log is
    'Every event in an attachment''s life, append-only. It outlives the attachment, so there is no foreign key.';

create table public.media_analytics (
    date date not null,
    media_type text not null,
    total_files bigint not null default 0,
    total_size_bytes bigint not null default 0,
    unique_files bigint not null default 0,
    deduplicated_files bigint not null default 0,
    saved_bytes bigint not null default 0,
    failed_files bigint not null default 0,
    deleted_files bigint not null default 0,
    deleted_bytes bigint not null default 0,
    processing_ms bigint not null default 0,
    primary key (date, media_type)
);
comment on table public.media_analytics is
    'Counts of what happened on a day (UTC), by media type. Written only by folding media_analytics_deltas, so no row is hot.';
comment on column public.media_analytics.total_size_bytes is 'Received bytes of total_files, repeats included.';
comment on column public.media_analytics.saved_bytes is 'Bytes of deduplicated_files: received, but not stored again.';
comment on column public.media_analytics.processing_ms is 'Milliseconds from queued to processed, summed over total_files.';

create table public.media_analytics_deltas (
    like public.media_analytics including defaults
);
comment on table public.media_analytics_deltas is
    'Appended in the transaction of what they count, folded into media_analytics later.';

create table public.media_schema_functions (
    signature text primary key
);
comment on table public.media_schema_functions is
    'The functions this pgmedia installed: an upgrade drops those it no longer has, a rollback drops all.';
