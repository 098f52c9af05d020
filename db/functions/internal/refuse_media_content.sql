-- Received content is refused: first into quarantine, where it is kept there, or at an end at once.

create or replace function public.refuse_media_content(
    p_media public.media,
    p_content_hash text,
    p_file_size bigint,
    p_code text,
    p_text text,
    p_checks jsonb
)
returns table (
    verdict text,
    bucket_name text,
    storage_path text,
    content_type text,
    cache_control text
)
language plpgsql
volatile
set search_path = ''
as $$
#variable_conflict use_column
begin
    select q.* into bucket_name, storage_path, content_type, cache_control
    from public.quarantine_media_content(p_media.id, p_content_hash, p_file_size, p_code, p_text, p_checks) q;
    verdict := case when found then 'quarantine' else 'rejected' end;
    if verdict = 'rejected' then
        perform public.reject_media_content(p_media, p_content_hash, p_file_size, p_code, p_text, p_checks);
    end if;
    return next;
end;
$$;

comment on function public.refuse_media_content is
    'Verdict on received content that is refused with this code and text: rejected (dead letter) or quarantine (first put the bytes there, with these headers, and call settle_media_quarantine). p_file_size in bytes.';
