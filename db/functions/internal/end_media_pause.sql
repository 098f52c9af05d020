-- A source did its part: its pause, if that has ended, is over for good, and everybody may go on.

create or replace function public.end_media_pause(p_scope text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    delete from public.media_pauses p where p.scope = p_scope and p.until <= now();
    if found then
        perform public.wake_media_pollers();
    end if;
end;
$$;

comment on function public.end_media_pause is
    'Forget the pause of a source that has just worked, unless the pause is still running.';
