-- Who fetches contents of which only the announced hash is known? What is stored already is not fetched,
-- where it may be stored as this attachment came: its type is known, and judged as its bytes would be.

create or replace function public.settle_announced_media(
    p_jobs public.media_processing_queue[],
    p_media public.media[],
    p_are_public boolean[]
)
returns table (id uuid, verdict text, reason text)
language plpgsql
volatile
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_ids uuid[];
    v_hashes text[];
    v_changed uuid[] := '{}'::uuid[];
    v_objects public.media_objects[];
    v_judged record;
    v_fit_jobs public.media_processing_queue[] := '{}'::public.media_processing_queue[];
    v_fit_objects public.media_objects[] := '{}'::public.media_objects[];
    v_verdicts text[];
begin
    for i in 1..cardinality(p_jobs) loop
        v_ids[i] := p_jobs[i].id;
        v_hashes[i] := p_media[i].whatsapp_sha256;
        if p_jobs[i].content_hash is distinct from v_hashes[i] then
            v_changed := v_changed || v_ids[i];
        end if;
    end loop;
    perform public.free_waiting_media(w.waiting_for) -- they wait for other content
    from (
        select distinct q.waiting_for
        from public.media_processing_queue q
        where q.waiting_for = any (v_changed) and q.status = 'waiting'
    ) w;
    v_objects := public.reserve_media_objects(v_ids, v_hashes, p_are_public);
    for i in 1..cardinality(p_jobs) loop
        id := v_ids[i];
        reason := null;
        if v_objects[i].state = 'stored' then
            select j.* into v_judged from public.judge_stored_object(v_objects[i], p_media[i]) j;
            if v_judged.belongs_elsewhere then -- what it was announced as led to another bucket than its bytes do
                verdict := 'download';
                return next;
                continue;
            elsif v_judged.code is not null then
                verdict := 'rejected';
                reason := v_judged.code;
                perform public.bury_media_job(id, reason, v_judged.explanation);
                return next;
                continue;
            end if;
        end if;
        v_fit_jobs := v_fit_jobs || p_jobs[i];
        v_fit_objects := v_fit_objects || v_objects[i];
    end loop;
    v_verdicts := public.settle_media_contents(v_fit_jobs, v_fit_objects);
    for i in 1..cardinality(v_fit_jobs) loop
        id := v_fit_jobs[i].id;
        verdict := replace(v_verdicts[i], 'lead', 'download');
        reason := null;
        return next;
    end loop;
end;
$$;

comment on function public.settle_announced_media is
    'Verdicts on contents with the hashes that were announced for these attachments, whose media types lead to public buckets or not: download, deduplicated, joined or rejected (dead letter, with the reason). Each array has a place for each job.';
