-- First verdict: what WhatsApp says about files is known, their bytes are not.
--
-- What the media endpoint says outranks the webhook, which counts where the endpoint was not asked.
-- Content that is stored already, or on its way, is not downloaded; what is too large or of a type
-- that is never stored is not even begun.

create or replace function public.describe_media_sources(
    p_poller text,
    p_ids uuid[],
    p_tokens integer[],
    p_mime_types text[],
    p_file_sizes bigint[],
    p_sha256s text[]
)
returns table (id uuid, verdict text, reason text, max_bytes bigint)
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
    v_media public.media[];
    v_judged record;
    v_settled public.media_processing_queue[] := '{}'::public.media_processing_queue[];
    v_announced public.media[] := '{}'::public.media[];
    v_are_public boolean[] := '{}'::boolean[];
    v_most bigint[];
    v_hashes text[];
begin
    v_media := public.record_media_sources(v_jobs, p_mime_types, p_file_sizes, p_sha256s);
    for i in 1..cardinality(p_ids) loop
        select j.* into v_judged
        from public.judge_announced_media(v_media[i], p_mime_types[i], p_file_sizes[i]) j;
        id := p_ids[i];
        reason := v_judged.code;
        max_bytes := v_judged.max_bytes;
        if reason is not null then
            verdict := 'rejected';
            perform public.bury_media_job(id, reason, v_judged.explanation);
            return next;
        elsif v_media[i].whatsapp_sha256 is null or v_judged.is_public is null then
            verdict := 'download';
            return next;
        else
            v_settled := v_settled || v_jobs[i];
            v_announced := v_announced || v_media[i];
            v_are_public := v_are_public || v_judged.is_public;
            v_most[i] := max_bytes;
            v_hashes[i] := v_media[i].whatsapp_sha256;
        end if;
    end loop;
    if v_settled <> '{}' then
        return query
        select s.id, s.verdict, s.reason, v_most[array_position(p_ids, s.id)]
        from public.settle_announced_media(v_settled, v_announced, v_are_public) s;
    end if;
    update public.media_processing_queue q
    set
        source_answered = q.source_answered or num_nonnulls(k.mime_type, k.file_size, k.sha256) > 0,
        content_hash = coalesce(k.content_hash, q.content_hash)
    from unnest(p_ids, p_mime_types, p_file_sizes, p_sha256s, v_hashes) k (id, mime_type, file_size, sha256, content_hash)
    where q.id = any (p_ids) and q.id = k.id; -- probes, however few rows statistics see
end;
$$;

comment on function public.describe_media_sources is
    'Verdicts on files before their download, as describe_media_source gives one: all or none, the arrays having a place for each. The answers come in any order. Error: MD001 lease lost.';
grant execute on function public.describe_media_sources to media_poller;
