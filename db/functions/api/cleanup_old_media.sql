-- Delete media by the age of its message. Bounded: a call ends after at_most rows or a second, so
-- call it until it answers 0.
--
-- What is held, being worked on or locked by another transaction is left for a later call. Files go
-- as with any deletion: with the last reference to their content, through the deletion queue.

create or replace function public.cleanup_old_media(
    days_old integer,
    media_types text[] default null,
    keep_accessed_days integer default null,
    dry_run boolean default false,
    at_most integer default 10000
)
returns integer
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
declare
    v_until timestamptz := clock_timestamp() + interval '1 second';
    v_type text;
    v_ids uuid[];
    v_deleted integer;
    v_count integer := 0;
begin
    perform public.check_cleanup_arguments(days_old, media_types, keep_accessed_days, at_most);
    if dry_run then
        return (
            select count(*)::integer
            from public.list_media_types(media_types) t
            cross join public.list_old_media(t.media_type, days_old, keep_accessed_days, null));
    end if;
    perform set_config('pgmedia.deleted_by', 'cleanup', true);
    for v_type in select t.media_type from public.list_media_types(media_types) t loop
        loop
            v_ids := array(
                select m.id
                from public.media m
                where m.id in (
                    select public.list_old_media(v_type, days_old, keep_accessed_days, least(at_most - v_count, 1000)))
                order by m.id
                for update skip locked);
            delete from public.media m -- the trigger release_media_objects does the rest
            where m.id = any (v_ids)
                and not exists (select from public.media_holds h where h.media_id = m.id); -- held before the lock
            get diagnostics v_deleted = row_count;
            v_count := v_count + v_deleted;
            exit when v_deleted = 0 or v_count >= at_most or clock_timestamp() > v_until;
        end loop;
        exit when v_count >= at_most or clock_timestamp() > v_until;
    end loop;
    perform set_config('pgmedia.deleted_by', '', true);
    return v_count;
end;
$$;

comment on function public.cleanup_old_media is
    'Delete media whose message was sent more than days_old days ago, oldest first, and return how many: call again until it is 0. media_types: only these. keep_accessed_days: keep what touch_media recorded within so many days. dry_run: delete nothing, return how many would be. at_most: rows of one call, which also ends after a second. Held media stays. Errors: MD022 days or at_most below 1, or null; MD011 unknown media type.';
grant execute on function public.cleanup_old_media to media_admin;
