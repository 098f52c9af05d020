-- What outlasts a minute: a poller that cannot connect to WhatsApp rests and spends no attempt, and a
-- fault that passes may take hours. Twelve attempts, 5 seconds doubling to an hour apart, are 2.4 hours;
-- a file at fault is not fetched so often.
-- depends: 0006.create-webhook-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

insert into public.media_failure_rules (source, provider_code, http_status, action, failure_code, pause_for) values
    ('whatsapp', 'unreachable', null, 'pause', 'whatsapp_absent', '10 seconds')
on conflict (source, provider_code, http_status) do nothing; -- an operator's own rule stays

alter table public.media_failure_rules
    add column attempts_most smallint check (attempts_most > 0 and (attempts_most is null or action = 'retry'));
comment on column public.media_failure_rules.attempts_most is
    'For retry: the failure is final after so many attempts already; null: after media_settings.max_attempts.';
update public.media_failure_rules set attempts_most = 5 where failure_code = 'content_check_failed';
insert into public.media_failure_rules (source, provider_code, http_status, action, failure_code, attempts_most)
values ('poller', 'hash_mismatch', null, 'retry', 'hash_mismatch', 5)
on conflict (source, provider_code, http_status) do nothing;

alter table public.media_settings alter column max_attempts set default 12;
update public.media_settings set max_attempts = 12 where max_attempts = 5;
