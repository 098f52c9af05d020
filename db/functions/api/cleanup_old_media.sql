-- Delete media by the age of its message. Bounded: a call ends after at_most rows, or a second after
-- it has found the first, so call it until it answers 0.
--
-- What is held, being worked on or locked by another transaction is passed over. Files go as with
-- any deletion: with the last reference to their content, through the deletion queue.

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
    v_until timestamptz;
    v_type text;
    v_at timestamptz;
    v_id uuid;
    v_ids uuid[];
    v_count integer := 0;
begin
    perform public.check_cleanup_arguments(days_old, media_types, keep_accessed_days, at_most);
    perform set_config('pgmedia.deleted_by', 'cleanup', true);
    for v_type in select t.media_type from public.list_media_types(media_types) t loop
        v_at := '-infinity';
        v_id := '00000000-0000-0000-0000-000000000000';
        loop
            select
                coalesce(array_agg(o.id order by o.message_sent_at, o.id) filter (where not o.is_kept), '{}'),
                max(o.message_sent_at),
                (array_agg(o.id order by o.message_sent_at desc, o.id desc))[1]
            into v_ids, v_at, v_id
            from public.list_old_media(v_type, days_old, keep_accessed_days, v_at, v_id, 1000) o;
            exit when v_id is null;
            if dry_run then
                v_count := v_count + cardinality(v_ids);
                continue;
            end if;
            v_count := v_count + public.delete_old_media(v_ids[:at_most - v_count], keep_accessed_days);
            if v_until is null and v_count > 0 then
                v_until := clock_timestamp() + interval '1 second';
            end if;
            exit when v_count >= at_most or clock_timestamp() > v_until;
        end loop;
        exit when not dry_run and (v_count >= at_most or clock_timestamp() > v_until);
    end loop;
    perform set_config('pgmedia.deleted_by', '', true);
    return v_count;
end;
$$;

comment on function public.cleanup_old_media is
    'Delete media whose message was sent more than days_old days ago, oldest first of each type, and return how many: call again until it is 0. media_types: only these. keep_accessed_days: keep what touch_media recorded within so many days. dry_run: delete nothing, return how many would be. at_most: rows of one call, which also ends a second after it has found the first to delete. What is held, in work, locked by others, or kept by a foreign key or trigger stays. Errors: MD022 days or at_most below 1, or null; MD011 unknown media type.';
grant execute on function public.cleanup_old_media to media_admin;
