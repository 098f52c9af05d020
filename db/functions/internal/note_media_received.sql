-- WhatsApp has handed out a file, so it refuses nothing more of this attempt. Nor did it refuse the
-- attachment's earlier requests that nobody heard of, as far as that can be known: when it has refused
-- the number anything since, they go on counting.

create or replace function public.note_media_received(p_id uuid)
returns void
language sql
volatile
set search_path = ''
as $$
    update public.media_processing_queue q
    set bytes_received = true
    where q.id = p_id;

    delete from public.media_unheard_requests u
    using public.media_sources m
    where u.media_id = p_id
        and m.source = u.source
        and not exists (select from unnest(m.refused_at) t (at) where t.at >= u.asked_at);
$$;

comment on function public.note_media_received is
    'Record that a job''s file was handed out by WhatsApp, and forget its earlier unheard requests.';
