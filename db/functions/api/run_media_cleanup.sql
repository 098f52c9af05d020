-- Delete media by the age of its message, and say whether that was all. Bounded: a call ends after
-- at_most rows or a second, and the next one with the same arguments goes on where it stopped, so that
-- what is kept is not read anew each time.
--
-- What is held, being worked on or locked by another transaction is passed over. Files go as with
-- any deletion: with the last reference to their content, through the deletion queue.

create or replace function public.run_media_cleanup(
    days_old integer,
    media_types text[] default null,
    keep_accessed_days integer default null,
    dry_run boolean default false,
    at_most integer default 10000
)
returns table (attachments integer, is_finished boolean)
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
declare
    v_until timestamptz := clock_timestamp() + interval '1 second';
    v_arguments jsonb := jsonb_build_array(days_old, media_types, keep_accessed_days);
    v_place public.media_cleanups;
    v_part record;
    v_ids uuid[];
    v_ats timestamptz[];
begin
    perform public.check_cleanup_arguments(days_old, media_types, keep_accessed_days, at_most);
    perform set_config('pgmedia.deleted_by', 'cleanup', true);
    attachments := 0;
    is_finished := true;
    select c.* into v_place
    from public.media_cleanups c
    where c.arguments = v_arguments and c.saved_at > now() - interval '10 minutes' and not dry_run;
    <<parts>>
    for v_part in
        select t.media_type, coalesce(t.media_type, '') as name, d.is_dated
        from public.list_media_types(media_types) t
        cross join (values (true), (false)) d (is_dated)
        where v_place.arguments is null
            or (coalesce(t.media_type, '') collate "C", not d.is_dated) >= (v_place.media_type, not v_place.is_dated)
        order by coalesce(t.media_type, '') collate "C", d.is_dated desc
    loop
        if (v_place.media_type, v_place.is_dated) is distinct from (v_part.name, v_part.is_dated) then
            v_place := (v_arguments, v_part.name, v_part.is_dated, '-infinity'::timestamptz,
                '00000000-0000-0000-0000-000000000000'::uuid, now());
        end if;
        loop
            select
                coalesce(array_agg(o.id order by o.at, o.id) filter (where not o.is_kept), '{}'),
                array_agg(o.at order by o.at, o.id) filter (where not o.is_kept),
                max(o.at),
                (array_agg(o.id order by o.at desc, o.id desc))[1]
            into v_ids, v_ats, v_place.reached_at, v_place.reached_id
            from public.list_old_media(v_part.media_type, v_part.is_dated, days_old, keep_accessed_days,
                v_place.reached_at, v_place.reached_id, 1000) o;
            exit when v_place.reached_id is null;
            if dry_run then
                attachments := attachments + cardinality(v_ids);
            else
                if cardinality(v_ids) > at_most - attachments then
                    v_place.reached_id := v_ids[at_most - attachments];
                    v_place.reached_at := v_ats[at_most - attachments];
                end if;
                attachments := attachments
                    + public.delete_old_media(v_ids[:at_most - attachments], keep_accessed_days, v_until);
            end if;
            is_finished := not (clock_timestamp() > v_until or (attachments >= at_most and not dry_run));
            exit parts when not is_finished;
        end loop;
        v_place.media_type := null; -- the next part begins at its beginning
    end loop;
    if not dry_run then
        v_place.arguments := v_arguments;
        perform public.save_cleanup_place(v_place, is_finished);
    end if;
    perform set_config('pgmedia.deleted_by', '', true);
    return next;
end;
$$;

comment on function public.run_media_cleanup is
    'Delete media whose message was sent more than days_old days ago (or, where media.message_sent_at is null, that was created then), oldest first of each type; answers how many attachments went, and is_finished, whether all were looked at: call again until it is. media_types: only these. keep_accessed_days: keep what touch_media recorded within so many days. dry_run: delete nothing, count for a second how many would be; unless is_finished there are more. at_most: rows of one call, which also ends after a second. What is held, in work, locked by others, or kept by a foreign key or trigger stays. Errors: MD022 days outside 1 to 36500, at_most below 1, or null; MD011 unknown media type.';
grant execute on function public.run_media_cleanup to media_admin;
