-- An attachment is deleted while a poller is at it: its request may be refused all the same.

create or replace function public.note_deleted_job()
returns trigger
language plpgsql
volatile
security definer -- fires for whoever deletes media rows, with no rights on these tables
set search_path = ''
as $$
begin
    if not exists (select from public.media m where m.id = old.id) then -- else it is done, and leaves
        perform public.record_unheard_request(old);
    end if;
    return null;
end;
$$;

comment on function public.note_deleted_job is
    'Trigger: when a job in work is deleted with its attachment, remember that WhatsApp may have refused its request.';

create or replace trigger note_deleted_job
after delete on public.media_processing_queue
for each row
when (old.status = 'processing' and not old.bytes_received)
execute function public.note_deleted_job();
