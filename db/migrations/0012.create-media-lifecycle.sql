-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid
-- The end of media: how old it is, what holds it, when it was looked at, and who keeps house.
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
        and c.relname in ('media_holds', 'media_accesses', 'media_maintenance');
    if v_taken is not null then
        raise exception 'cannot install pgmedia: schema public already has %', v_taken
            using errcode = 'MD030', hint = 'Rename these relations, then migrate again.';
    end if;
end $$;

-- A bot may have a column of this name in its own media table: taken when it is a time.
do $$
declare
    v_type regtype;
begin
    select a.atttypid into v_type
    from pg_catalog.pg_attribute a
    where a.attrelid = 'public.media'::regclass and a.attname = 'message_sent_at' and not a.attisdropped;
    if v_type is null then
        alter table public.media add column message_sent_at timestamptz default now();
        update public.media_adopted_tables a
        set added_columns = a.added_columns || array['message_sent_at']
        where a.table_name = 'media';
        update public.media m
        set message_sent_at = coalesce(g.sent_at, m.created_at)
        from public.messages g
        where g.id = m.message_id;
    elsif v_type <> 'timestamptz'::regtype then
        raise exception 'media.message_sent_at is %, not timestamptz', v_type
            using errcode = 'MD031', hint = 'Rename or change this column, then migrate again.';
    end if;
end $$;
create index pgmedia_media_age_idx on public.media (media_type, message_sent_at, id);

create table public.media_holds (
    media_id uuid primary key constraint media_is_held references public.media (id),
    reason text not null check (reason <> ''),
    held_by text not null default session_user,
    held_at timestamptz not null default now()
);
comment on table public.media_holds is
    'Attachments that must stay, whoever wants to delete them, until release_media_hold. The foreign key refuses also plain SQL.';

create table public.media_accesses (
    media_id uuid primary key references public.media (id) on delete cascade,
    accessed_at timestamptz not null
);
comment on table public.media_accesses is
    'When an attachment was last looked at, as touch_media was told; to the hour.';

create table public.media_maintenance (
    only_row boolean primary key default true check (only_row),
    ran_at timestamptz not null default '-infinity',
    cleaned_on date not null default '-infinity'
);
insert into public.media_maintenance default values;
comment on table public.media_maintenance is
    'When maintenance last ran, and the day (UTC) whose cleanup is done. Its lock lets one run at a time.';

alter table public.media_settings
    add column audit_kept interval not null default '400 days' 
        check (audit_kept between '1 day' and '100 years'),
    add column dead_letters_kept interval not null default '90 days' 
        check (dead_letters_kept between '1 hour' and '100 years'),
    add column cleanup_days integer check (cleanup_days between 1 and 36500),
    add column cleanup_keep_accessed_days integer check (cleanup_keep_accessed_days between 1 and 36500),
    add column cleanup_at time not null default '03:30' check (cleanup_at < '24:00');
comment on column public.media_settings.max_attempts is 'Attempts of an attachment before it is a dead letter.';
comment on column public.media_settings.backoff_first is 'Wait before the second attempt; each further one waits twice as long.';
comment on column public.media_settings.backoff_most is 'Longest wait between two attempts.';
comment on column public.media_settings.audit_kept is
    'Events of the audit trail older than this are deleted by maintenance; younger ones by nobody.';
comment on column public.media_settings.dead_letters_kept is
    'Failed and cancelled work leaves the queue after this; its media row stays, with the reason.';
comment on column public.media_settings.cleanup_days is
    'Maintenance deletes media whose message is older than this many days, once a day; null: never.';
comment on column public.media_settings.cleanup_keep_accessed_days is
    'That cleanup keeps what touch_media recorded within this many days; null: an access keeps nothing.';
comment on column public.media_settings.cleanup_at is 'Time of day (UTC) from which that cleanup runs.';

do $$
declare
    v_table text;
    v_role text;
begin
    foreach v_table in array array['media_holds', 'media_accesses', 'media_maintenance'] loop
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
