-- Where a poller's storage is: when the files move to another project, a poller that still works with
-- the old one is told to stop, whatever it is at.
-- depends: 0021.hear-first-answers

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_pollers add column project_url text;
comment on column public.media_pollers.project_url is
    'The Supabase project in whose storage the poller works, as it says itself; null if it does not.';
