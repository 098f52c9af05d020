-- squawk-ignore-file ban-drop-column

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_pollers drop column project_url;
