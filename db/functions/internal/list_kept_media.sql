-- Which of these must a cleanup leave? Those held, being worked on, or looked at recently.

create or replace function public.list_kept_media(p_ids uuid[], p_keep_accessed_days integer)
returns setof uuid
language sql
stable
set search_path = ''
as $$
    select h.media_id from public.media_holds h where h.media_id = any (p_ids)
    union
    select q.id from public.media_processing_queue q where q.id = any (p_ids) and q.status = 'processing'
    union
    select a.media_id
    from public.media_accesses a
    where a.media_id = any (p_ids) and a.accessed_at >= now() - make_interval(days => p_keep_accessed_days);
$$;

comment on function public.list_kept_media is
    'Those of these attachments that are held, in work, or were accessed within so many days (null: an access keeps nothing).';
