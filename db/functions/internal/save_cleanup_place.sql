-- How far a cleanup has come, for the next call with the same arguments. Of two at once, one saves; the
-- other does not wait.

create or replace function public.save_cleanup_place(p_place public.media_cleanups, p_is_finished boolean)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    if not pg_try_advisory_xact_lock(hashtext('pgmedia.cleanup'), hashtext(p_place.arguments::text)) then
        return;
    end if;
    if p_is_finished then
        delete from public.media_cleanups c where c.arguments = p_place.arguments;
        return;
    end if;
    insert into public.media_cleanups (
        arguments, media_type, is_dated, reached_at, reached_id, deleted, locked, refused, problem)
    values (p_place.arguments, p_place.media_type, p_place.is_dated, p_place.reached_at, p_place.reached_id,
        p_place.deleted, p_place.locked, p_place.refused, p_place.problem)
    on conflict (arguments) do update
    set media_type = excluded.media_type,
        is_dated = excluded.is_dated,
        reached_at = excluded.reached_at,
        reached_id = excluded.reached_id,
        saved_at = excluded.saved_at,
        deleted = excluded.deleted,
        locked = excluded.locked,
        refused = excluded.refused,
        problem = excluded.problem;
end;
$$;

comment on function public.save_cleanup_place is
    'Save how far a cleanup with these arguments has come; or, when it is finished, forget it.';
