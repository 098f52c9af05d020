-- Second verdict: the bytes are here, hashed and looked at; may they be stored, and where?
--
-- The object row is the reservation: only its leader uploads, and always to the same path, so that
-- a repeated attempt overwrites its own earlier try and nothing else.

create or replace function public.begin_media_uploads(
    p_poller text,
    p_ids uuid[],
    p_tokens integer[],
    p_content_hashes text[],
    p_file_sizes bigint[],
    p_mime_types text[],
    p_checks jsonb[]
)
returns table (
    id uuid,
    verdict text,
    reason text,
    object_id uuid,
    bucket_name text,
    storage_path text,
    content_type text,
    cache_control text,
    stored_hash text,
    encoding jsonb
)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
set enable_seqscan = off -- a queue that statistics call empty is full of dead rows
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
set plan_cache_mode = force_generic_plan -- arrays of few would be planned for anew, call by call
as $$
#variable_conflict use_column
declare
    v_jobs public.media_processing_queue[] := public.lock_media_jobs(p_poller, p_ids, p_tokens);
    v_fit public.media_processing_queue[] := '{}'::public.media_processing_queue[];
    v_received public.media_objects;
    v_all_received public.media_objects[] := '{}'::public.media_objects[];
    v_media public.media[] := array(
        select m from public.media m where m.id = any (p_ids) order by array_position(p_ids, m.id));
    v_judged record;
begin
    perform public.end_source_pauses(v_jobs); -- they have just handed out the bytes
    perform public.note_media_received(v_jobs);
    for i in 1..cardinality(p_ids) loop
        select j.* into v_judged
        from public.judge_received_content(
            v_media[i], p_content_hashes[i], p_file_sizes[i], p_mime_types[i], p_checks[i]) j;
        v_received.content_hash := p_content_hashes[i];
        v_received.is_public := v_judged.is_public;
        v_received.bucket_name := v_judged.bucket_name;
        v_received.file_size := p_file_sizes[i];
        v_received.mime_type := v_judged.mime_type;
        v_received.checks := v_judged.checks;
        if v_judged.code is null then
            v_fit := v_fit || v_jobs[i];
            v_all_received := v_all_received || v_received;
        else
            return query
            select p_ids[i], r.verdict, v_judged.code, null::uuid, r.bucket_name, r.storage_path, r.content_type, r.cache_control,
                null::text, null::jsonb
            from public.refuse_received_content(
                v_jobs[i], v_media[i], v_received, v_judged.code, v_judged.explanation) r;
        end if;
    end loop;
    if v_fit <> '{}' then
        return query
        select s.id, s.verdict, null::text, s.object_id, s.bucket_name, s.storage_path, s.content_type, s.cache_control,
            s.stored_hash, s.encoding
        from public.store_received_contents(v_fit, v_all_received) s;
    end if;
end;
$$;

comment on function public.begin_media_uploads is
    'Verdicts on received bytes, as begin_media_upload gives one: all or none, the arrays having a place for each. The answers come in any order. Error: MD001 lease lost.';
grant execute on function public.begin_media_uploads to media_poller;
