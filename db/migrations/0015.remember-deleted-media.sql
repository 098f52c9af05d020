-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid
-- Media that were deleted, so that no repeat of a webhook call brings them back; and refused calls by a
-- fixed set of reasons.
-- depends: 0012.create-media-lifecycle

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
begin
    if to_regclass('public.media_tombstones') is not null then
        raise exception 'cannot install pgmedia: schema public already has media_tombstones'
            using errcode = 'MD030', hint = 'Rename this relation, then migrate again.';
    end if;
end $$;

create table public.media_tombstones (
    message_id uuid not null,
    whatsapp_media_id text not null,
    deleted_at timestamptz not null default now(),
    primary key (message_id, whatsapp_media_id)
);
create index media_tombstones_deleted_idx on public.media_tombstones (deleted_at);
comment on table public.media_tombstones is
    'One row per attachment deleted from a message that is still there, for as long as the webhook call that brought it may come again. No foreign key: it would lock the message at every deletion.';

-- Counts under other names were made by doors of the bot's own.
with renamed as (
    delete from public.whatsapp_webhook_refusals r
    where r.reason not in ('bad_signature', 'not_json', 'too_deep', 'too_large')
    returning r.date, r.refusals
)
insert into public.whatsapp_webhook_refusals (date, reason, refusals)
select r.date, 'other', sum(r.refusals) from renamed r group by r.date;
alter table public.whatsapp_webhook_refusals
    add constraint whatsapp_webhook_refusals_reason_check
    check (reason in ('bad_signature', 'not_json', 'other', 'too_deep', 'too_large'));
comment on table public.whatsapp_webhook_refusals is
    'How many webhook calls of a day (UTC) were refused, by reason, before anything of them was stored. Kept as long as the audit trail.';

-- For the figures: the few calls of a day of which something could not be used.
create index whatsapp_webhook_events_errors_idx on public.whatsapp_webhook_events (received_at)
    where summary ->> 'errors' <> '{}';

do $$
declare
    v_role text;
begin
    foreach v_role in array array['public', 'anon', 'authenticated', 'service_role'] loop
        if v_role = 'public' or to_regrole(v_role) is not null then
            execute format('revoke all on public.media_tombstones from %s', v_role);
        end if;
    end loop;
end $$;
alter table public.media_tombstones enable row level security;
grant select on public.media_tombstones to media_admin;
create policy pgmedia_admin_reads on public.media_tombstones for select to media_admin using (true);
