-- The file is in storage: record it for this attachment and for everyone who waited for its content. A
-- group of one: see finish_media_uploads.

create or replace function public.finish_media_upload(
    p_id uuid,
    p_poller text,
    p_token integer,
    p_object_id uuid,
    p_timings jsonb default null
)
returns integer
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
begin
    return (
        select f.waited
        from public.finish_media_uploads(p_poller, array[p_id], array[p_token], array[p_object_id], array[p_timings]) f);
end;
$$;

comment on function public.finish_media_upload is
    'Record an upload: the object is stored, this attachment and those that waited for its content are processed, in one transaction. p_timings: milliseconds by step, kept in the audit trail. Returns how many waited. Errors: MD001 lease lost, MD002 object not reserved for this attachment, MD061 the file went to another project than that of the files.';
grant execute on function public.finish_media_upload to media_poller;
