-- First verdict: what WhatsApp says about the file is known, its bytes are not. A group of one: see
-- describe_media_sources.

create or replace function public.describe_media_source(
    p_id uuid,
    p_poller text,
    p_token integer,
    p_mime_type text,
    p_file_size bigint,
    p_sha256 text
)
returns table (verdict text, reason text, max_bytes bigint)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
begin
    return query
    select d.verdict, d.reason, d.max_bytes
    from public.describe_media_sources(
        p_poller, array[p_id], array[p_token], array[p_mime_type], array[p_file_size], array[p_sha256]) d;
end;
$$;

comment on function public.describe_media_source is
    'Verdict on a file before its download: download (at most max_bytes), deduplicated, joined (wait for another attachment''s download) or rejected (dead letter, with the reason). Error: MD001 lease lost.';
grant execute on function public.describe_media_source to media_poller;
