-- squawk-ignore-file require-concurrent-index-creation, disallowed-unique-constraint, constraint-missing-not-valid
-- Messages and their media: created where missing, completed where a bot already has them.
--
-- A table that was there keeps its rows, its owner, its grants and its row-level security; only
-- missing columns, keys and indexes are added, and media_adopted_tables remembers them for the
-- rollback. What cannot be adopted is refused here, before anything else is created.

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
            'media_adopted_tables', 'media_analytics', 'media_analytics_deltas', 'media_audit_log',
            'media_buckets', 'media_deletion_queue', 'media_failure_rules', 'media_formats',
            'media_objects', 'media_pauses', 'media_pollers', 'media_processing_queue',
            'media_schema_functions', 'media_settings', 'media_sources'
        );
    if v_taken is not null then
        raise exception 'cannot install pgmedia: schema public already has %', v_taken
            using errcode = 'MD030', hint = 'Rename these relations, then migrate again.';
    end if;
end $$;

-- Roles belong to the whole server: another database may have made them already, even just now.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['media_client', 'media_poller', 'media_admin'] loop
        begin
            execute format('create role %I nologin', v_role);
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
end $$;

grant usage on schema public to media_client, media_poller, media_admin;

create table public.media_adopted_tables (
    table_name text primary key,
    added_columns text[] not null default '{}'
);
comment on table public.media_adopted_tables is
    'Tables that were there before pgmedia, and the columns it added: the rollback takes back just these.';

-- One row per column pgmedia works with; accepted names the types an existing column may have.
create temporary table expected_columns (
    position integer generated always as identity,
    table_name text not null,
    column_name text not null,
    definition text not null,
    accepted text[] not null
) on commit drop;

insert into expected_columns (table_name, column_name, definition, accepted) values
    ('messages', 'whatsapp_message_id', 'text', '{text,varchar}'),
    ('messages', 'phone_number_id', 'text', '{text,varchar}'),
    ('messages', 'sender', 'text', '{text,varchar}'),
    ('messages', 'message_type', 'text', '{text,varchar}'),
    ('messages', 'text_body', 'text', '{text,varchar}'),
    ('messages', 'raw_payload', 'jsonb', '{jsonb,json}'),
    ('messages', 'sent_at', 'timestamptz', '{timestamptz}'),
    ('messages', 'created_at', 'timestamptz not null default now()', '{timestamptz,timestamp}'),
    ('media', 'message_id', 'uuid', '{uuid}'),
    ('media', 'whatsapp_media_id', 'text', '{text,varchar}'),
    ('media', 'media_type', 'text', '{text,varchar}'),
    ('media', 'mime_type', 'text', '{text,varchar}'),
    ('media', 'file_name', 'text', '{text,varchar}'),
    ('media', 'caption', 'text', '{text,varchar}'),
    ('media', 'file_size', 'bigint', '{int8,int4,numeric}'),
    ('media', 'whatsapp_sha256', 'text', '{text,varchar}'),
    ('media', 'content_hash', 'text', '{text,varchar}'),
    ('media', 'bucket_name', 'text', '{text,varchar}'),
    ('media', 'storage_path', 'text', '{text,varchar}'),
    ('media', 'public_url', 'text', '{text,varchar}'),
    ('media', 'processed', 'boolean not null default false', '{bool}'),
    ('media', 'processed_at', 'timestamptz', '{timestamptz}'),
    ('media', 'object_id', 'uuid', '{uuid}'),
    ('media', 'failure_code', 'text', '{text,varchar}'),
    ('media', 'failure_text', 'text', '{text,varchar}'),
    ('media', 'failed_at', 'timestamptz', '{timestamptz}'),
    ('media', 'created_at', 'timestamptz not null default clock_timestamp()', '{timestamptz,timestamp}');

insert into public.media_adopted_tables (table_name)
select c.relname
from pg_catalog.pg_class c
where c.relnamespace = 'public'::regnamespace and c.relname in ('messages', 'media');

do $$
declare
    v_problem text;
