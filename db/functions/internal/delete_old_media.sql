-- Delete these attachments, all or none: but for what is kept now that they are locked, and for rows
-- another transaction holds, as a deletion of the bot's locks them in an order of its own. When some
-- other lock is waited for too long, or the bot's database refuses, in whatever words, nothing is
-- deleted: whoever asks tries fewer, until one is alone to blame. What the commit would refuse is refused
-- now: the constraints in p_deferred are checked, and deferred again.

create or replace function public.delete_old_media(
    p_ids uuid[],
    p_keep_accessed_days integer,
    p_deferred text,
    out deleted integer,
    out locked integer,
    out refused integer,
    out problem text
)
language plpgsql
volatile
set search_path = ''
set lock_timeout = '100ms' -- shorter than anybody's patience, and than deadlock_timeout
as $$
-- plpgsql_check does not see that the names are quoted already:
-- @plpgsql_check_options: security_warnings = off
declare
    v_locked uuid[];
    v_going uuid[];
    v_is_alone boolean := cardinality(p_ids) = 1;
begin
    v_locked := array(select m.id from public.media m where m.id = any (p_ids) for update skip locked);
    locked := (select count(*)::integer from public.media m where m.id = any (p_ids) and m.id <> all (v_locked));
    v_going := array(
        select l from unnest(v_locked) l
        except
        select k.id from public.list_kept_media(v_locked, p_keep_accessed_days) k (id));
    delete from public.media m where m.id = any (v_going); -- the trigger release_media_objects does the rest
    get diagnostics deleted = row_count;
    refused := cardinality(v_going) - deleted; -- by a trigger, without a word
    if p_deferred is not null then
        execute format('set constraints %s immediate', p_deferred);
        execute format('set constraints %s deferred', p_deferred);
    end if;
exception
    when lock_not_available or deadlock_detected or serialization_failure then
        deleted := case when v_is_alone then 0 end;
        locked := 1;
        refused := 0;
    when others or assert_failure then
        deleted := case when v_is_alone then 0 end;
        locked := 0;
        refused := 1;
        problem := sqlerrm;
end;
$$;

comment on function public.delete_old_media is
    'Delete those of these attachments that nothing keeps and nobody holds. Returns how many went, are locked by others, and were refused, with the last refusal''s words; deleted is null when none of several went, as one was in the way.';
