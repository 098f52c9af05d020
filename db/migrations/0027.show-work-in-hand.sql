-- Pollers tell what they have in hand, for whoever watches.
-- depends: 0021.hear-first-answers

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_pollers
    add column work jsonb not null default '[]'
        constraint media_pollers_work_check check (jsonb_typeof(work) = 'array');
comment on column public.media_pollers.work is
    'What some attachments in hand are at, oldest first: id, step, bytes_done, bytes_total, seconds.';