begin
    select string_agg(p.problem, E'\n' order by p.problem) into v_problem
    from (
        select format('%s has no primary key "id" of type uuid', a.table_name) as problem
        from public.media_adopted_tables a
        where not exists (
            select
            from pg_catalog.pg_index i
            join pg_catalog.pg_attribute k on k.attrelid = i.indrelid and k.attnum = i.indkey[0]
            where i.indrelid = format('public.%I', a.table_name)::regclass
                and i.indisprimary and i.indnkeyatts = 1
                and k.attname = 'id' and k.atttypid = 'uuid'::regtype
        )
        union all
        select format('%s is not an ordinary table', a.table_name)
        from public.media_adopted_tables a
        join pg_catalog.pg_class c on c.oid = format('public.%I', a.table_name)::regclass
        where c.relkind <> 'r'
        union all
        select format('%s.%s has type %s; pgmedia needs %s', e.table_name, e.column_name,
            t.typname, array_to_string(e.accepted, ' or '))
        from expected_columns e
        join public.media_adopted_tables a on a.table_name = e.table_name
        join pg_catalog.pg_attribute k
            on k.attrelid = format('public.%I', a.table_name)::regclass
            and k.attname = e.column_name and not k.attisdropped
        join pg_catalog.pg_type t on t.oid = k.atttypid
        where t.typname <> all (e.accepted)
        union all
        select format('media.%s is not null and has no default, so pgmedia cannot add rows', k.attname)
        from public.media_adopted_tables a
        join pg_catalog.pg_attribute k on k.attrelid = format('public.%I', a.table_name)::regclass
        where a.table_name = 'media' and k.attnum > 0 and not k.attisdropped
            and k.attnotnull and not k.atthasdef and k.attidentity = ''
            and k.attname not in ('id', 'message_id', 'whatsapp_media_id')
        union all
        select 'messages.whatsapp_message_id has a deferrable key; pgmedia needs one that is not'
        from public.media_adopted_tables a
        join pg_catalog.pg_index i on i.indrelid = format('public.%I', a.table_name)::regclass
        join pg_catalog.pg_attribute k on k.attrelid = i.indrelid and k.attnum = i.indkey[0]
        where a.table_name = 'messages' and k.attname = 'whatsapp_message_id'
            and i.indisunique and i.indnkeyatts = 1 and not i.indimmediate
    ) p;
    if v_problem is not null then
        raise exception E'cannot adopt the existing tables of schema public:\n%', v_problem
            using errcode = 'MD031', hint = 'Alter or rename what is named, then migrate again.';
    end if;
end $$;

create table if not exists public.messages (id uuid primary key default gen_random_uuid());
create table if not exists public.media (id uuid primary key default gen_random_uuid());

do $$
declare
    e record;
begin
    for e in
        select x.*
        from expected_columns x
        where not exists (
            select
            from pg_catalog.pg_attribute k
            where k.attrelid = format('public.%I', x.table_name)::regclass
                and k.attname = x.column_name and not k.attisdropped
        )
        order by x.position
    loop
        execute format('alter table public.%I add column %I %s', e.table_name, e.column_name, e.definition);
        update public.media_adopted_tables a
        set added_columns = a.added_columns || e.column_name
        where a.table_name = e.table_name;
    end loop;
end $$;

-- Keys that a bot may have under another name are not added twice.
do $$
begin
    if not exists (
        select
        from pg_catalog.pg_index i
        join pg_catalog.pg_attribute k on k.attrelid = i.indrelid and k.attnum = i.indkey[0]
        where i.indrelid = 'public.messages'::regclass and i.indisunique and i.indnkeyatts = 1
            and i.indpred is null and k.attname = 'whatsapp_message_id'
    ) then
        alter table public.messages
            add constraint pgmedia_messages_whatsapp_message_id_key unique (whatsapp_message_id);
    end if;
    if not exists (
        select
        from pg_catalog.pg_constraint c
        join pg_catalog.pg_attribute k on k.attrelid = c.conrelid and k.attnum = c.conkey[1]
        where c.conrelid = 'public.media'::regclass and c.contype = 'f' and k.attname = 'message_id'
    ) then
        alter table public.media
            add constraint pgmedia_media_message_id_fkey
            foreign key (message_id) references public.messages (id) on delete cascade not valid;
    end if;
end $$;

alter table public.media
    add constraint pgmedia_media_message_id_whatsapp_media_id_key unique (message_id, whatsapp_media_id);
create index pgmedia_media_object_id_idx on public.media (object_id) where object_id is not null;

do $$
begin
    if not exists (select from public.media_adopted_tables a where a.table_name = 'messages') then
        comment on table public.messages is 'One row per WhatsApp message.';
    end if;
    if not exists (select from public.media_adopted_tables a where a.table_name = 'media') then
        alter table public.media alter column message_id set not null;
        alter table public.media alter column whatsapp_media_id set not null;
        comment on table public.media is 'One row per attachment of a message, from the moment it is queued.';
    end if;
end $$;
