-- Truncating media would leave every file in storage with nothing that knows of it.

create or replace function public.refuse_media_truncate()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
begin
    raise exception 'truncate of media refused: its files would stay in storage for ever'
        using errcode = 'MD041', hint = 'Delete from media instead: the files are then removed, too.';
end;
$$;

comment on function public.refuse_media_truncate is 'Trigger: refuse to truncate media, which would leak its files.';

create or replace trigger refuse_media_truncate
before truncate on public.media
for each statement execute function public.refuse_media_truncate();
