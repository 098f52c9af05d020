-- Delete media by the age of its message, a bounded piece a call: run_media_cleanup, as a number.

create or replace function public.cleanup_old_media(
    days_old integer,
    media_types text[] default null,
    keep_accessed_days integer default null,
    dry_run boolean default false,
    at_most integer default 10000
)
returns integer
language sql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
    select c.attachments
    from public.run_media_cleanup(days_old, media_types, keep_accessed_days, dry_run, at_most) c;
$$;

comment on function public.cleanup_old_media is
    'Delete media whose message was sent more than days_old days ago, oldest first of each type, and return how many: call again until it is 0, which means that there is nothing more that can be deleted now. The arguments and errors are those of run_media_cleanup, which also tells what could not be deleted, and whether all were looked at: they were not when a call finds nothing among the hundreds of thousands of kept media that it can look at in a second, when it meets nothing but locks for a second, and when a dry_run counts as many.';
grant execute on function public.cleanup_old_media to media_admin;
