-- What outlasts a minute: a WhatsApp that is not there pauses its number and spends no attempt, and a
-- fault that passes may take hours. Twelve attempts, 5 seconds doubling to an hour apart, are 2.4 hours.
-- depends: 0006.create-webhook-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

insert into public.media_failure_rules (source, provider_code, http_status, action, failure_code, pause_for) values
    ('whatsapp', 'unreachable', null, 'pause', 'whatsapp_absent', '10 seconds')
on conflict (source, provider_code, http_status) do nothing; -- an operator's own rule stays

alter table public.media_settings alter column max_attempts set default 12;
update public.media_settings set max_attempts = 12 where max_attempts = 5;
