-- squawk-ignore-file ban-drop-column

set local lock_timeout = '5s';
set local statement_timeout = '10min';

comment on column public.media_cleanups.media_type is 'The media type it is at; empty for media of none.';
delete from public.media_cleanups; -- theirs are written otherwise

alter table public.media_maintenance drop column cron_pruned_to;

do $$
declare
    v_name text;
begin
    for v_name in
        select c.conname
        from pg_catalog.pg_constraint c
        where c.conrelid = 'public.media_settings'::regclass and c.conname like '%\_forward'
    loop
        execute format('alter table public.media_settings drop constraint %I', v_name);
    end loop;
end $$;
