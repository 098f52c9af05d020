-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid
-- Webhook calls as they came, what the webhook's door needs to know, and media URLs sent by webhook.
-- depends: 0005.close-media-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
declare
    v_taken text;
begin
    select string_agg(c.relname, ', ' order by c.relname) into v_taken
    from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace
        and c.relname in ('media_secrets', 'whatsapp_webhook_events', 'whatsapp_webhook_refusals');
    if v_taken is not null then
        raise exception 'cannot install pgmedia: schema public already has %', v_taken
            using errcode = 'MD030', hint = 'Rename these relations, then migrate again.';
    end if;
end $$;

create table public.whatsapp_webhook_events (
    id bigint generated always as identity primary key,
    received_at timestamptz not null default now(),
    payload_hash text not null constraint whatsapp_webhook_events_payload_key unique,
    payload json not null,
    processed_at timestamptz,
    summary json
);
create index whatsapp_webhook_events_received_idx on public.whatsapp_webhook_events (received_at);
comment on table public.whatsapp_webhook_events is
    'One row per distinct webhook call, kept for media_settings.webhook_events_kept, so that it can be run again.';
comment on column public.whatsapp_webhook_events.payload is
    'The body as it came; json, not jsonb, which cannot hold every text that is JSON.';
comment on column public.whatsapp_webhook_events.payload_hash is 'SHA-256 of the body, hex.';
comment on column public.whatsapp_webhook_events.summary is
    'What the last run that changed something made of it, as receive_whatsapp_webhook answered.';

create table public.whatsapp_webhook_refusals (
    date date not null,
    reason text not null,
    refusals bigint not null,
    primary key (date, reason)
);
comment on table public.whatsapp_webhook_refusals is
    'How many signed webhook calls of a day (UTC) were refused before anything of them was stored.';

create table public.media_secrets (
    only_row boolean primary key default true check (only_row),
    app_secret text check (app_secret <> ''),
    verify_token text check (verify_token <> ''),
    webhook_open boolean not null default false
);
insert into public.media_secrets default values;
comment on table public.media_secrets is
    'What whatsapp_webhook checks calls against. No role is granted anything on it, operators included.';
comment on column public.media_secrets.webhook_open is
    'An operator opened whatsapp_webhook to anon; kept here so that an upgrade, which closes all functions, opens it again.';

alter table public.media_settings
    add column webhook_events_kept interval not null default '30 days' check (webhook_events_kept > '0 seconds');
comment on column public.media_settings.webhook_events_kept is 'Webhook calls older than this are forgotten.';

alter table public.media_processing_queue
    add column source_url text,
    add column source_url_until timestamptz;
comment on column public.media_processing_queue.source_url is
    'Where the webhook said the file is; for the first attempt, until source_url_until.';

do $$
declare
    v_table text;
    v_role text;
begin
    foreach v_table in array array['media_secrets', 'whatsapp_webhook_events', 'whatsapp_webhook_refusals'] loop
        foreach v_role in array array['public', 'anon', 'authenticated', 'service_role'] loop
            if v_role = 'public' or to_regrole(v_role) is not null then
                execute format('revoke all on public.%I from %s', v_table, v_role);
                if v_table = 'whatsapp_webhook_events' then
                    execute format('revoke all on sequence public.whatsapp_webhook_events_id_seq from %s', v_role);
                end if;
            end if;
        end loop;
        execute format('alter table public.%I enable row level security', v_table);
        continue when v_table = 'media_secrets';
        execute format('grant select on public.%I to media_admin', v_table);
        execute format('create policy pgmedia_admin_reads on public.%I for select to media_admin using (true)', v_table);
    end loop;
end $$;

-- PostgREST sends the result of a function as it is, whatever the client accepts, when its type is the
-- domain named so (a domain "text/plain" would do so only for clients that ask for just that). A
-- project may have it already; the comment marks ours for the rollback.
do $$
begin
    if to_regtype('public."*/*"') is null then
        create domain public."*/*" as bytea;
        comment on domain public."*/*" is 'pgmedia: a result that PostgREST sends as it is.';
    elsif (select t.typbasetype from pg_catalog.pg_type t where t.oid = to_regtype('public."*/*"')) <> 'bytea'::regtype then
        raise exception 'cannot install pgmedia: the domain public."*/*" is not one of bytea'
            using errcode = 'MD030', hint = 'Rename it, then migrate again.';
    end if;
end $$;
