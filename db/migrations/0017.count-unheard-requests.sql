-- squawk-ignore-file require-concurrent-index-creation
-- Requests whose answer nobody heard count towards what WhatsApp may refuse to a number; a probe after
-- a pause is told from the work that was begun before; who waits is found by its content.
-- depends: 0006.create-webhook-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
begin
    if to_regclass('public.media_unheard_requests') is not null then
        raise exception 'cannot install pgmedia: schema public already has media_unheard_requests'
            using errcode = 'MD030', hint = 'Rename this relation, then migrate again.';
    end if;
end $$;

alter table public.media_processing_queue
    add column claimed_at timestamptz,
    add column bytes_received boolean not null default false;
comment on column public.media_processing_queue.claimed_at is 'When it was last claimed.';
comment on column public.media_processing_queue.bytes_received is
    'In this attempt WhatsApp has handed out the file, so that it refuses nothing more of it.';
update public.media_processing_queue q
set claimed_at = now()
where q.status = 'processing';
create index media_queue_waiting_content_idx on public.media_processing_queue (content_hash)
    where status = 'waiting';

create table public.media_unheard_requests (
    media_id uuid not null,
    fencing_token integer not null,
    source text not null,
    asked_at timestamptz not null,
    ended_at timestamptz not null default now(),
    primary key (media_id, fencing_token)
);
create index media_unheard_requests_source_idx on public.media_unheard_requests (source, ended_at);
comment on table public.media_unheard_requests is
    'Attempts that ended without a word of their poller, so that WhatsApp may have refused their request: each counts as refused for an hour, unless the attachment is handed out after all. It outlives the attachment, so there is no foreign key.';
comment on column public.media_unheard_requests.asked_at is 'The request was not made before this.';
comment on column public.media_unheard_requests.ended_at is 'When the attempt ended; it counts for an hour from then.';
comment on column public.media_settings.refusals_per_hour is
    'Requests that WhatsApp may refuse to one number in an hour; it blocks numbers that go on. Every job in work may be refused, and who is killed tells nobody, so one less is also the most jobs of one number in work at once.';
comment on column public.media_failure_rules.attempts_most is
    'For retry: the failure is final once it has ended so many attempts; null: after media_settings.max_attempts.';

do $$
declare
    v_role text;
begin
    foreach v_role in array array['public', 'anon', 'authenticated', 'service_role'] loop
        if v_role = 'public' or to_regrole(v_role) is not null then
            execute format('revoke all on public.media_unheard_requests from %s', v_role);
        end if;
    end loop;
end $$;
alter table public.media_unheard_requests enable row level security;
grant select on public.media_unheard_requests to media_admin;
create policy pgmedia_admin_reads on public.media_unheard_requests for select to media_admin using (true);
