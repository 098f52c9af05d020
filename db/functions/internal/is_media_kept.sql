-- Must a cleanup leave this attachment? Held, being worked on, or looked at recently.

create or replace function public.is_media_kept(p_id uuid, p_keep_accessed_days integer)
returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (select from public.media_holds h where h.media_id = p_id)
        or exists (select from public.media_processing_queue q where q.id = p_id and q.status = 'processing')
        or exists (
            select
            from public.media_accesses a
            where a.media_id = p_id and a.accessed_at >= now() - make_interval(days => p_keep_accessed_days));
$$;

comment on function public.is_media_kept is
    'Whether an attachment is held, in work, or was accessed within so many days (null: an access keeps nothing).';
