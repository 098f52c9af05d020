-- Refused content is to be kept where nobody is served it, if media_settings.quarantine_refused says so:
-- under which path? No row where it is not kept: it is switched off, was cut off or empty, or is there
-- already, which is counted.

create or replace function public.quarantine_media_content(
    p_media_id uuid,
    p_content_hash text,
    p_file_size bigint,
    p_code text,
    p_explanation text,
    p_checks jsonb
)
returns table (bucket_name text, storage_path text, content_type text, cache_control text)
language plpgsql
volatile
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_kept public.media_quarantine;
begin
    if p_code in ('too_large', 'empty_file') or not (select s.quarantine_refused from public.media_settings s) then
        return;
    end if;
    insert into public.media_quarantine as q (
        content_hash, media_id, file_size, failure_code, failure_text, checks, keep_until)
    select p_content_hash, p_media_id, p_file_size, p_code, p_explanation, p_checks, now() + s.quarantine_kept
    from public.media_settings s
    on conflict (content_hash) do update
    set
        media_id = excluded.media_id,
        failure_code = excluded.failure_code,
        failure_text = excluded.failure_text,
        checks = excluded.checks,
        keep_until = greatest(q.keep_until, excluded.keep_until),
        arrivals = q.arrivals + 1
    returning q.* into v_kept;
    if v_kept.stored_at is null then
        return query
        select 'media-quarantine', v_kept.storage_path, 'application/octet-stream', 'no-store';
    end if;
end;
$$;

comment on function public.quarantine_media_content is
    'Where refused bytes go in the bucket media-quarantine, with which headers; no row when they are not kept, or are there. p_file_size in bytes.';
