-- Who fetches contents that are announced? Content that is stored is of a type that is known, so it is
-- judged as its bytes would be.

create or replace function public.settle_announced_media(
    p_jobs public.media_processing_queue[],
    p_media public.media[],
    p_buckets public.media_buckets[]
)
returns table (id uuid, verdict text, reason text, max_bytes bigint)
language plpgsql
volatile
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_objects public.media_objects[];
    v_judged record;
    v_fit integer[] := '{}'::integer[];
    v_verdicts text[];
begin
    perform public.free_waiting_media(w.waiting_for) -- they wait for other content
    from (
        select distinct q.waiting_for
        from public.media_processing_queue q
        where q.waiting_for = any (array(
                select j.id
                from unnest(p_jobs) with ordinality j
                where j.content_hash is distinct from p_media[j.ordinality].whatsapp_sha256))
            and q.status = 'waiting'
    ) w;
    v_objects := public.reserve_media_objects(
        array(select j.id from unnest(p_jobs) j),
        array(select m.whatsapp_sha256 from unnest(p_media) m),
        array(select b.is_public from unnest(p_buckets) b));
    for i in 1..cardinality(p_jobs) loop
        if v_objects[i].state <> 'stored' then
            v_fit := v_fit || i;
            continue;
        end if;
        id := p_jobs[i].id;
        max_bytes := public.get_size_limit(p_buckets[i]);
        select j.* into v_judged from public.judge_stored_object(v_objects[i], p_media[i], p_buckets[i]) j;
        reason := v_judged.code;
        if v_judged.belongs_elsewhere then -- what it was announced as led to another bucket than its bytes do
            verdict := 'download';
            return next;
        elsif reason is not null then
            verdict := 'rejected';
            perform public.bury_media_job(id, reason, v_judged.explanation);
            return next;
        else
            v_fit := v_fit || i;
        end if;
    end loop;
    v_verdicts := public.settle_media_contents(
        array(select p_jobs[f.i] from unnest(v_fit) f (i)), array(select v_objects[f.i] from unnest(v_fit) f (i)));
    return query
    select p_jobs[f.i].id, replace(f.verdict, 'lead', 'download'), null::text, public.get_size_limit(p_buckets[f.i])
    from unnest(v_fit, v_verdicts) f (i, verdict);
end;
$$;

comment on function public.settle_announced_media is
    'Verdicts on contents by their announced SHA-256, as describe_media_source gives them: download (at most max_bytes), deduplicated, joined or rejected. Each array has a place for each job.';
