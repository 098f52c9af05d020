-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid
-- Reconciling: what a run found in storage, how it differs from the rows, and files that were lost.
--
-- The three tables are unlogged, as a run is begun anew after a crash: Postgres then empties all of
-- them, the row of the run with its listing, so that no run goes on with half a listing.
-- depends: 0006.create-webhook-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
declare
    v_taken text;
begin
    select string_agg(c.relname, ', ' order by c.relname) into v_taken
    from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace
        and c.relname in ('media_reconcile_runs', 'media_storage_differences', 'media_storage_listing');
    if v_taken is not null then
        raise exception 'cannot install pgmedia: schema public already has %', v_taken
            using errcode = 'MD030', hint = 'Rename these relations, then migrate again.';
    end if;
end $$;

create unlogged table public.media_reconcile_runs (
    id uuid primary key default gen_random_uuid(),
    bucket_names text[] not null,
    older_than timestamptz not null,
    seen_at timestamptz not null default now()
);
comment on table public.media_reconcile_runs is
    'Runs of pgmedia reconcile; one that has not been heard of for an hour is forgotten by the next.';
comment on column public.media_reconcile_runs.older_than is
    'Files and rows that changed after this are left alone; media_settings.reconcile_min_age before the run began.';

create unlogged table public.media_storage_listing (
    run_id uuid not null,
    bucket_name text not null,
    storage_path text not null,
    file_size bigint,
    mime_type text,
    changed_at timestamptz,
    primary key (run_id, bucket_name, storage_path)
);
comment on table public.media_storage_listing is 'The files that a run found in storage.';
comment on column public.media_storage_listing.changed_at is
    'When the file was made or last changed; a file that does not say is left alone.';

create unlogged table public.media_storage_differences (
    run_id uuid not null,
    bucket_name text not null,
    storage_path text not null,
    difference text not null check (difference in ('orphan', 'missing', 'differs')),
    status text not null check (status in ('found', 'confirmed', 'fixed', 'left')),
    object_id uuid,
    stored_at timestamptz,
    expected_size bigint,
    expected_type text,
    file_size bigint,
    mime_type text,
    changed_at timestamptz,
    primary key (run_id, bucket_name, storage_path)
);
create index media_storage_differences_status_idx
    on public.media_storage_differences (run_id, status, bucket_name, storage_path);
comment on table public.media_storage_differences is
    'What a run found: files without a row (orphan), rows without a file (missing), and files of another size or type than their row says (differs).';
comment on column public.media_storage_differences.status is
    'found: by comparing the listing. confirmed: the file itself was asked for, too. fixed, left: what --fix came to.';

-- Files of a bot that stored them itself, before pgmedia: no orphans. Ours have an object.
create index pgmedia_media_foreign_path_idx on public.media (storage_path)
    where object_id is null and storage_path is not null;

alter table public.media_settings
    add column reconcile_min_age interval not null default '1 hour' check (reconcile_min_age > '0 seconds'),
    add column wrong_files_kept interval not null default '30 days' check (wrong_files_kept >= '0 seconds');
comment on column public.media_settings.reconcile_min_age is
    'What is younger, file or row, pgmedia reconcile leaves alone.';
comment on column public.media_settings.wrong_files_kept is
    'A file that differs from its row stays in storage this long after its attachments were queued again, as WhatsApp may no longer have a better one.';

alter table public.media_analytics
    add column lost_files bigint not null default 0,
    add column lost_bytes bigint not null default 0;
alter table public.media_analytics_deltas
    add column lost_files bigint not null default 0,
    add column lost_bytes bigint not null default 0;
comment on column public.media_analytics.lost_files is
    'Attachments whose file was found missing or wrong, and that were queued again; once stored they count in total_files again.';

do $$
declare
    v_table text;
    v_role text;
begin
    foreach v_table in array array['media_reconcile_runs', 'media_storage_differences', 'media_storage_listing'] loop
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
