-- Delete media by the age of its message, and say whether that was all. Bounded: a call ends after
-- at_most rows or a second, and the next one with the same arguments goes on where it stopped, so that
-- what is kept is not read anew each time.
--
-- What is held, being worked on, locked by another transaction, or refused by the bot's own database is
-- passed over. Files go as with any deletion: with the last reference to their content, through the
-- deletion queue.

create or replace function public.run_media_cleanup(
    days_old integer,
    media_types text[] default null,
    keep_accessed_days integer default null,
    dry_run boolean default false,
    at_most integer default 10000
)
returns table (attachments integer, is_finished boolean, locked bigint, refused bigint, problem text)
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
declare
    v_until timestamptz := clock_timestamp() + interval '1 second';
    v_arguments jsonb := jsonb_build_array(days_old, media_types, keep_accessed_days);
    v_place public.media_cleanups;
    v_before bigint;
begin
    perform public.check_cleanup_arguments(days_old, media_types, keep_accessed_days, at_most, dry_run);
    perform set_config('pgmedia.deleted_by', 'cleanup', true);
    attachments := 0;
    select c.* into v_place
    from public.media_cleanups c
    where c.arguments = v_arguments and c.saved_at > now() - interval '10 minutes' and not dry_run;
    loop
        if v_place.arguments is null then
            v_place.arguments := v_arguments;
            v_place.media_type := '';
            v_place.is_dated := true;
            v_place.reached_at := '-infinity';
            v_place.reached_id := '00000000-0000-0000-0000-000000000000';
            v_place.deleted := 0;
            v_place.locked := 0;
            v_place.refused := 0;
            v_place.problem := null;
        end if;
        v_before := v_place.deleted;
        v_place := public.continue_media_cleanup(
            v_place, days_old, keep_accessed_days, dry_run, at_most, v_until);
        is_finished := v_place.reached_at = 'infinity';
        attachments := (attachments + v_place.deleted - v_before)::integer;
        -- Earlier calls of this pass deleted, and this one found no more: what was kept or locked
        -- then may be free now.
        exit when not is_finished or attachments > 0 or v_place.deleted = 0;
        v_place.arguments := null;
    end loop;
    locked := v_place.locked;
    refused := v_place.refused;
    problem := v_place.problem;
    if not dry_run then
        perform public.save_cleanup_place(v_place, is_finished);
    end if;
    perform set_config('pgmedia.deleted_by', '', true);
    return next;
end;
$$;

comment on function public.run_media_cleanup is
    'Delete media whose message was sent more than days_old days ago (or, where media.message_sent_at is null, that was created then), oldest first of each type; answers how many attachments went, and is_finished, whether all were looked at: call again until it is. locked and refused: how many this pass, from its first call on, could not delete, as another transaction has a lock, or as a foreign key or trigger refuses, problem being the last refusal''s words. media_types: only these. keep_accessed_days: keep what touch_media recorded within so many days. dry_run: delete nothing, count for a second how many would be; unless is_finished there are more. at_most: rows of one call, which also ends after a second, or as soon as one attachment that takes longer is deleted. What is held or in work stays. Errors: MD022 days outside 1 to 36500, at_most below 1, or null, or dry_run null; MD011 unknown media type.';
grant execute on function public.run_media_cleanup to media_admin;
