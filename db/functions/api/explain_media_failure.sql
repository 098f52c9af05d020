-- A failure code in words, and what to do about it.

create or replace function public.explain_media_failure(code text)
returns table (meaning text, advice text)
language sql
stable
security definer -- clients have no rights on the tables
set search_path = ''
as $$
    select c.meaning, c.advice
    from public.media_failure_codes c
    where c.failure_code = explain_media_failure.code;
$$;

comment on function public.explain_media_failure is
    'What a failure code, or the reason of a pause, means for those who read a report, and what an operator can do about it. No row for what is no code of media_failure_codes.';
grant execute on function public.explain_media_failure to media_client, media_admin;
