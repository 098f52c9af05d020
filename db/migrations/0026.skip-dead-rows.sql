-- squawk-ignore-file require-concurrent-index-creation
-- Where a claim begins to look, while an old snapshot keeps rows that are long gone in the queue's index.
-- depends: 0021.hear-first-answers

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_sources
    add column due_from timestamptz[],
    add column due_from_until timestamptz;
comment on column public.media_sources.due_from is
    'By priority, 1 to 10: no pending job of this number was due before this. Claims begin there until due_from_until.';
comment on column public.media_sources.due_from_until is
    'How long due_from holds; then a claim looks at all of the queue again, and finds what has come back to an earlier place.';
create index media_sources_due_from_idx on public.media_sources (due_from_until) where due_from_until is not null;
