-- What somebody has deleted stays deleted, whoever sends or replays the call that brought it.
--
-- The lock waits for deletions under way, and the statement after it sees what they remember. A row that
-- a bot has added itself since is not set aside. Scalar subqueries are probes of an index, whatever the
-- planner thinks of the batch.

create or replace function public.set_aside_deleted_media(p_media jsonb, out media jsonb, out deleted bigint)
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform
    from public.media m
    where m.id = any (array(
        select (
            select h.id
            from public.media h
            where h.message_id = w.message_id and h.whatsapp_media_id = w.whatsapp_media_id)
        from jsonb_to_recordset(p_media) w (message_id uuid, whatsapp_media_id text)))
    order by m.id
    for key share of m;

    select coalesce(jsonb_agg(j.wanted order by j.nr) filter (where not j.is_deleted), '[]'),
        count(distinct (j.wanted ->> 'message_id', j.wanted ->> 'whatsapp_media_id')) filter (where j.is_deleted)
    into media, deleted
    from (
        select w.wanted, w.nr,
            (select t.deleted_at
                from public.media_tombstones t
                where t.message_id = (w.wanted ->> 'message_id')::uuid
                    and t.whatsapp_media_id = w.wanted ->> 'whatsapp_media_id') is not null
            and (select m.id
                from public.media m
                where m.message_id = (w.wanted ->> 'message_id')::uuid
                    and m.whatsapp_media_id = w.wanted ->> 'whatsapp_media_id') is null as is_deleted
        from jsonb_array_elements(p_media) with ordinality w (wanted, nr)
    ) j;
end;
$$;

comment on function public.set_aside_deleted_media is
    'Those media of a webhook call (an array with message_id and whatsapp_media_id) that nobody deleted, in their order, and how many were; rows that are there are locked against deletion.';
