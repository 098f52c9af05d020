-- An attachment of the same type and content that is being fetched, or will be. In plpgsql because it
-- keeps the plan, where a function in SQL is planned anew by every caller.

create or replace function public.find_media_leader(p_content_hash text, p_media_type text)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
begin
    return (
        select q.id
        from public.media_processing_queue q
        join public.media m on m.id = q.id
        where q.content_hash = p_content_hash
            and q.status in ('pending', 'processing')
            and m.media_type = p_media_type
        limit 1
    );
end;
$$;

comment on function public.find_media_leader is
    'The queued attachment of this content and media type that others may wait for; null when there is none.';
