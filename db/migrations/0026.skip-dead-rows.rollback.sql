-- squawk-ignore-file ban-drop-column, require-concurrent-index-deletion

set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop index public.media_sources_due_from_idx;
alter table public.media_sources drop column due_from, drop column due_from_until;
