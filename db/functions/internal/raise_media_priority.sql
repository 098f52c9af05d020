-- Who fetches a content for others is as urgent as the most urgent of them. A leader that somebody
-- has locked is left as it is: it is being claimed, or those who wait raise it at their recheck.

create or replace function public.raise_media_priority(p_leader_id uuid, p_priority integer)
returns void
language sql
volatile
set search_path = ''
as $$
    update public.media_processing_queue q
    set priority = p_priority
    where q.id = (
        select l.id
        from public.media_processing_queue l
        where l.id = p_leader_id and l.status = 'pending' and l.priority > p_priority
        for update skip locked
    );
$$;

comment on function public.raise_media_priority is
    'Give a pending leader the priority (1 first) of an attachment that waits for it, if that is more urgent.';
