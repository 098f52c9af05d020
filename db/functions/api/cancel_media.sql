-- Stop work on one attachment, also while a poller is at it: the poller's next word finds its lease
-- gone. Those who waited for it go on without it.

create or replace function public.cancel_media(id uuid)
returns boolean
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
begin
    perform
    from public.media m
    where m.id = cancel_media.id
    for key share; -- before the queue row, as a deletion does, which so waits instead of deadlocking
    update public.media_processing_queue q
    set
        status = 'cancelled',
        died_at = clock_timestamp(),
        claimed_by = null,
        lease_until = null,
        waiting_for = null,
        last_error_code = 'cancelled',
        last_error_text = null
    where q.id = cancel_media.id and q.status in ('pending', 'processing', 'waiting');
    if not found then
        return false;
    end if;
    update public.media m
    set failure_code = 'cancelled', failure_text = 'cancelled by an operator', failed_at = clock_timestamp()
    where m.id = cancel_media.id;
    perform public.drop_media_reservations(cancel_media.id);
    perform public.free_waiting_media(cancel_media.id);
    perform public.log_media_event(cancel_media.id, 'cancelled');
    return true;
end;
$$;

comment on function public.cancel_media is
    'Stop work on an attachment that is pending, processing or waiting; retry_media takes it up again. Returns false when there was nothing to stop.';
grant execute on function public.cancel_media to media_admin;
