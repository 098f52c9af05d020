-- Is received content to be stored as it came? Null, or what to make of it first.
--
-- Animations and pages stay: an encoder would keep the first of them. The further images of a photo (its
-- depth, its map of brightness for HDR, a preview) are metadata. That is dropped with either; without a
-- codec, from the file as it came.

create or replace function public.plan_media_encoding(
    p_bucket public.media_buckets,
    p_mime_type text,
    p_file_size bigint,
    p_checks jsonb,
    p_compress boolean default true
)
returns jsonb
language sql
stable
set search_path = ''
as $$
    select case when e.codec is not null or d.drops_metadata and p_checks ? 'metadata'
        then jsonb_strip_nulls(jsonb_build_object(
            'from', p_mime_type,
            'codec', e.codec,
            'edge_most', case when e.is_lossy and e.codec <> 'opus' then s.image_edge_most end,
            'quality', case when e.is_lossy and e.codec <> 'opus' then s.image_quality end,
            'bit_rate', case when e.codec = 'opus' then s.opus_bit_rate end,
            'drop_metadata', d.drops_metadata))
        end
    from public.media_settings s
    cross join lateral (
        select (p_bucket).is_public and s.strip_public_images and starts_with(p_mime_type, 'image/')
    ) d (drops_metadata)
    left join public.media_encodings e
        on e.mime_type = p_mime_type
        and p_compress
        and p_file_size > (p_bucket).compress_above
        and ((p_bucket).compress_lossy or not e.is_lossy)
        and (coalesce((p_checks ->> 'frames')::integer, 1) = 1
            or d.drops_metadata and p_checks -> 'metadata' ? 'further images');
$$;

comment on function public.plan_media_encoding is
    'What to make of received content of this type and size (bytes) before it is stored in this bucket: from (its type), codec (a row of media_encodings, if it is to be compressed), edge_most (pixels), quality (1 to 100), bit_rate (bits a second), drop_metadata; null when it is stored as it came. p_compress false: only what the metadata asks for.';
