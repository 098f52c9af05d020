-- What each failure code means in words, and what to do about it: for reports, status, and dashboards.
-- depends: 0032.check-hashes-quickly

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
begin
    if to_regclass('public.media_failure_codes') is not null then
        raise exception 'cannot install pgmedia: schema public already has media_failure_codes'
            using errcode = 'MD030', hint = 'Rename this relation, then migrate again.';
    end if;
end $$;

create table public.media_failure_codes (
    failure_code text primary key,
    meaning text not null,
    advice text not null
);
insert into public.media_failure_codes (failure_code, meaning, advice) values
    ('whatsapp_token_refused', 'WhatsApp refuses the access token: it has expired or was revoked', 'put a new token into WHATSAPP_TOKEN and restart the pollers'),
    ('whatsapp_permission_lost', 'The app may not read the media of this number', 'give the app and its token the permission at Meta'),
    ('whatsapp_rate_limited', 'WhatsApp gets too many requests', 'nothing, it goes on by itself; if it stays, run fewer pollers'),
    ('whatsapp_refusals_spent', 'WhatsApp refused as many requests of this number as it bears in an hour', 'find out why it refused; it goes on by itself'),
    ('whatsapp_absent', 'A poller gets no connection to WhatsApp', 'see to the network and DNS of that poller'),
    ('whatsapp_unavailable', 'WhatsApp was down', 'pgmedia retry --failed --code whatsapp_unavailable'),
    ('whatsapp_unreachable', 'The connection to WhatsApp broke', 'pgmedia retry --failed --code whatsapp_unreachable'),
    ('whatsapp_answer_unexpected', 'WhatsApp gave an answer nobody knows', 'look at its text; pgmedia retry --failed --code whatsapp_answer_unexpected'),
    ('media_url_expired', 'WhatsApp no longer had the file at its address', 'pgmedia retry --failed --code media_url_expired'),
    ('media_expired_or_foreign', 'WhatsApp no longer has the file, or it is of another number', 'the sender must send it again; if all fail so, check that the token is of this number'),
    ('media_expired', 'The file is older than WhatsApp keeps files', 'the sender must send it again'),
    ('media_lost_by_whatsapp', 'WhatsApp lost the file', 'the sender must send it again'),
    ('message_type_unsupported', 'A kind of message that has no file', 'nothing can be done'),
    ('unsafe_url', 'The file was to be fetched from an address that is not WhatsApp''s', 'find out who sends such addresses'),
    ('download_truncated', 'The download from WhatsApp ended too early', 'pgmedia retry --failed --code download_truncated'),
    ('hash_mismatch', 'What came is not the file that WhatsApp announced', 'pgmedia retry --failed --code hash_mismatch'),
    ('bucket_missing', 'A bucket of the storage is missing', 'pgmedia buckets'),
    ('storage_absent', 'A poller gets no connection to the storage', 'see to the network, DNS and SUPABASE_URL of that poller'),
    ('storage_key_refused', 'The storage refuses its key', 'put the key of this project into SUPABASE_SERVICE_KEY and restart the pollers'),
    ('storage_rate_limited', 'The storage gets too many requests', 'nothing, it goes on by itself; if it stays, run fewer pollers'),
    ('storage_unavailable', 'The storage is down', 'see the status page of Supabase; it goes on by itself'),
    ('storage_unreachable', 'The connection to the storage broke', 'pgmedia retry --failed --code storage_unreachable'),
    ('storage_answer_unexpected', 'What answers is not the storage', 'see SUPABASE_URL, and what stands in between'),
    ('storage_failed', 'The storage failed', 'see the storage''s log; pgmedia retry --failed --code storage_failed'),
    ('storage_path_refused', 'The storage refuses the name of the file', 'report it: pgmedia makes these names'),
    ('storage_size_refused', 'The storage takes no file of this size', 'raise the project''s limit or lower media_buckets.file_size_limit, then pgmedia buckets'),
    ('storage_type_refused', 'The storage takes no file of this type', 'pgmedia buckets, then pgmedia retry --failed --code storage_type_refused'),
    ('spool_full', 'The disk of a poller is full', 'see to PGMEDIA_SPOOL_FOLDER of that poller'),
    ('spool_lost', 'The folder for downloads of a poller has gone', 'see to PGMEDIA_SPOOL_FOLDER of that poller'),
    ('content_check_failed', 'The file could not be checked', 'look at one of them by pgmedia show ID'),
    ('metadata_not_removed', 'Personal data inside of the file could not be removed', 'look at one of them by pgmedia show ID'),
    ('poller_failed', 'A poller failed in a way it does not know', 'see the poller''s log; pgmedia retry --failed --code poller_failed'),
    ('lease_expired', 'Each poller that worked on the file was killed or cut off', 'see the pollers'' logs and memory; pgmedia retry --failed --code lease_expired'),
    ('cancelled', 'Cancelled by an operator', 'nothing; pgmedia retry ID takes it back'),
    ('empty_file', 'The file is empty', 'the sender must send it again'),
    ('too_large', 'The file is larger than the limit', 'to take larger ones raise media_buckets.file_size_limit, then pgmedia buckets'),
    ('too_many_pixels', 'The image has more pixels than the limit', 'the limit is the setting image_pixels_most'),
    ('type_not_allowed', 'A type of file that is not stored', 'to take it add a row to media_formats, then pgmedia buckets'),
    ('type_mismatch', 'The file is not of the type it was sent as', 'nothing; the types that go together are in media_formats'),
    ('active_content', 'The file has content that could run on the reader''s machine', 'nothing; what is refused is in media_content_rules'),
    ('executable', 'The file is a program, or has one in it', 'nothing; what is refused is in media_content_rules'),
    ('archive', 'The file is an archive', 'nothing; what is refused is in media_content_rules'),
    ('polyglot', 'Another file is hidden inside of the file', 'nothing; what is refused is in media_content_rules'),
    ('macros', 'The document has macros', 'nothing; what is refused is in media_content_rules'),
    ('decompression_bomb', 'The file would unpack to far more than it is', 'nothing; what is refused is in media_content_rules'),
    ('damaged_file', 'The file is damaged', 'the sender must send it again');
