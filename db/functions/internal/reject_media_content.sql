-- The content of an attachment is refused: it dies, and those of its type that wait for the same
-- content die with it, as they would be refused for the same reason. Size and hash stay in the row.

create or replace function public.reject_media_content(
    p_media public.media,
    p_content_hash text,
    p_file_size bigint,
    p_code text,
    p_text text,
    p_checks jsonb
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_found jsonb := jsonb_build_object('file_size', p_file_size, 'content_hash', p_content_hash, 'checks', p_checks);
begin
    if p_code = 'too_large' then -- it was cut off: this is neither its size nor its hash
        v_found := null;
    end if;
    perform public.bury_media_job(w.id, p_code, p_text, v_found)
    from (
        select q.id
        from public.media_processing_queue q
        join public.media m on m.id = q.id
        where q.waiting_for = p_media.id
            and q.status = 'waiting'
            and q.content_hash = coalesce(p_media.whatsapp_sha256, p_content_hash)
            and m.media_type = p_media.media_type
        order by q.id
        for key share of m
        for update of q
    ) w;
    perform public.bury_media_job(p_media.id, p_code, p_text, v_found);
end;
$$;

comment on function public.reject_media_content is
    'End an attachment, and those of its type that wait for its content, as dead letters with this code and text.';
