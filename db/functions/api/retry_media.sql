-- Give a dead letter, or a cancelled attachment, a fresh set of attempts.

create or replace function public.retry_media(id uuid)
returns boolean
language sql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
    select public.retry_media_rows(array[retry_media.id]) = 1;
$$;

comment on function public.retry_media is
    'Queue a failed or cancelled attachment again, due now, with all its attempts. Returns false when it is neither.';
grant execute on function public.retry_media to media_admin;
