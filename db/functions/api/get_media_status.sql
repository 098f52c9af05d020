-- Where one attachment is, and what comes next for it.

create or replace function public.get_media_status(id uuid)
returns table (
    media_id uuid,
    status text,
    attempts integer,
    max_attempts integer,
    due_at timestamptz,
    poller text,
    bucket_name text,
    storage_path text,
    public_url text,
    error_code text,
    error_text text,
    processed_at timestamptz
)
language plpgsql
stable
security definer -- clients have no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
begin
    return query
    select m.id, public.media_state(m.processed, q.status, m.failure_code),
        q.attempts::integer, q.max_attempts::integer, q.due_at, q.claimed_by,
        m.bucket_name::text, m.storage_path::text, m.public_url::text,
        coalesce(m.failure_code, q.last_error_code)::text,
        coalesce(m.failure_text, q.last_error_text)::text, m.processed_at
    from public.media m
    left join public.media_processing_queue q on q.id = m.id
    where m.id = get_media_status.id;
    if not found then
        raise exception 'no media with id %', coalesce(get_media_status.id::text, 'null')
            using errcode = 'MD016', hint = 'queue_media_processing returned the id, get_media_by_message(message_id) lists those of a message; a deleted one still has its audit trail.';
    end if;
end;
$$;

comment on function public.get_media_status is
    'One row about one attachment: its status, attempts, when it is due, who works on it, where it is stored, the last error. Error: MD016 unknown media id.';
grant execute on function public.get_media_status to media_client, media_admin;
