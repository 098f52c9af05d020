-- In which bucket does content of this format belong that was sent as this media type?
--
-- That of what it was sent as, so that a document stays private whatever is in it; unless the format's row
-- says otherwise for documents.

create or replace function public.route_media_content(p_media_type text, p_format public.media_formats)
returns public.media_buckets
language plpgsql
stable
set search_path = ''
as $$
declare
    v_media_type text := coalesce(p_media_type, (p_format).media_type);
    v_bucket public.media_buckets;
begin
    select b.* into v_bucket
    from public.media_buckets b
    where case when v_media_type = 'document' then coalesce((p_format).document_goes_as, v_media_type)
        else v_media_type end = any (b.media_types);
    return v_bucket;
end;
$$;

comment on function public.route_media_content is
    'The bucket for content of this format that was sent as this media type (null: as what it is); a null row when there is none. media_formats.document_goes_as sends documents elsewhere.';
