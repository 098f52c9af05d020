-- What WhatsApp says about the files of these jobs. A number that answers is well.

create or replace function public.record_media_sources(
    p_jobs public.media_processing_queue[],
    p_mime_types text[],
    p_file_sizes bigint[],
    p_sha256s text[]
)
returns public.media[]
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_ids uuid[] := array(select j.id from unnest(p_jobs) j);
    v_media public.media[];
    v_answered public.media_processing_queue[];
begin
    with described as (
        update public.media m
        set
            media_type = coalesce(m.media_type, (public.find_media_format(k.mime_type)).media_type),
            mime_type = coalesce(public.normalize_mime_type(k.mime_type), m.mime_type),
            file_size = coalesce(k.file_size, m.file_size),
            whatsapp_sha256 = coalesce(public.normalize_media_hash(k.sha256), m.whatsapp_sha256)
        from unnest(v_ids, p_mime_types, p_file_sizes, p_sha256s) k (id, mime_type, file_size, sha256)
        where m.id = any (v_ids) and m.id = k.id -- probes, however few rows statistics see
        returning m.*
    )
    select array(select d::public.media from described d order by array_position(v_ids, d.id)) into v_media;
    v_answered := array(
        select j
        from unnest(p_jobs) j
        join unnest(v_ids, p_mime_types, p_file_sizes, p_sha256s) k (id, mime_type, file_size, sha256) on k.id = j.id
        where num_nonnulls(k.mime_type, k.file_size, k.sha256) > 0);
    perform public.end_source_pauses(v_answered);
    perform public.forgive_unheard_requests(array(select a.id from unnest(v_answered) a), array['metadata']);
    return v_media;
end;
$$;

comment on function public.record_media_sources is
    'Record what WhatsApp says about the files of these jobs, nulls where it says nothing or was not asked; returns their media rows. Each array has a place for each job.';
