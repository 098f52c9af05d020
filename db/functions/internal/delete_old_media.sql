-- Delete these attachments, but for what is kept now that they are locked. Rows another transaction
-- holds are skipped: a deletion of the bot's locks them in an order of its own. What waits for some
-- other lock, or a foreign key or trigger of the bot's wants to keep, is passed over too: the batch
-- is tried again by halves, for as long as there is time. Once it is tried in any case: the cleanup goes
-- on behind it.

create or replace function public.delete_old_media(p_ids uuid[], p_keep_accessed_days integer, p_until timestamptz)
returns integer
language plpgsql
volatile
set search_path = ''
set lock_timeout = '100ms' -- shorter than anybody's patience, and than deadlock_timeout
as $$
declare
    v_locked uuid[];
    v_count integer;
    v_half integer := cardinality(p_ids) / 2;
begin
    v_locked := array(select m.id from public.media m where m.id = any (p_ids) for update skip locked);
    delete from public.media m -- the trigger release_media_objects does the rest
    where m.id = any (v_locked)
        and m.id not in (select k.id from public.list_kept_media(v_locked, p_keep_accessed_days) k (id));
    get diagnostics v_count = row_count;
    return v_count;
exception
    when lock_not_available or deadlock_detected or integrity_constraint_violation or raise_exception then
        v_count := 0;
        if v_half > 0 and clock_timestamp() < p_until then
            v_count := public.delete_old_media(p_ids[:v_half], p_keep_accessed_days, p_until);
        end if;
        if v_half > 0 and clock_timestamp() < p_until then
            v_count := v_count + public.delete_old_media(p_ids[v_half + 1:], p_keep_accessed_days, p_until);
        end if;
        return v_count;
end;
$$;

comment on function public.delete_old_media is
    'Delete those of these attachments that nothing keeps and nobody holds; what is in the way is looked for until p_until. Returns how many.';