comment on table public.media_failure_codes is
    'Failure codes and reasons of pauses in words. Give a row to each code of your own in media_failure_rules or media_content_rules.';
comment on column public.media_failure_codes.meaning is 'What happened, for those who read a report.';
comment on column public.media_failure_codes.advice is 'What an operator can do about it.';

create or replace view public.media_failures with (security_invoker = false) as
select -- text also where a bot's own media table has other types
    m.failure_code::text as failure_code,
    m.media_type::text as media_type,
    count(*) as files,
    min(m.failed_at) as first_at,
    max(m.failed_at) as last_at,
    (array_agg(m.failure_text::text order by m.failed_at desc))[1] as last_text,
    c.meaning,
    c.advice
from public.media_processing_queue q
join public.media m on m.id = q.id
left join public.media_failure_codes c on c.failure_code = m.failure_code::text
where q.status = 'failed'
group by m.failure_code, m.media_type, c.meaning, c.advice;
comment on view public.media_failures is
    'Dead letters by reason and media type, the reason in words, and what to do about it. retry_failed_media(code) queues those of a reason again.';

do $$
declare
    v_role text;
begin
    foreach v_role in array array['public', 'anon', 'authenticated', 'service_role'] loop
        if v_role = 'public' or to_regrole(v_role) is not null then
            execute format('revoke all on public.media_failure_codes from %s', v_role);
        end if;
    end loop;
    alter table public.media_failure_codes enable row level security;
    grant select on public.media_failure_codes to media_admin;
    create policy pgmedia_admin_reads on public.media_failure_codes for select to media_admin using (true);
end $$;
