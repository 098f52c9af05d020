-- Give jobs back unfinished: they are due at once and have spent no attempt.

create or replace function public.release_media_jobs(p_poller text, p_ids uuid[], p_tokens integer[])
returns setof uuid
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
declare
    v_job record;
begin
    for v_job in
        select j.id, j.source
        from public.give_back_media_jobs(p_poller, p_ids, p_tokens) j
        order by j.source -- as everybody who locks several of them
    loop
        perform public.count_unheard_request(v_job.source);
        return next v_job.id;
    end loop;
end;
$$;

comment on function public.release_media_jobs is
    'Give claimed jobs back, due at once, no attempt spent. Returns those the poller still held.';
grant execute on function public.release_media_jobs to media_poller;
