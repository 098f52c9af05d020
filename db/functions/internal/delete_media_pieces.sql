-- Delete attachments in pieces of p_piece, until all were tried or time is up. A piece that goes
-- quickly is followed by one twice as large; one that is slow, or has something in the way, by one
-- half as large. So a slow deletion, as by a foreign key without an index, is slow once, and what
-- cannot be deleted is in the end tried alone and passed over alone.

create or replace function public.delete_media_pieces(
    p_ids uuid[],
    p_keep_accessed_days integer,
    p_piece integer,
    p_until timestamptz,
    out tried integer,
    out next_piece integer,
    out deleted integer,
    out locked integer,
    out refused integer,
    out problem text
)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_deferred text := case when public.deferred_constraints_matter() then public.list_deferred_constraints() end;
    v_began timestamptz;
    v_piece record;
begin
    tried := 0;
    deleted := 0;
    locked := 0;
    refused := 0;
    next_piece := p_piece;
    while tried < cardinality(p_ids) loop
        v_began := clock_timestamp();
        select o.* into v_piece
        from public.delete_old_media(
            p_ids[tried + 1:tried + next_piece], p_keep_accessed_days, v_deferred) o;
        if v_piece.deleted is not null then
            tried := least(tried + next_piece, cardinality(p_ids));
            deleted := deleted + v_piece.deleted;
            locked := locked + v_piece.locked;
            refused := refused + v_piece.refused;
            problem := coalesce(v_piece.problem, problem);
        end if;
        next_piece := case
            when v_piece.deleted is not null and clock_timestamp() < v_began + interval '100 milliseconds'
                then least(next_piece * 2, 1000)
            else greatest(next_piece / 2, 1)
        end;
        exit when clock_timestamp() > p_until;
    end loop;
end;
$$;

comment on function public.delete_media_pieces is
    'Delete attachments in the order given, first p_piece of them at once. Returns how many were tried by p_until, how large the next piece should be, and of those tried how many were deleted, are locked, or were refused, with the last refusal''s words.';
