-- The logins of compose.yaml, each in one role of pgmedia's. For psql, after `pgmedia migrate`:
-- psql -v poller_password=... -v webhook_password=... -f logins.sql
\set ON_ERROR_STOP on
create extension if not exists pg_cron;
select schedule_media_maintenance();

select format('create role %I login in role %I', login, role)
from (values ('pgmedia_poller', 'media_poller'), ('pgmedia_webhook', 'media_client')) wanted (login, role)
where to_regrole(login) is null
\gexec
alter role pgmedia_poller password :'poller_password';
alter role pgmedia_webhook password :'webhook_password';
