-- What was stored before media_analytics counted it: once, at the end of the upgrade, when all functions
-- count.
-- One statement, so that rows and counts are those of the same moment.

create or replace function public.count_stored_media()
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    update public.media_maintenance set stored_counted = true where not stored_counted;
    if not found then
        return;
    end if;
    insert into public.media_analytics_deltas (date, media_type, stored_files, stored_bytes)
    select (now() at time zone 'utc')::date, c.media_type, sum(c.files), coalesce(sum(c.bytes), 0)
    from (
        select coalesce(m.media_type, 'unknown') as media_type, count(*) as files, sum(m.file_size) as bytes
        from public.media m
        where m.object_id is not null
        group by m.media_type
        union all
        select a.media_type, -a.stored_files, -a.stored_bytes from public.media_analytics a
        union all
        select d.media_type, -d.stored_files, -d.stored_bytes from public.media_analytics_deltas d
    ) c
    group by c.media_type
    having sum(c.files) <> 0 or sum(c.bytes) <> 0;
end;
$$;

comment on function public.count_stored_media is
    'Unless media_maintenance.stored_counted, append what stored_files and stored_bytes lack. Called when the functions are installed.';
