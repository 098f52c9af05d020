-- Go on with a pass of a cleanup, from its place, until the end of the pass, p_at_most deleted rows, or
-- p_until. The place moves only behind what is kept, deleted, or was tried and cannot be deleted now.
-- The first piece is one attachment, so that every call comes forward.

create or replace function public.continue_media_cleanup(
    p_place public.media_cleanups,
    p_days_old integer,
    p_keep_accessed_days integer,
    p_dry_run boolean,
    p_at_most integer,
    p_until timestamptz
)
returns public.media_cleanups
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_place public.media_cleanups := p_place;
    v_goal bigint := p_place.deleted + p_at_most;
    v_piece integer := 1;
    v_part record;
    v_listed record;
    v_ids uuid[];
    v_done record;
begin
    for v_part in
        select t.media_type, quote_nullable(t.media_type) as name, d.is_dated
        from public.list_media_types(case when jsonb_typeof(v_place.arguments -> 1) = 'array'
            then array(select jsonb_array_elements_text(v_place.arguments -> 1)) end) t
        cross join (values (true), (false)) d (is_dated)
        where (quote_nullable(t.media_type) collate "C", not d.is_dated) >= (p_place.media_type, not p_place.is_dated)
        order by quote_nullable(t.media_type) collate "C", d.is_dated desc
    loop
        if (v_place.media_type, v_place.is_dated) is distinct from (v_part.name, v_part.is_dated) then
            v_place.media_type := v_part.name;
            v_place.is_dated := v_part.is_dated;
            v_place.reached_at := '-infinity';
            v_place.reached_id := '00000000-0000-0000-0000-000000000000';
        end if;
        loop
            select
                coalesce(array_agg(o.id order by o.at, o.id) filter (where not o.is_kept), '{}') as ids,
                array_agg(o.at order by o.at, o.id) filter (where not o.is_kept) as ats,
                max(o.at) as last_at,
                (array_agg(o.id order by o.at desc, o.id desc))[1] as last_id
            into v_listed
            from public.list_old_media(v_part.media_type, v_part.is_dated, p_days_old, p_keep_accessed_days,
                v_place.reached_at, v_place.reached_id, 1000) o;
            exit when v_listed.last_id is null;
            if p_dry_run then
                v_place.deleted := v_place.deleted + cardinality(v_listed.ids);
            else
                v_ids := v_listed.ids[:(v_goal - v_place.deleted)::integer];
                select o.* into v_done
                from public.delete_media_pieces(v_ids, p_keep_accessed_days, v_piece, p_until) o;
                v_piece := v_done.next_piece;
                v_place.deleted := v_place.deleted + v_done.deleted;
                v_place.locked := v_place.locked + v_done.locked;
                v_place.refused := v_place.refused + v_done.refused;
                v_place.problem := coalesce(v_done.problem, v_place.problem);
                if v_done.tried < cardinality(v_listed.ids) then
                    v_listed.last_at := coalesce(v_listed.ats[v_done.tried], v_place.reached_at);
                    v_listed.last_id := coalesce(v_listed.ids[v_done.tried], v_place.reached_id);
                end if;
            end if;
            v_place.reached_at := v_listed.last_at;
            v_place.reached_id := v_listed.last_id;
            if clock_timestamp() > p_until or (v_place.deleted >= v_goal and not p_dry_run) then
                return v_place;
            end if;
        end loop;
    end loop;
    v_place.reached_at := 'infinity';
    return v_place;
end;
$$;

comment on function public.continue_media_cleanup is
    'Go on with a pass of run_media_cleanup; returns the place it came to, with its counts; reached_at is infinity when all was looked at.';
