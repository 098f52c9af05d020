-- squawk-ignore-file ban-drop-column
set local lock_timeout = '5s';
set local statement_timeout = '10min';

delete from public.media_failure_rules r where r.failure_code in ('whatsapp_absent', 'hash_mismatch');
alter table public.media_failure_rules drop column attempts_most;
alter table public.media_settings alter column max_attempts set default 5;
update public.media_settings set max_attempts = 5 where max_attempts = 12;
