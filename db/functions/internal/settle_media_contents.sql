-- Who fetches a content? Answers 'lead' (this attachment does), 'deduplicated' (it is stored, and
-- this attachment now refers to it) or 'joined' (another one is at it, and this one waits), in the order
-- of the jobs.

create or replace function public.settle_media_contents(
    p_jobs public.media_processing_queue[],
    p_objects public.media_objects[]
)
returns text[]
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_verdicts text[] := '{}'::text[];
    v_linked uuid[] := '{}'::uuid[];
    v_objects uuid[] := '{}'::uuid[];
begin
    for i in 1..cardinality(p_jobs) loop
        if (p_objects[i]).state = 'stored' then
            v_verdicts[i] := 'deduplicated';
            v_linked := v_linked || (p_jobs[i]).id;
            v_objects := v_objects || (p_objects[i]).id;
        elsif (p_objects[i]).leader_id = (p_jobs[i]).id then
            v_verdicts[i] := 'lead';
        else
            v_verdicts[i] := 'joined';
            perform public.join_media_leader(p_jobs[i], p_objects[i]);
        end if;
    end loop;
    if v_linked <> '{}' then
        perform public.link_media_objects(v_linked, v_objects, 'deduplicated', p_poller => (p_jobs[1]).claimed_by);
        perform public.end_media_leads(v_linked);
    end if;
    return v_verdicts;
end;
$$;

comment on function public.settle_media_contents is
    'Decide who fetches contents, and link or join the attachments accordingly: lead, deduplicated or joined, for each job with the object of the same place. All jobs are those of one poller.';
